//! One session over one connection.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use dockmgr_core::ids::AttemptId;
use dockmgr_core::samples::Turns;
use dockmgr_core::time::BootTime;
use dockmgr_proto::convert::session as wire;
use dockmgr_proto::v1::worker_service_client::WorkerServiceClient;
use dockmgr_proto::v1::{
    Goodbye, Heartbeat, SessionRequest, SessionResponse, session_request, session_response,
};
use dockmgr_support::channel::{self, Address, Bearer};
use dockmgr_support::clock;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use super::{Error, Session};

/// How long a coordinator may take from Hello to Welcome: it stores the node first.
const WELCOME: Duration = Duration::from_secs(10);
/// Messages on the way up; the connection itself holds a window more.
const QUEUE: usize = 64;
/// A message that cannot be handed over for this long means a stalled connection.
const SEND: Duration = Duration::from_secs(10);
/// Silence after which a session is given up, at the least; and in heartbeats. The leader answers each heartbeat.
const SILENCE: Duration = Duration::from_secs(10);
/// See [`SILENCE`].
const SILENT_HEARTBEATS: u32 = 4;
/// Reports sent before the next look at other things.
const REPORTS_AT_ONCE: usize = 256;
/// Names of images told at once.
const IMAGES_AT_ONCE: usize = 1000;
/// A stalled session must not take memory: far below the connection's window, which other calls need too.
const STREAM_WINDOW: u32 = 64 * 1024;
/// See [`STREAM_WINDOW`].
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Heartbeats whose answer is awaited: a session that is silent for far fewer is given up.
const AWAITED: usize = 256;
/// Time for the goodbye to leave.
const GOODBYE: Duration = Duration::from_secs(1);

/// A session that was welcomed.
struct Live<'a> {
    session: &'a Session,
    up: mpsc::Sender<SessionRequest>,
    down: Streaming<SessionResponse>,
    heartbeat: Duration,
    /// Reports this coordinator has got.
    sent: BTreeMap<AttemptId, u64>,
    /// Images this coordinator knows of.
    images: BTreeSet<String>,
    beats: u64,
    /// Whose samples were told.
    turns: Turns,
    /// When the heartbeats that wait for an answer were sent, by number.
    awaited: VecDeque<(u64, BootTime)>,
}

impl Session {
    /// Holds one session; `Ok` when the worker ends, else why the session did.
    pub(super) async fn hold(&self, address: &Address, token: &CancellationToken) -> Result<(), Error> {
        match token.run_until_cancelled(self.open(address)).await {
            None => Ok(()),
            Some(live) => live?.run(token).await,
        }
    }

    async fn open(&self, address: &Address) -> Result<Live<'_>, Error> {
        let endpoint = channel::endpoint(address, &self.credentials)
            .map_err(Error::Channel)?
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let bearer = Bearer::new(self.credentials.token.as_ref());
        let mut client = WorkerServiceClient::with_interceptor(endpoint.connect_lazy(), bearer);
        let (hello, sent) = self.hello();
        let images = hello.images.clone();
        let (node, cluster) = self.node.with_data(|data| (data.node(), data.cluster()));
        let hello = wire::hello_to_wire(node, self.node.incarnation, cluster, &hello);
        let (up, queue) = mpsc::channel(QUEUE);
        // Before it leaves: what counts is never later than what the leader counts from.
        let said = BootTime(clock::boot_nanos());
        let first = SessionRequest { message: Some(session_request::Message::Hello(hello)) };
        up.send(first).await.map_err(|_| Error::Ended)?;
        let greeting = async {
            let mut down = client.session(ReceiverStream::new(queue)).await.map_err(refused)?.into_inner();
            let first = down.message().await.map_err(refused)?.ok_or(Error::Ended)?;
            Ok((down, first))
        };
        let (down, first) =
            tokio::time::timeout(WELCOME, greeting).await.map_err(|_| Error::Silent(WELCOME))??;
        let heartbeat = self.welcomed(first)?;
        self.attempts.context().contact.heard(said);
        tracing::info!(coordinator = %address, "session open");
        self.attempts.context().health.session_began();
        Ok(Live {
            session: self,
            up,
            down,
            heartbeat,
            sent,
            images,
            beats: 0,
            turns: Turns::default(),
            awaited: VecDeque::new(),
        })
    }
}

