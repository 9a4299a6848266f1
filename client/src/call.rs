//! One ordinary call: deadline, retries, another coordinator.
//!
//! A call is tried again when the coordinator says UNAVAILABLE or the connection broke, and only if repeating it is
//! harmless: it changes nothing, or it carries a request id that the coordinator remembers.

use std::future::Future;
use std::time::Duration;

use dockmgr_support::backoff::Backoff;
use tokio::time::Instant;
use tonic::{Code, Request, Response, Status};

use crate::connection::{Client, Link};
use crate::error::Error;

/// First and longest delay before another try: a restart takes about a second, a failover up to ten.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// Whether a call may be sent twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It changes nothing, or it carries a request id.
    Harmless,
    /// It removes something: when a try whose outcome is open is repeated, the thing may be gone already, and that is success.
    Removes,
}

pub(crate) fn backoff() -> Backoff {
    Backoff::new(FIRST_DELAY, LONGEST_DELAY)
}

impl Client {
    /// Sends `request` until it is answered, refused for good, or the deadline is over.
    ///
    /// Dropping the future gives up waiting; the coordinator may still carry the call out.
    pub(crate) async fn unary<Q, R, F>(
        &self,
        repeat: Repeat,
        request: Q,
        call: impl Fn(Link, Request<Q>) -> F,
    ) -> Result<R, Error>
    where
        Q: Clone,
        F: Future<Output = Result<Response<R>, Status>>,
        R: Default,
    {
        let mut open = false;
        let deadline = Instant::now() + self.call_timeout();
        let mut delays = backoff();
        loop {
            let mut message = Request::new(request.clone());
            message.set_timeout(deadline.saturating_duration_since(Instant::now()));
            let error = match tokio::time::timeout_at(deadline, call(self.link(), message)).await {
                Ok(Ok(answer)) => {
                    self.answered();
                    return Ok(answer.into_inner());
                }
                Ok(Err(status)) => self.failure(&status),
                Err(_elapsed) => return Err(self.overdue()),
            };
            let delay = delays.next_delay();
            if open && repeat == Repeat::Removes && error.code() == Some(Code::NotFound) {
                return Ok(R::default());
            }
            if !error.is_retryable() || Instant::now() + delay >= deadline {
                return Err(error);
            }
            tracing::debug!(%error, "call failed, trying again");
            open |= !error.changed_nothing();
            self.turn(&error);
            tokio::time::sleep(delay).await;
        }
    }

    /// What a status means, coming from the current coordinator.
    pub(crate) fn failure(&self, status: &Status) -> Error {
        let timed_out = matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled);
        if timed_out && status.message().to_ascii_lowercase().contains("timeout expired") {
            return self.overdue();
        }
        self.meaning(status)
    }

    pub(crate) fn overdue(&self) -> Error {
        Error::Deadline { server: self.server().to_string(), seconds: self.call_timeout().as_secs() }
    }
}
