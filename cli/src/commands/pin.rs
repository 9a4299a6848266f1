//! `pin`: keep jobs and their output, however old they become.

use dockmgr_proto::v1::PinJobRequest;

use crate::failure::Failure;
use crate::job_ref::{self, JobRef};
use crate::output;
use crate::settings::Reach;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How the jobs are written
    #[arg(short, long, value_enum, default_value_t)]
    output: output::Format,
    /// Jobs: number, name, uid or last
    #[arg(required = true, value_name = "JOB", value_parser = job_ref::parse)]
    jobs: Vec<JobRef>,
}

pub(crate) async fn execute(reach: &Reach, args: Args) -> Result<u8, Failure> {
    let (client, format) = (&reach.connect().await?, args.output);
    super::each(args.jobs, |job| async move {
        if job.task.is_some() {
            return Err(Failure::usage(format!("pin takes whole jobs, not the task {job}")));
        }
        let answer = client.pin_job(PinJobRequest { job: job.job.clone() }).await?;
        output::object(format, &answer.job.ok_or_else(|| super::missing("job"))?, &job.to_string())
    })
    .await
}
