//! `kill`: SIGKILL or another signal, now.

use dockmgr_proto::v1::KillJobRequest;

use crate::failure::Failure;
use crate::job_ref::{self, JobRef};
use crate::output;
use crate::settings::Reach;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Signal instead of SIGKILL; it is passed on and ends nothing by itself
    #[arg(short, long, value_name = "SIGNAL")]
    signal: Option<String>,
    /// How the jobs are written
    #[arg(short, long, value_enum, default_value_t)]
    output: output::Format,
    /// Jobs (number, name, uid, last) or tasks (42.7)
    #[arg(required = true, value_name = "JOB", value_parser = job_ref::parse)]
    jobs: Vec<JobRef>,
}

pub(crate) async fn execute(reach: &Reach, args: Args) -> Result<u8, Failure> {
    let client = &reach.connect().await?;
    let (signal, format) = (&args.signal.unwrap_or_default(), args.output);
    super::each(args.jobs, |job| async move {
        let request = KillJobRequest {
            job: job.job.clone(),
            task_index: job.task,
            signal: signal.clone(),
            request_id: String::new(),
        };
        let killed = client.kill_job(request).await?.job.ok_or_else(|| super::missing("job"))?;
        output::object(format, &killed, &job.to_string())
    })
    .await
}
