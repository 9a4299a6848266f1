//! The cluster's events as one stream that survives broken connections.

use dockmgr_proto::v1;
use dockmgr_proto::v1::event_service_client::EventServiceClient;
use tonic::Code;

use crate::connection::Client;
use crate::error::Error;
use crate::stitch::Stitch;

/// A running watch of events. It goes on after the last number seen; a coordinator that started anew numbers from the
/// beginning, and then the watch begins with its oldest event.
#[derive(Debug)]
pub struct EventWatch {
    request: v1::WatchEventsRequest,
    stitch: Stitch<v1::WatchEventsResponse>,
}

impl Client {
    /// Starts a watch of events; the first message opens the stream.
    pub fn watch_events(&self, request: v1::WatchEventsRequest) -> EventWatch {
        EventWatch { request, stitch: Stitch::new(self.clone()) }
    }
}

impl EventWatch {
    /// The next event; `None` at the end when the request did not ask to follow. Cancel safe.
    pub async fn next(&mut self) -> Result<Option<v1::Event>, Error> {
        loop {
            let request = &self.request;
            let step = self
                .stitch
                .next(|link| {
                    let request = request.clone();
                    async move { EventServiceClient::new(link).watch_events(request).await }
                })
                .await;
            match step {
                Ok(Some(message)) => {
                    if let Some(event) = message.event {
                        self.request.after_sequence = event.sequence;
                        self.request.newest = 0;
                        return Ok(Some(event));
                    }
                }
                Ok(None) if !self.request.follow => return Ok(None),
                Ok(None) => {
                    let cut_short = self.stitch.cut_short();
                    self.stitch.pause(cut_short).await?;
                }
                Err(error) if error.code() == Some(Code::OutOfRange) && self.request.after_sequence > 0 => {
                    self.request.after_sequence = 0;
                    self.stitch.reopen();
                }
                Err(error) => return Err(error),
            }
        }
    }
}
