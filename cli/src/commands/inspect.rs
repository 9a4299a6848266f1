//! `inspect`: the records of jobs, or the tasks of one.

use dockmgr_proto::v1::GetJobRequest;

use crate::failure::Failure;
use crate::job_ref::{self, JobRef};
use crate::output::{self, Format};
use crate::settings::Reach;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How the records are written: one job as an object, several as a list
    #[arg(short, long, value_enum, default_value_t = Format::Json)]
    output: Format,
    /// Jobs: number, name, uid or last; 42.7 shows one task
    #[arg(required = true, value_name = "JOB", value_parser = job_ref::parse)]
    jobs: Vec<JobRef>,
}

pub(crate) async fn execute(reach: &Reach, args: Args) -> Result<u8, Failure> {
    let client = reach.connect().await?;
    let tasks = args.jobs.iter().filter(|job| job.task.is_some()).count();
    if tasks > 0 && tasks < args.jobs.len() {
        return Err(Failure::usage("inspect takes jobs or tasks, not both at once"));
    }
    if tasks > 0 {
        let mut found = Vec::with_capacity(tasks);
        for job in &args.jobs {
            found.push(super::describe::task(&client, job).await?);
        }
        output::objects(args.output, &found)?;
        return Ok(0);
    }
    let mut found = Vec::with_capacity(args.jobs.len());
    for job in args.jobs {
        let answer = client.get_job(GetJobRequest { job: job.job, explain: false }).await?;
        found.push(answer.job.ok_or_else(|| super::missing("job"))?);
    }
    output::objects(args.output, &found)?;
    Ok(0)
}
