//! One upload over one connection.

use std::collections::btree_map::{BTreeMap, Entry};
use std::ops::Bound;

use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::Entry as LogEntry;
use dockmgr_proto::convert;
use dockmgr_proto::v1::worker_service_client::WorkerServiceClient;
use dockmgr_proto::v1::{self, upload_logs_request::Message as Up, upload_logs_response::Message as Down};
use dockmgr_support::channel::{self, Address, Bearer};
use futures_util::FutureExt as _;
use futures_util::future::select_all;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::sending::Sending;
use super::{Error, Upload};

/// Messages on the way up; the connection itself holds a window more.
const QUEUE: usize = 8;
/// Window for the acks of one stream; they are small.
const STREAM_WINDOW: u32 = 64 * 1024;
/// Window of the whole connection, which carries nothing else.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// An upload that was opened.
struct Live<'a> {
    upload: &'a Upload,
    up: mpsc::Sender<v1::UploadLogsRequest>,
    down: Streaming<v1::UploadLogsResponse>,
    changes: watch::Receiver<()>,
    attempts: BTreeMap<AttemptId, Sending>,
    /// The attempt that was served last; the next one is served next.
    last: Option<AttemptId>,
    /// Bytes of chunks the coordinator still takes. One chunk may overdraw it, so that no chunk is too large for it.
    credit: i64,
    got_on: &'a mut bool,
}

impl Upload {
    /// Uploads over one connection until it breaks. `got_on` is set when the coordinator acknowledged something.
    pub(super) async fn hold(&self, address: &Address, got_on: &mut bool) -> Result<(), Error> {
        let endpoint = channel::endpoint(address, &self.credentials)
            .map_err(Error::Channel)?
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let bearer = Bearer::new(self.credentials.token.as_ref());
        let mut client = WorkerServiceClient::with_interceptor(endpoint.connect_lazy(), bearer);
        let (up, outgoing) = mpsc::channel(QUEUE);
        let hello =
            v1::UploadHello { node_id: self.node.to_string(), incarnation: self.incarnation.to_string() };
        // The channel is new and empty: there is room for the first message.
        let _queued = up.try_send(request(Up::Hello(hello)));
        let opened = client.upload_logs(ReceiverStream::new(outgoing)).await;
        let down = opened.map_err(|status| Error::Status(Box::new(status)))?.into_inner();
        let mut changes = self.spool.changes();
        changes.mark_changed();
        let attempts = BTreeMap::new();
        Live { upload: self, up, down, changes, attempts, last: None, credit: 0, got_on }.run().await
    }
}