impl Live<'_> {
    async fn run(mut self, token: &CancellationToken) -> Result<(), Error> {
        let outbox = self.session.attempts.context().outbox.clone();
        let silence = SILENCE.max(self.heartbeat * SILENT_HEARTBEATS);
        let mut beat = tokio::time::interval(self.heartbeat);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut deadline = tokio::time::Instant::now() + silence;
        self.send_reports().await?;
        loop {
            tokio::select! {
                // The worker ends.
                () = token.cancelled() => return self.say_goodbye().await,
                // A command, or an answer to a heartbeat.
                message = self.down.message() => {
                    deadline = tokio::time::Instant::now() + silence;
                    self.take(message.map_err(refused)?.ok_or(Error::Ended)?)?;
                }
                // Time for a sign of life.
                _ = beat.tick() => self.send_heartbeat().await?,
                // An attempt has news.
                () = outbox.changed() => self.send_reports().await?,
                // A connection can be dead without an error.
                () = tokio::time::sleep_until(deadline) => return Err(Error::Silent(silence)),
            }
        }
    }

    fn take(&mut self, message: SessionResponse) -> Result<(), Error> {
        let answered = match &message.message {
            Some(session_response::Message::HeartbeatAck(ack)) => Some(ack.sequence),
            Some(_) | None => None,
        };
        // Refuses an old leader, whose answers prove nothing.
        self.session.command(message)?;
        let Some(sequence) = answered else { return Ok(()) };
        while let Some((awaited, sent)) =
            self.awaited.front().copied().filter(|(awaited, _)| *awaited <= sequence)
        {
            self.awaited.pop_front();
            if awaited == sequence {
                self.session.attempts.context().contact.heard(sent);
                self.session.attempts.confirm();
            }
        }
        Ok(())
    }

    async fn send_heartbeat(&mut self) -> Result<(), Error> {
        let images = self.session.node.images.now();
        let added: Vec<String> = images.difference(&self.images).take(IMAGES_AT_ONCE).cloned().collect();
        let removed: Vec<String> = self.images.difference(&images).take(IMAGES_AT_ONCE).cloned().collect();
        self.images.extend(added.iter().cloned());
        self.images.retain(|name| !removed.contains(name));
        self.beats += 1;
        if self.awaited.len() == AWAITED {
            self.awaited.pop_front();
        }
        let now = BootTime(clock::boot_nanos());
        self.awaited.push_back((self.beats, now));
        let health = &self.session.attempts.context().health;
        let status = health.status();
        let newest = self.session.attempts.context().usage.newest();
        let samples = self.turns.next(&newest).into_iter();
        let samples = samples.map(|(attempt, sample)| wire::sample_to_wire(attempt, sample)).collect();
        health.beat_sent(self.beats, now);
        self.send(session_request::Message::Heartbeat(Heartbeat {
            sequence: self.beats,
            status: Some(wire::status_to_wire(&status)),
            images_added: added,
            images_removed: removed,
            samples,
        }))
        .await
    }

    async fn send_reports(&mut self) -> Result<(), Error> {
        loop {
            let outbox = &self.session.attempts.context().outbox;
            let reports = outbox.newer_than(&mut self.sent, REPORTS_AT_ONCE);
            if reports.is_empty() {
                return Ok(());
            }
            for report in reports {
                self.send(session_request::Message::Report(wire::report_to_wire(&report))).await?;
            }
        }
    }

    async fn say_goodbye(self) -> Result<(), Error> {
        let goodbye = Goodbye { reason: "the worker ends in an orderly way".to_owned() };
        self.send(session_request::Message::Goodbye(goodbye)).await?;
        let Self { up, mut down, .. } = self;
        // The half-close tells the coordinator that nothing follows; its answer proves that the goodbye arrived.
        drop(up);
        let rest = async { while let Ok(Some(_)) = down.message().await {} };
        drop(tokio::time::timeout(GOODBYE, rest).await);
        Ok(())
    }

    async fn send(&self, message: session_request::Message) -> Result<(), Error> {
        let sent = tokio::time::timeout(SEND, self.up.send(SessionRequest { message: Some(message) })).await;
        sent.map_err(|_| Error::Silent(SEND))?.map_err(|_| Error::Ended)
    }
}

impl Session {
    /// Takes the first message in, which must be a Welcome, and gives the heartbeat interval.
    fn welcomed(&self, first: SessionResponse) -> Result<Duration, Error> {
        let Some(session_response::Message::Welcome(welcome)) = first.message else {
            return Err(Error::NoWelcome);
        };
        self.obey(first.epoch)?;
        self.join(&welcome)
    }
}

fn refused(status: tonic::Status) -> Error {
    Error::Status(Box::new(status))
}
