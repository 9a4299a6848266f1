//! The worker's session: Hello first, then news up and commands down.
//!
//! ```text
//! connected --Hello--> open --Goodbye, end of stream, cut, silence--> closed (the cluster hears Disconnected)
//!     \--anything else, or nothing within HELLO_PATIENCE--> refused
//! ```
//!
//! Owns converting and the order of one stream. Whether the session is the node's current one is the controller's.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dockmgr_core::cluster::WorkerNews;
use dockmgr_core::ids::Epoch;
use dockmgr_core::time::BootTime;
use dockmgr_proto::convert;
use dockmgr_proto::v1::{self, session_request::Message as Up, session_response::Message as Down};
use dockmgr_support::clock;
use dockmgr_support::tasks::Tasks;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::status;
use crate::controller::{Handle, SessionId, Speaker};
use crate::sessions::{OUTGOING_BOUND, Outgoing};
use crate::usage::UsageBook;

/// How long a new stream may be silent before its Hello: a worker sends it at once.
const HELLO_PATIENCE: Duration = Duration::from_secs(10);
/// How long an open session may be silent: fifteen lost heartbeats of the default interval. TCP may take minutes to notice
/// a vanished peer.
const SILENCE_PATIENCE: Duration = Duration::from_secs(30);

/// The stream of commands to a worker.
pub(crate) type Commands = Pin<Box<dyn Stream<Item = Result<v1::SessionResponse, Status>> + Send>>;

/// Takes sessions in.
#[derive(Debug)]
pub(crate) struct SessionDesk {
    handle: Handle,
    tasks: Tasks,
    next: AtomicU64,
    usage: UsageBook,
}

impl SessionDesk {
    /// Takes sessions in for the controller behind `handle`.
    pub(crate) fn new(handle: Handle, tasks: Tasks, usage: UsageBook) -> Self {
        Self { handle, tasks, next: AtomicU64::new(1), usage }
    }

    /// Opens a session: waits for its Hello and hands it to the controller.
    pub(crate) async fn open(
        &self,
        request: Request<Streaming<v1::SessionRequest>>,
    ) -> Result<Response<Commands>, Status> {
        let mut incoming = request.into_inner();
        let first = tokio::time::timeout(HELLO_PATIENCE, incoming.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no Hello came"))??;
        let Some(Up::Hello(wire)) = first.and_then(|first| first.message) else {
            return Err(status::invalid_field("message", "the first message must be hello"));
        };
        let session = SessionId(self.next.fetch_add(1, Ordering::Relaxed));
        let hello =
            convert::session::hello_from_wire(wire).map_err(|error| status::invalid(&[error.into()]))?;
        let speaker = Speaker::new(hello.node, hello.incarnation, session);
        let epoch = self.handle.leads_now().map_err(|error| status::no_answer(&error))?;
        let (messages, outgoing) = mpsc::channel(OUTGOING_BOUND);
        let cut = CancellationToken::new();
        let replaced = CancellationToken::new();
        let way_out = Outgoing { messages: messages.clone(), cut: cut.clone(), replaced: replaced.clone() };
        let opened = self.handle.open_session(speaker, Box::new(hello.hello), way_out).await;
        opened.map_err(|error| status::no_answer(&error))?;
        let ear =
            Ear { handle: self.handle.clone(), speaker, messages, epoch: epoch.0, usage: self.usage.clone() };
        let ended = cut.clone();
        let stopping = self.tasks.token().clone();
        self.tasks.spawn("session", async move {
            tokio::select! {
                // The controller cut it off: a newer session took its place, or it takes its messages too slowly.
                () = cut.cancelled() => {}
                // The program ends.
                () = stopping.cancelled() => cut.cancel(),
                // The worker went away, or said something it must not say.
                () = ear.listen(incoming) => cut.cancel(),
            }
            ear.hang_up().await;
        });
        let last_words =
            stream::once(async move { replaced.is_cancelled().then(|| Err(replaced_by_another())) });
        let commands = ReceiverStream::new(outgoing).map(Ok).take_until(ended.cancelled_owned());
        let commands = commands.chain(last_words.filter_map(std::future::ready));
        Ok(Response::new(Box::pin(commands)))
    }
}

/// What a worker hears whose node id another one has. It must not dial again.
fn replaced_by_another() -> Status {
    Status::already_exists(
        "another worker has registered with this node id: its data folder is a copy of this one's",
    )
}

/// Listens to one worker.
struct Ear {
    handle: Handle,
    speaker: Speaker,
    messages: mpsc::Sender<v1::SessionResponse>,
    epoch: u64,
    usage: UsageBook,
}

impl Ear {
    async fn listen(&self, mut incoming: Streaming<v1::SessionRequest>) {
        loop {
            let message = match tokio::time::timeout(SILENCE_PATIENCE, incoming.message()).await {
                Ok(Ok(Some(message))) => message,
                Ok(Ok(None)) => return,
                Ok(Err(error)) => {
                    tracing::debug!(worker_id = %self.speaker.node, %error, "session broke");
                    return;
                }
                Err(_) => {
                    tracing::info!(worker_id = %self.speaker.node, "session is silent: closing it");
                    return;
                }
            };
            if !self.take(message).await {
                return;
            }
        }
    }

    /// Passes one message on; false if the session is over.
    async fn take(&self, message: v1::SessionRequest) -> bool {
        let (news, heartbeat) = match message.message {
            Some(Up::Heartbeat(mut wire)) => {
                let sequence = wire.sequence;
                let samples = convert::session::samples_from_wire(std::mem::take(&mut wire.samples));
                let news = samples.and_then(|samples| {
                    self.usage.take(samples, BootTime(clock::boot_nanos()));
                    convert::session::heartbeat_from_wire(wire)
                });
                (news, Some(sequence))
            }
            Some(Up::Report(wire)) => {
                (convert::session::report_from_wire("report", wire).map(WorkerNews::Report), None)
            }
            Some(Up::Goodbye(goodbye)) => {
                tracing::info!(worker_id = %self.speaker.node, reason = goodbye.reason, "worker says goodbye");
                return false;
            }
            Some(Up::Hello(_)) => {
                tracing::warn!(worker_id = %self.speaker.node, "a second hello on one session: closing it");
                return false;
            }
            // A newer worker may say what this coordinator does not know yet.
            None => return true,
        };
        let news = match news {
            Ok(news) => news,
            Err(error) => {
                tracing::warn!(worker_id = %self.speaker.node, %error, "worker said something malformed: closing its session");
                return false;
            }
        };
        if self.handle.worker_said(self.speaker, news).await.is_err() {
            return false;
        }
        let Some(sequence) = heartbeat else { return true };
        // A worker counts on the leader having heard it from the moment it sent this: only a leader may say so.
        if self.handle.leads_now() != Ok(Epoch(self.epoch)) {
            return false;
        }
        let clock = Duration::from_nanos(clock::boot_nanos());
        let leader_clock = Some(convert::time::duration_to_wire(clock));
        let ack = Down::HeartbeatAck(v1::HeartbeatAck { sequence, leader_clock });
        self.messages.try_send(v1::SessionResponse { epoch: self.epoch, message: Some(ack) }).is_ok()
    }

    async fn hang_up(&self) {
        // An error means that nobody leads: the next leader begins without sessions.
        let _nobody = self.handle.worker_said(self.speaker, WorkerNews::Disconnected).await;
    }
}
