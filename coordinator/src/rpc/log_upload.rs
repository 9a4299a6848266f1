//! Taking in the output of workers: one stream a worker, many attempts on it, acknowledged when durable.
//!
//! ```text
//!   connected --UploadHello--> open: credit --UploadOpen--> ack(durable) --UploadChunk.., UploadEnd--> ack(durable)..
//! ```
//!
//! The worker may have [`CREDIT`] bytes of chunks on their way; what is written is granted again, so a slow disk slows
//! the worker and nothing piles up here. A hole, a wrong checksum or a full disk is answered with `rewind`.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use dockmgr_core::ids::{AttemptId, NodeId};
use dockmgr_core::log::{Entry, Progress};
use dockmgr_proto::convert;
use dockmgr_proto::v1::{self, upload_logs_request::Message as Up, upload_logs_response::Message as Down};
use dockmgr_support::error_chain::Chain;
use dockmgr_support::tasks::Tasks;
use futures_util::Stream;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::status;
use crate::logs::{self, AttemptDirectory, LogStore};

/// Bytes a worker may have on their way: a few round trips of a fast network, and what one worker may cost in memory.
const CREDIT: u32 = 4 * 1024 * 1024;
/// Written bytes that are granted again at once; fewer are gathered.
const GRANT: u32 = 256 * 1024;
/// Most bytes of one chunk.
const MAX_CHUNK: usize = 256 * 1024;
/// Attempts one stream may have open: more than a worker runs.
const MAX_OPEN: usize = 16_384;
/// Answers on their way to a worker; a worker that does not take them is not read from either.
const ANSWERS: usize = 256;
/// How long a new stream may be silent before its Hello: a worker sends it at once.
const HELLO_PATIENCE: Duration = Duration::from_secs(10);
/// Pause before a full disk is tried again; the worker keeps its copy meanwhile.
const DISK_PAUSE: Duration = Duration::from_secs(2);

/// The answers to a worker.
pub(crate) type Acks = Pin<Box<dyn Stream<Item = Result<v1::UploadLogsResponse, Status>> + Send>>;

/// Takes uploads in.
#[derive(Debug)]
pub(crate) struct UploadDesk<D = crate::controller::Handle> {
    directory: D,
    store: LogStore,
    tasks: Tasks,
    received: Counter,
}

impl<D: AttemptDirectory<Error = crate::controller::Error>> UploadDesk<D> {
    /// Takes uploads of the attempts `directory` knows into `store`; `received` counts their bytes.
    pub(crate) fn new(directory: D, store: LogStore, tasks: Tasks, received: Counter) -> Self {
        Self { directory, store, tasks, received }
    }

