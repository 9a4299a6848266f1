//! Waiting for the end of a job, however often the connection breaks meanwhile.

use std::time::Duration;

use dockmgr_proto::v1;
use tokio::time::Instant;

use crate::PATIENCE;
use crate::connection::Client;
use crate::error::Error;

/// How long one call blocks on the server: below the call deadline, so that a silent server is noticed.
const ONE_WAIT: Duration = Duration::from_secs(20);

impl Client {
    /// Waits until the job has ended, at most `limit`; `None` if the time ran out first.
    ///
    /// Cancel safe. Waits out a coordinator that is gone for up to five minutes, then gives the error.
    pub async fn wait_until_ended(
        &self,
        job: &str,
        limit: Option<Duration>,
    ) -> Result<Option<v1::Job>, Error> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let mut heard = Instant::now();
        loop {
            let left = deadline.map_or(ONE_WAIT, |at| at.saturating_duration_since(Instant::now()));
            let request =
                v1::WaitJobRequest { job: job.to_owned(), timeout: Some(left.min(ONE_WAIT).into()) };
            match self.wait_job(request).await {
                Ok(answer) => {
                    heard = Instant::now();
                    if answer.done && answer.job.is_some() {
                        return Ok(answer.job);
                    }
                }
                // A call that was cut off and tried again late runs into its deadline: the next one has a whole one.
                Err(error) if may_pass(&error) && heard.elapsed() < PATIENCE => {}
                Err(error) => return Err(error),
            }
            if deadline.is_some_and(|at| Instant::now() >= at) {
                return Ok(None);
            }
        }
    }
}

/// Whether waiting on makes sense after an error.
fn may_pass(error: &Error) -> bool {
    error.is_retryable() || matches!(error, Error::Deadline { .. })
}
