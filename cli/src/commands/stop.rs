//! `stop`: stop signal, grace, SIGKILL.

use std::time::Duration;

use dockmgr_proto::v1::StopJobRequest;

use crate::failure::Failure;
use crate::job_ref::{self, JobRef};
use crate::settings::Reach;
use crate::{output, parse};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Signal instead of the job's own
    #[arg(short, long, value_name = "SIGNAL")]
    signal: Option<String>,
    /// Grace instead of the job's own; 0 kills at once
    #[arg(short, long, value_name = "T", value_parser = parse::duration, allow_hyphen_values = true)]
    time: Option<Duration>,
    /// How the jobs are written
    #[arg(short, long, value_enum, default_value_t)]
    output: output::Format,
    /// Jobs (number, name, uid, last) or tasks (42.7)
    #[arg(required = true, value_name = "JOB", value_parser = job_ref::parse)]
    jobs: Vec<JobRef>,
}

pub(crate) async fn execute(reach: &Reach, args: Args) -> Result<u8, Failure> {
    let client = &reach.connect().await?;
    let (signal, grace, format) = (&args.signal.unwrap_or_default(), args.time, args.output);
    super::each(args.jobs, |job| async move {
        let request = StopJobRequest {
            job: job.job.clone(),
            task_index: job.task,
            signal: signal.clone(),
            grace_period: grace.map(Into::into),
            request_id: String::new(),
        };
        let stopped = client.stop_job(request).await?.job.ok_or_else(|| super::missing("job"))?;
        output::object(format, &stopped, &job.to_string())
    })
    .await
}