    /// Opens an upload: waits for its Hello and takes in what follows.
    pub(crate) async fn open(
        &self,
        request: Request<Streaming<v1::UploadLogsRequest>>,
    ) -> Result<Response<Acks>, Status> {
        let mut incoming = request.into_inner();
        let first = tokio::time::timeout(HELLO_PATIENCE, incoming.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no Hello came"))??;
        let Some(Up::Hello(hello)) = first.and_then(|first| first.message) else {
            return Err(status::invalid_field("message", "the first message must be hello"));
        };
        let node =
            hello.node_id.parse().map_err(|_| status::invalid_field("hello.node_id", "is no node id"))?;
        let (answers, outgoing) = mpsc::channel(ANSWERS);
        let ingest = Ingest {
            directory: self.directory.clone(),
            store: self.store.clone(),
            tasks: self.tasks.clone(),
            node,
            received: self.received.clone(),
            answers: answers.clone(),
            open: BTreeMap::new(),
            ungranted: CREDIT,
        };
        let stopping = self.tasks.token().clone();
        self.tasks.spawn("log-ingest", async move {
            let ended = tokio::select! {
                // The program ends: the worker comes again to the next start.
                () = stopping.cancelled() => Err(Status::unavailable("the coordinator is shutting down")),
                // The worker went away or was told why not.
                () = answers.closed() => Ok(()),
                ended = ingest.run(incoming) => ended,
            };
            if let Err(status) = ended {
                // An error means that the worker has gone away already.
                let _gone = answers.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }
}

type Answers = mpsc::Sender<Result<v1::UploadLogsResponse, Status>>;

struct Ingest<D> {
    directory: D,
    store: LogStore,
    tasks: Tasks,
    node: NodeId,
    received: Counter,
    answers: Answers,
    open: BTreeMap<AttemptId, Open>,
    ungranted: u32,
}

/// An attempt whose output is taken in.
struct Open {
    /// Whether the worker was told to rewind and what it sent before it heard so may still arrive.
    rewinding: bool,
    /// Dropping it ends the acknowledging.
    _acknowledging: watch::Sender<()>,
}

impl<D: AttemptDirectory<Error = crate::controller::Error>> Ingest<D> {
    async fn run(mut self, mut incoming: Streaming<v1::UploadLogsRequest>) -> Result<(), Status> {
        self.grant().await;
        while let Some(request) = incoming.message().await? {
            let invalid = |error: convert::Error| status::invalid(&[error.into()]);
            match request.message {
                Some(Up::Open(open)) => {
                    let id =
                        convert::ids::attempt_from_wire("open.attempt", open.attempt).map_err(invalid)?;
                    self.open_attempt(id).await?;
                }
                Some(Up::Chunk(chunk)) => {
                    let (id, record, crc) = convert::log::chunk_from_wire(chunk).map_err(invalid)?;
                    if record.bytes.len() > MAX_CHUNK {
                        return Err(status::invalid_field("chunk.data", "at most 262144 bytes"));
                    }
                    self.ungranted =
                        self.ungranted.saturating_add(u32::try_from(record.bytes.len()).unwrap_or(0));
                    if crc32fast::hash(&record.bytes) == crc {
                        self.take(id, Entry::Data(record)).await?;
                    } else {
                        tracing::warn!(attempt = %id, "uploaded output arrived damaged: asking for it again");
                        self.rewind(id).await?;
                    }
                    if self.ungranted >= GRANT {
                        self.grant().await;
                    }
                }
                Some(Up::End(end)) => {
                    let id = convert::ids::attempt_from_wire("end.attempt", end.attempt).map_err(invalid)?;
                    let end = convert::log::end_from_wire("end.end", end.end).map_err(invalid)?;
                    self.take(id, Entry::End(end)).await?;
                }
                Some(Up::Hello(_)) | None => {
                    return Err(status::invalid_field("message", "must be open, chunk or end"));
                }
            }
        }
        Ok(())
    }

    async fn open_attempt(&mut self, attempt: AttemptId) -> Result<(), Status> {
        if self.open.len() >= MAX_OPEN {
            return Err(status::exhausted("TOO_MANY_ATTEMPTS", "too many attempts are open on one upload"));
        }
        let wanted = self.directory.wants(self.node, attempt).await;
        if !wanted.map_err(|error| status::no_answer(&error))? {
            let refused = v1::UploadAck { refused: true, ..ack(attempt, &Progress::default()) };
            self.answer(Down::Ack(refused)).await;
            return Ok(());
        }
        let Some(durable) = self.durable(attempt).await? else { return Ok(()) };
        let now = durable.borrow().clone();
        // The first ack says from where to send.
        self.answer(Down::Ack(ack(attempt, &now))).await;
        let (open, closed) = watch::channel(());
        self.open.insert(attempt, Open { rewinding: false, _acknowledging: open });
        self.tasks.spawn("log-acks", acknowledge(attempt, durable, now, closed, self.answers.clone()));
        Ok(())
    }

    /// Writes one entry.
    async fn take(&mut self, attempt: AttemptId, entry: Entry) -> Result<(), Status> {
        if !self.open.contains_key(&attempt) {
            // It was refused while this was on its way.
            return Ok(());
        }
        let bytes = entry.payload_len() as u64;
        match self.store.append(attempt, vec![entry]).await {
            Ok(()) => {
                self.received.inc_by(bytes);
                self.open.entry(attempt).and_modify(|open| open.rewinding = false);
                Ok(())
            }
            Err(logs::Error::Missing(_)) => {
                // One rewind is enough for all that was on its way behind the hole.
                if self.open.get(&attempt).is_some_and(|open| open.rewinding) {
                    Ok(())
                } else {
                    self.rewind(attempt).await
                }
            }
            Err(logs::Error::Deleted | logs::Error::Conflict(_)) => {
                self.open.remove(&attempt);
                let refused = v1::UploadAck { refused: true, ..ack(attempt, &Progress::default()) };
                self.answer(Down::Ack(refused)).await;
                Ok(())
            }
            Err(error) if error.is_retryable() => {
                tracing::warn!(%attempt, error = %Chain(&error), "output could not be written: asking for it again");
                tokio::time::sleep(DISK_PAUSE).await;
                self.rewind(attempt).await
            }
            Err(error) => Err(unwritable(&error)),
        }
    }

    /// Asks for everything behind what is kept again.
    async fn rewind(&mut self, attempt: AttemptId) -> Result<(), Status> {
        if let Some(open) = self.open.get_mut(&attempt) {
            open.rewinding = true;
            let Some(durable) = self.durable(attempt).await? else { return Ok(()) };
            let durable = durable.borrow().clone();
            self.answer(Down::Ack(v1::UploadAck { rewind: true, ..ack(attempt, &durable) })).await;
        }
        Ok(())
    }

    /// What is durable of an attempt; `None`, and the worker knows, if it is over and kept.
    async fn durable(&self, attempt: AttemptId) -> Result<Option<watch::Receiver<Progress>>, Status> {
        let durable = self.store.durable(attempt).await.map_err(|error| unwritable(&error))?;
        if durable.is_none() {
            let over = v1::UploadAck { end_durable: true, ..ack(attempt, &Progress::default()) };
            self.answer(Down::Ack(over)).await;
        }
        Ok(durable)
    }

    async fn grant(&mut self) {
        let bytes = std::mem::take(&mut self.ungranted);
        self.answer(Down::Credit(v1::UploadCredit { bytes })).await;
    }

    async fn answer(&self, message: Down) {
        // An error means that the worker has gone away, which ends the stream of requests too.
        let _gone = self.answers.send(Ok(v1::UploadLogsResponse { message: Some(message) })).await;
    }
}

/// Tells the worker what of one attempt has become durable, until the end is or the stream closes.
async fn acknowledge(
    attempt: AttemptId,
    mut durable: watch::Receiver<Progress>,
    mut told: Progress,
    mut closed: watch::Receiver<()>,
    answers: Answers,
) {
    while !told.is_ended() {
        let news = tokio::select! {
            // More is durable.
            news = durable.wait_for(|now| *now != told) => news.map(|now| now.clone()),
            // The upload or the attempt was closed.
            _ = closed.changed() => return,
        };
        let Ok(news) = news else { return };
        told = news;
        let message = v1::UploadLogsResponse { message: Some(Down::Ack(ack(attempt, &told))) };
        if answers.send(Ok(message)).await.is_err() {
            return;
        }
    }
}

fn ack(attempt: AttemptId, durable: &Progress) -> v1::UploadAck {
    v1::UploadAck {
        attempt: Some(convert::ids::attempt_to_wire(attempt)),
        durable: Some(convert::log::offsets_to_wire(durable.offsets)),
        end_durable: durable.is_ended(),
        rewind: false,
        refused: false,
    }
}

/// The store takes nothing in; the worker keeps its copy and comes again.
fn unwritable(error: &logs::Error) -> Status {
    if matches!(error, logs::Error::NotLeading) {
        return status::no_answer(&crate::controller::Error::NotLeader);
    }
    tracing::error!(error = %Chain(error), "output cannot be kept");
    status::exhausted("LOG_STORE", "the coordinator cannot keep output right now")
}

#[cfg(test)]
mod tests;