impl Live<'_> {
    async fn run(mut self) -> Result<(), Error> {
        loop {
            if self.changes.has_changed().unwrap_or(false) {
                self.open_new().await?;
            }
            // What the coordinator says comes first: it may take permission back by a rewind.
            while let Some(answer) = self.down.message().now_or_never() {
                self.hear(answer)?;
            }
            if self.credit > 0 && self.send_next().await? {
                continue;
            }
            self.wait().await?;
        }
    }

    /// Opens attempts that are new in the spool and forgets those that have left it.
    async fn open_new(&mut self) -> Result<(), Error> {
        self.changes.mark_unchanged();
        let spooled = self.upload.spool.all();
        self.attempts.retain(|attempt, _| spooled.contains_key(attempt));
        for (attempt, spool) in spooled {
            if let Entry::Vacant(new) = self.attempts.entry(attempt) {
                new.insert(Sending::new(spool));
                let open = v1::UploadOpen { attempt: Some(convert::ids::attempt_to_wire(attempt)) };
                self.say(Up::Open(open)).await?;
            }
        }
        Ok(())
    }

    /// Sends one entry of the next attempt that has one; false if none has.
    async fn send_next(&mut self) -> Result<bool, Error> {
        let behind = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let later = self.attempts.range((behind, Bound::Unbounded)).filter(|(_, s)| s.can_have_more());
        let mut order: Vec<AttemptId> = later.map(|(attempt, _)| *attempt).collect();
        if let Some(last) = self.last {
            let sooner = self.attempts.range(..=last).filter(|(_, sending)| sending.can_have_more());
            order.extend(sooner.map(|(attempt, _)| *attempt));
        }
        for attempt in order {
            let Some(sending) = self.attempts.get_mut(&attempt) else { continue };
            let Some(entry) = sending.next().await.map_err(Error::Spool)? else { continue };
            self.last = Some(attempt);
            match entry {
                LogEntry::Data(record) => {
                    self.credit -= i64::try_from(record.bytes.len()).unwrap_or(i64::MAX);
                    let crc = crc32fast::hash(&record.bytes);
                    self.say(Up::Chunk(convert::log::chunk_to_wire(attempt, &record, crc))).await?;
                    self.upload.sent.inc_by(record.bytes.len() as u64);
                }
                LogEntry::End(end) => {
                    let end = v1::UploadEnd {
                        attempt: Some(convert::ids::attempt_to_wire(attempt)),
                        end: Some(convert::log::end_to_wire(&end)),
                    };
                    self.say(Up::End(end)).await?;
                }
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Waits until the coordinator says something or there may be something to send.
    async fn wait(&mut self) -> Result<(), Error> {
        let may_send = self.credit > 0;
        let waiting: Vec<_> = self
            .attempts
            .values_mut()
            .filter(|sending| may_send && sending.can_have_more())
            .map(|sending| sending.wait().boxed())
            .collect();
        let any = async {
            if waiting.is_empty() { std::future::pending().await } else { select_all(waiting).await.0 }
        };
        let answer = tokio::select! {
            // The coordinator said something.
            answer = self.down.message() => answer,
            // Output was spooled.
            () = any => return Ok(()),
            // An attempt came or went; an error means that the worker ends, which cancels us.
            _ = self.changes.changed() => {
                self.changes.mark_changed();
                return Ok(());
            }
        };
        self.hear(answer)
    }

    fn hear(&mut self, answer: Result<Option<v1::UploadLogsResponse>, tonic::Status>) -> Result<(), Error> {
        let answer = answer.map_err(|status| Error::Status(Box::new(status)))?.ok_or(Error::Ended)?;
        match answer.message {
            Some(Down::Credit(credit)) => self.credit = self.credit.saturating_add(i64::from(credit.bytes)),
            Some(Down::Ack(ack)) => self.hear_ack(ack).map_err(Error::Convert)?,
            // A newer coordinator says something this version does not know.
            None => {}
        }
        Ok(())
    }

    fn hear_ack(&mut self, ack: v1::UploadAck) -> Result<(), convert::Error> {
        let attempt = convert::ids::attempt_from_wire("ack.attempt", ack.attempt)?;
        let durable = convert::log::offsets_from_wire("ack.durable", ack.durable)?;
        *self.got_on = true;
        let Some(sending) = self.attempts.get_mut(&attempt) else { return Ok(()) };
        if ack.refused {
            tracing::info!(%attempt, "output is not wanted");
        }
        if ack.refused || ack.end_durable {
            if !sending.is_delivered() {
                sending.close();
                (self.upload.delivered)(attempt);
            }
        } else {
            sending.acknowledged(durable, ack.rewind);
        }
        Ok(())
    }

    /// Hands a message over, and listens while there is no room: were neither side listening, both would wait for ever.
    async fn say(&mut self, message: Up) -> Result<(), Error> {
        loop {
            let answer = tokio::select! {
                // There is room.
                room = self.up.reserve() => {
                    room.map_err(|_| Error::Ended)?.send(request(message));
                    return Ok(());
                }
                // The coordinator said something.
                answer = self.down.message() => answer,
            };
            self.hear(answer)?;
        }
    }
}

fn request(message: Up) -> v1::UploadLogsRequest {
    v1::UploadLogsRequest { message: Some(message) }
}
