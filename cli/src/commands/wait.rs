//! `wait`: block until jobs have ended, exit with their code.

use std::time::Duration;

use dockmgr_client::Client;
use dockmgr_proto::v1::{GetJobRequest, ListTasksRequest, TaskState};
use tokio::time::Instant;

use crate::failure::{Failure, Kind};
use crate::follow::{Interrupts, Progress, explain_end, left};
use crate::job_ref::{self, JobRef};
use crate::settings::Reach;
use crate::{exit, output, parse};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Longest time to wait; the jobs go on
    #[arg(long, value_name = "T", value_parser = parse::positive_duration, allow_hyphen_values = true)]
    timeout: Option<Duration>,
    /// Jobs: number, name, uid or last
    #[arg(required = true, value_name = "JOB", value_parser = job_ref::parse)]
    jobs: Vec<JobRef>,
}

pub(crate) async fn execute(reach: &Reach, args: Args) -> Result<u8, Failure> {
    if let Some(task) = args.jobs.iter().find(|job| job.task.is_some()) {
        return Err(Failure::usage(format!("wait takes whole jobs, not the task {task}")));
    }
    let client = reach.connect().await?;
    let deadline = args.timeout.map(|limit| Instant::now() + limit);
    let mut highest = 0;
    for job in args.jobs {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        highest = highest.max(until_ended(&client, &job.job, left).await?);
    }
    Ok(highest)
}

/// Waits for one job; leaving it does not end it.
pub(super) async fn until_ended(client: &Client, job: &str, limit: Option<Duration>) -> Result<u8, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let first = client.get_job(GetJobRequest { job: job.to_owned(), explain: false }).await?;
    let first = first.job.ok_or_else(|| super::missing("job"))?;
    let mut progress = Progress::of(client, &first);
    // The number, so that "last" and names keep meaning the same job.
    let number = first.id.to_string();
    let ended = client.wait_until_ended(&number, limit);
    tokio::pin!(ended);
    let ended = loop {
        tokio::select! {
            // The job has ended, or the time is over.
            ended = &mut ended => break ended,
            // Something changed that a person may want to see.
            job = progress.changed() => progress.show(&job?),
            // A person or a supervisor wants us to go.
            () = interrupts.next() => {
                progress.clear();
                return Err(left(&number, false));
            }
        }
    };
    let seen = progress.is_seen();
    progress.clear();
    match ended? {
        Some(job) => {
            if let Some(words) = explain_end(&job, seen) {
                output::say(&words);
            }
            Ok(exit::of_job(&job))
        }
        None => Err(Failure::new(
            Kind::LimitRanOut,
            format!("job {number} has not ended within the wait --timeout"),
        )
        .hint(format!("it goes on; cluster-cli wait {number} waits again"))),
    }
}

/// Numbers of the tasks of `job` in one of `states`, at most a page of them.
pub(super) async fn tasks_in(
    client: &Client,
    job: &str,
    states: &[TaskState],
) -> Result<Vec<dockmgr_proto::v1::Task>, Failure> {
    let request = ListTasksRequest {
        job: job.to_owned(),
        page_size: 20,
        states: states.iter().map(|state| i32::from(*state)).collect(),
        ..ListTasksRequest::default()
    };
    Ok(client.list_tasks(request).await?.tasks)
}
