//! Lines found in the output of all jobs, as one stream that survives broken connections.

use dockmgr_proto::v1;
use dockmgr_proto::v1::log_service_client::LogServiceClient;
use dockmgr_proto::v1::search_logs_response::Event;

use crate::connection::Client;
use crate::error::Error;
use crate::jobs::MAX_ANSWER;
use crate::stitch::Stitch;

/// Hits of a page when the request does not say, and at most, as the API has it.
const DEFAULT_LIMIT: u32 = 100;
const MOST_LIMIT: u32 = 1000;

/// A running search. Opened again it goes on behind the last hit; no hit comes twice.
#[derive(Debug)]
pub struct LogSearch {
    request: v1::SearchLogsRequest,
    stitch: Stitch<v1::SearchLogsResponse>,
    /// Hits that may still come.
    left: u32,
    ended: bool,
}

impl Client {
    /// Starts a search; the first message opens the stream.
    pub fn search_logs(&self, mut request: v1::SearchLogsRequest) -> LogSearch {
        let limit = if request.limit == 0 { DEFAULT_LIMIT } else { request.limit };
        request.limit = limit.min(MOST_LIMIT);
        let left = request.limit;
        LogSearch { request, stitch: Stitch::new(self.clone()), left, ended: false }
    }
}

impl LogSearch {
    /// The next step; `None` after `Done`. Cancel safe.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        while !self.ended {
            let request = &self.request;
            let message = self
                .stitch
                .next(|link| {
                    let request = request.clone();
                    async move {
                        LogServiceClient::new(link)
                            .max_decoding_message_size(MAX_ANSWER)
                            .search_logs(request)
                            .await
                    }
                })
                .await?;
            let Some(message) = message else {
                // Only `Done` ends a search; anything else is a coordinator that goes away.
                let cut_short = self.stitch.cut_short();
                self.stitch.pause(cut_short).await?;
                continue;
            };
            if let Some(event) = message.event {
                return Ok(Some(self.note(event)));
            }
        }
        Ok(None)
    }

    /// Takes note of where to go on should the stream break.
    fn note(&mut self, mut event: Event) -> Event {
        match &mut event {
            Event::Hit(hit) => {
                self.request.page_token.clone_from(&hit.page_token);
                self.left = self.left.saturating_sub(1);
                // Where all hits came, only the end is missing; no limit means the default, so one hit is the least.
                self.request.limit = self.left.max(1);
                self.request.count_only = self.left == 0;
            }
            Event::Done(done) => {
                self.ended = true;
                if self.request.count_only && done.next_page_token.is_empty() {
                    done.next_page_token.clone_from(&self.request.page_token);
                }
            }
            Event::Progress(_) => {}
        }
        event
    }
}
