//! `retry`: a new job from an ended one's spec.

use dockmgr_proto::v1::RetryJobRequest;

use crate::failure::Failure;
use crate::job_ref::{self, JobRef};
use crate::output;
use crate::settings::Reach;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How the new job is written
    #[arg(short, long, value_enum, default_value_t)]
    output: output::Format,
    /// Job: number, name, uid or last; of an array only the failed tasks run again
    #[arg(value_name = "JOB", value_parser = job_ref::parse)]
    job: JobRef,
}

pub(crate) async fn execute(reach: &Reach, args: Args) -> Result<u8, Failure> {
    if args.job.task.is_some() {
        return Err(Failure::usage(format!("retry takes a whole job, not the task {}", args.job)));
    }
    let client = reach.connect().await?;
    let request = RetryJobRequest { job: args.job.job, ..RetryJobRequest::default() };
    let job = client.retry_job(request).await?.job.ok_or_else(|| super::missing("job"))?;
    output::object(args.output, &job, &job.id.to_string())?;
    Ok(0)
}
