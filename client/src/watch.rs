//! Changes of jobs as one stream that survives broken connections.

use dockmgr_proto::v1;
use dockmgr_proto::v1::watch_jobs_response::Event;
use tonic::Code;

use crate::connection::Client;
use crate::error::Error;
use crate::stitch::Stitch;

/// A running watch. It goes on after the last revision seen; where that is too old it begins again with a snapshot, so
/// a job may be reported twice but its last state is never missed.
#[derive(Debug)]
pub struct JobWatch {
    request: v1::WatchJobsRequest,
    stitch: Stitch<v1::WatchJobsResponse>,
}

impl Client {
    /// Starts a watch; the first message opens the stream.
    pub fn watch_jobs(&self, request: v1::WatchJobsRequest) -> JobWatch {
        JobWatch { request, stitch: Stitch::new(self.clone()) }
    }
}

impl JobWatch {
    /// The next step. Cancel safe. Waits out a coordinator that is gone for up to five minutes, then gives the error.
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            let request = &self.request;
            let step = self
                .stitch
                .next(|link| {
                    let request = request.clone();
                    async move { crate::jobs::service(link).watch_jobs(request).await }
                })
                .await;
            match step {
                Ok(Some(message)) => {
                    // A snapshot is complete only at its bookmark: before it, going on from a revision would skip jobs.
                    let whole =
                        !matches!(message.event, Some(Event::Changed(_))) || self.request.after_revision > 0;
                    if whole && message.revision > 0 {
                        self.request.after_revision = message.revision;
                    }
                    if let Some(event) = message.event {
                        return Ok(event);
                    }
                }
                Ok(None) => {
                    let cut_short = self.stitch.cut_short();
                    self.stitch.pause(cut_short).await?;
                }
                Err(error) if error.code() == Some(Code::OutOfRange) && self.request.after_revision > 0 => {
                    self.request.after_revision = 0;
                    self.stitch.reopen();
                }
                Err(error) => return Err(error),
            }
        }
    }
}
