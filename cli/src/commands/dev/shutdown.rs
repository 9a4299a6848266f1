//! The orderly end of the jobs of a `dev` cluster, through the API.

use std::time::Duration;

use dockmgr_client::{Client, Error};
use dockmgr_proto::v1::{Job, KillJobRequest, ListJobsRequest, StopJobRequest};
use tokio::time::{Instant, sleep};

/// Time for stopped jobs to end: the default grace and a margin for the clean-up.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// Time for killed ones.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// How often is looked.
const POLL: Duration = Duration::from_millis(100);

/// Stops what is active, then kills what does not end, and waits until no node holds an attempt.
///
/// Gives up without a word when the API fails: the workers are ended next, and clean up at their next start.
pub(super) async fn end_jobs(client: &Client) {
    let limited = async {
        for job in active(client).await? {
            client.stop_job(StopJobRequest { job: job.id.to_string(), ..StopJobRequest::default() }).await?;
        }
        if all_ended(client, STOP_LIMIT).await? {
            return Ok(());
        }
        for job in active(client).await? {
            client.kill_job(KillJobRequest { job: job.id.to_string(), ..KillJobRequest::default() }).await?;
        }
        all_ended(client, KILL_LIMIT).await.map(|_| ())
    };
    let ended: Result<(), Error> = limited.await;
    if let Err(error) = ended {
        tracing::warn!(%error, "jobs were not ended");
    }
}

async fn active(client: &Client) -> Result<Vec<Job>, Error> {
    let mut jobs = Vec::new();
    let mut request = ListJobsRequest {
        page_size: 1000,
        filter: "state = ACTIVE".to_owned(),
        ..ListJobsRequest::default()
    };
    loop {
        let page = client.list_jobs(request.clone()).await?;
        jobs.extend(page.jobs);
        if page.next_page_token.is_empty() {
            return Ok(jobs);
        }
        request.page_token = page.next_page_token;
    }
}

/// Whether no job is active and no node holds an attempt, within `limit`.
async fn all_ended(client: &Client, limit: Duration) -> Result<bool, Error> {
    let deadline = Instant::now() + limit;
    loop {
        let held: u32 = client.all_nodes().await?.iter().map(|node| node.attempts).sum();
        if held == 0 && active(client).await?.is_empty() {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(POLL).await;
    }
}
