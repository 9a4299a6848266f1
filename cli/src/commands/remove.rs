//! `rm`: forget ended jobs.

use dockmgr_proto::v1::DeleteJobRequest;

use crate::failure::Failure;
use crate::job_ref::{self, JobRef};
use crate::output;
use crate::settings::Reach;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Delete their logs too
    #[arg(long)]
    logs: bool,
    /// Forget pinned jobs too
    #[arg(long)]
    force: bool,
    /// Jobs: number, name, uid or last
    #[arg(required = true, value_name = "JOB", value_parser = job_ref::parse)]
    jobs: Vec<JobRef>,
}

pub(crate) async fn execute(reach: &Reach, args: Args) -> Result<u8, Failure> {
    let client = &reach.connect().await?;
    let (delete_logs, force) = (args.logs, args.force);
    super::each(args.jobs, |job| async move {
        if job.task.is_some() {
            return Err(Failure::usage(format!("rm takes whole jobs, not the task {job}")));
        }
        client.delete_job(DeleteJobRequest { job: job.job.clone(), delete_logs, force }).await?;
        output::print(&format!("{job}\n"))
    })
    .await
}
