//! Output of a job as one stream that survives broken connections and restarted coordinators.

use std::collections::BTreeMap;

use bytes::Buf as _;
use dockmgr_proto::v1;
use dockmgr_proto::v1::log_service_client::LogServiceClient;
use dockmgr_proto::v1::tail_logs_response::Event;

use crate::connection::Client;
use crate::error::Error;
use crate::jobs::MAX_ANSWER;
use crate::stitch::Stitch;

/// A running tail. Nothing is lost or repeated when it is opened again: it goes on at the last resume token, and bytes
/// that come twice nevertheless are cut off by their offsets.
#[derive(Debug)]
pub struct LogFollow {
    request: v1::TailLogsRequest,
    stitch: Stitch<v1::TailLogsResponse>,
    seen: Seen,
    ended: bool,
}

impl Client {
    /// Starts a tail; the first message opens the stream.
    pub fn tail_logs(&self, request: v1::TailLogsRequest) -> LogFollow {
        LogFollow { request, stitch: Stitch::new(self.clone()), seen: Seen::default(), ended: false }
    }

    /// Returns one range of one attempt's output.
    pub async fn get_logs(&self, request: v1::GetLogsRequest) -> Result<v1::GetLogsResponse, Error> {
        self.unary(crate::call::Repeat::Harmless, request, |link, message| async move {
            LogServiceClient::new(link).max_decoding_message_size(MAX_ANSWER).get_logs(message).await
        })
        .await
    }
}

impl LogFollow {
    /// The next step; `None` after the last one.
    ///
    /// Cancel safe. Waits out a coordinator that is gone for up to five minutes, then gives the error.
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
                            .tail_logs(request)
                            .await
                    }
                })
                .await?;
            let Some(message) = message else {
                if !self.request.follow {
                    break;
                }
                // Only the job's end ends a follow; anything else is a coordinator that goes away.
                let cut_short = self.stitch.cut_short();
                self.stitch.pause(cut_short).await?;
                continue;
            };
            if !message.resume_token.is_empty() {
                self.request.resume_token = message.resume_token;
            }
            if let Some(event) = message.event.and_then(|event| self.seen.pass(event)) {
                self.ended = matches!(event, Event::JobEnd(_));
                return Ok(Some(event));
            }
        }
        Ok(None)
    }
}

/// How far each stream has been handed on.
#[derive(Debug, Default)]
struct Seen {
    next: BTreeMap<(u32, u32, i32), u64>,
}

impl Seen {
    /// Cuts off what was handed on before; `None` if nothing is left.
    fn pass(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::Batch(mut batch) => {
                let key = batch.attempt.as_ref().map_or((0, 0), |a| (a.task_index, a.attempt));
                batch.records.retain_mut(|record| self.trim(key, record));
                (!batch.records.is_empty()).then_some(Event::Batch(batch))
            }
            Event::End(end) => {
                if let Some(attempt) = &end.attempt {
                    self.next.retain(|at, _| (at.0, at.1) != (attempt.task_index, attempt.attempt));
                }
                Some(Event::End(end))
            }
            other @ (Event::Begin(_) | Event::Idle(_) | Event::JobEnd(_)) => Some(other),
        }
    }

    fn trim(&mut self, key: (u32, u32), record: &mut v1::LogRecord) -> bool {
        let next = self.next.entry((key.0, key.1, record.stream)).or_insert(record.offset);
        let end = record.offset.saturating_add(record.data.len() as u64);
        if end <= *next {
            return false;
        }
        let known = usize::try_from(next.saturating_sub(record.offset)).unwrap_or(usize::MAX);
        record.data.advance(known.min(record.data.len()));
        record.offset += known as u64;
        *next = end;
        true
    }
}

#[cfg(test)]
mod tests;
