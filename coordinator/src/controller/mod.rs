//! The leader at work: the one task that owns the [`Cluster`] and carries out what it decides.
//!
//! ```text
//! rpc handlers, sessions --Handle--> inbox -> step -> group -> commit -> release: send, answer, publish
//!                                                ^                          |
//!                                                +--- reads see the same ---+
//! ```
//!
//! Owns order: effects of an event leave only when its group is durable, later events may be stepped meanwhile. Decides
//! nothing about jobs. Ends when leadership is lost or the store fails; whoever called [`lead`] campaigns again and
//! loads everything anew, so no decision ever stands on state that was not stored.

mod codec;
mod commands;
mod commit;
mod feed;
mod group;
mod handle;
mod input;
mod loading;
mod read_only;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use dockmgr_core::cluster::{Cluster, Config, Effects, Event, Token, WorkerNews};
use dockmgr_core::ids::{ClusterId, Epoch, NodeId};
use dockmgr_core::time::{BootTime, Now, WallTime};
use dockmgr_core::trace;
use dockmgr_support::clock;
use dockmgr_support::traces::Tracer;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::metrics::facts::Fact;
use crate::sessions::Sessions;
use crate::store::{self, Lease, Store};

use feed::FeedWriter;
use group::{Group, Outbox};
use handle::Term;
use input::{Input, Waiting};

pub(crate) use commit::commit as commit_in_parts;
pub use feed::{Compacted, Feed, JobNews, LoggedNote};
pub use handle::{Error, Handle};
pub use input::{SessionId, Speaker};

/// Inputs that may wait; beyond it callers wait themselves, so that a flood is felt by those who make it.
const INBOX_BOUND: usize = 4096;
/// Most inputs stepped between two looks at the commit in flight, so that answers are not held back by a full inbox.
const BURST: usize = 512;
/// Longest time without a tick: a safety net, nothing relies on it.
const SAFETY_TICK: Duration = Duration::from_secs(5);

/// What every term of leadership needs.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The state.
    pub store: Store,
    /// How the cluster decides, and the times workers are told.
    pub config: Config,
    /// What the leader lets the store forget.
    pub compaction: Option<store::Compaction>,
    /// Where is counted what happens.
    pub metrics: Metrics,
    /// Where spans go.
    pub tracer: Tracer,
}

/// Makes the publisher of terms and the handle that follows it.
pub fn handle() -> (Publisher, Handle) {
    let (sender, receiver) = watch::channel(None);
    (Publisher(sender), Handle::new(receiver))
}

/// Announces which controller leads.
#[derive(Debug)]
pub struct Publisher(watch::Sender<Option<Term>>);

/// Leads until the lease is lost, the store fails, or `stop` is cancelled; loads the cluster first.
///
/// # Errors
/// The store's; `is_fatal` and `ends_leadership` tell what to do.
pub async fn lead(
    terms: &Terms,
    cluster_id: ClusterId,
    lease: &Lease,
    publisher: &Publisher,
    stop: CancellationToken,
) -> Result<(), store::Error> {
    // Revisions grow across leaders although not each of them is stored: a later epoch's are larger than all before.
    let first = lease.epoch().0 << 32;
    let cluster = loading::load(&terms.store, terms.config.clone(), now(), lease.since(), first).await?;
    let (sender, inbox) = mpsc::channel(INBOX_BOUND);
    let feed = FeedWriter::new(cluster.revision(), read_only::revisions(&cluster));
    let term = Term { lease: lease.clone(), inbox: sender, feed: feed.feed(), read_only: None };
    let mut controller = Controller {
        epoch: lease.epoch(),
        cluster_id,
        terms,
        cluster,
        feed,
        publisher,
        sessions: Sessions::default(),
        waiting: BTreeMap::new(),
        next_token: 0,
        group: Group::default(),
        wake_at: None,
        lease: lease.clone(),
    };
    publisher.0.send_replace(Some(term));
    let ended = controller.run(inbox, stop).await;
    publisher.0.send_replace(None);
    controller.sessions.cut_all();
    ended
}

struct Controller<'a> {
    epoch: Epoch,
    cluster_id: ClusterId,
    terms: &'a Terms,
    cluster: Cluster,
    feed: FeedWriter,
    publisher: &'a Publisher,
    sessions: Sessions,
    waiting: BTreeMap<Token, Waiting>,
    next_token: u64,
    group: Group,
    wake_at: Option<BootTime>,
    lease: Lease,
}

/// A commit in flight and what leaves when it is durable.
struct InFlight {
    commit: Pin<Box<dyn Future<Output = Result<(), store::Error>> + Send>>,
    outbox: Outbox,
}

impl Controller<'_> {
    /// Works, and keeps still while the store takes no writes.
    async fn run(
        &mut self,
        mut inbox: mpsc::Receiver<Input>,
        stop: CancellationToken,
    ) -> Result<(), store::Error> {
        loop {
            let ended = self.work(&mut inbox, &stop).await;
            match ended.as_ref().err().and_then(store::Error::notice) {
                Some(notice) if !stop.is_cancelled() => self.keep_still(&notice, &mut inbox, &stop).await?,
                Some(_) | None => return ended,
            }
        }
    }

    async fn work(
        &mut self,
        inbox: &mut mpsc::Receiver<Input>,
        stop: &CancellationToken,
    ) -> Result<(), store::Error> {
        let mut in_flight: Option<InFlight> = None;
        let lease = self.lease.clone();
        self.step(Event::Tick { jitter: fastrand::u64(..) });
        loop {
            if in_flight.is_none() && !self.group.is_empty() {
                in_flight = self.close_group()?;
            }
            tokio::select! {
                biased;
                // The oldest group is durable: let its effects out.
                done = async { in_flight.as_mut().expect("guarded by the condition").commit.as_mut().await },
                    if in_flight.is_some() => {
                    done?;
                    if let Some(done) = in_flight.take() {
                        self.release(done.outbox)?;
                    }
                }
                // Somebody else leads, or may: what is in memory is not to be trusted any more.
                () = lease.lost() => return Err(store::Error::Fenced { epoch: self.epoch }),
                // Clients or workers want something.
                Some(input) = inbox.recv() => {
                    self.take(input);
                    for _ in 1..BURST {
                        let Ok(more) = inbox.try_recv() else { break };
                        self.take(more);
                    }
                }
                // A moment the cluster asked for, or the safety net.
                () = tokio::time::sleep(self.until_tick()) => {
                    self.step(Event::Tick { jitter: fastrand::u64(..) });
                }
                // The program ends; what is in flight is finished, what was not answered is tried again by its sender.
                () = stop.cancelled() => {
                    if let Some(last) = in_flight.take() {
                        last.commit.await?;
                        self.release(last.outbox)?;
                    }
                    return Ok(());
                }
            }
        }
    }

    fn until_tick(&self) -> Duration {
        self.wake_at.map_or(SAFETY_TICK, |at| at.since(now().boot).min(SAFETY_TICK))
    }

    /// Turns one input into a step, a look, or a change of sessions.
    fn take(&mut self, input: Input) {
        match input {
            Input::Request { request, answer } => {
                let token = Token(self.next_token);
                self.next_token += 1;
                self.waiting.insert(token, answer);
                self.step(Event::Request(token, request));
            }
            Input::Read(look) => {
                let release = look(&self.cluster, now());
                self.group.outbox.reads.push(release);
            }
            Input::SessionOpened { speaker, hello, outgoing } => {
                if self.sessions.open(speaker, outgoing) {
                    self.worker(speaker, WorkerNews::Hello(hello));
                }
            }
            Input::Worker { speaker, news } => {
                if !self.sessions.is_current(speaker) {
                    return;
                }
                if news == WorkerNews::Disconnected {
                    self.sessions.close(speaker);
                }
                self.worker(speaker, news);
            }
        }
    }

    fn worker(&mut self, speaker: Speaker, news: WorkerNews) {
        self.step(Event::Worker { node: speaker.node, incarnation: speaker.incarnation, news });
    }

    fn step(&mut self, event: Event) {
        let now = now();
        let began = Instant::now();
        let mut effects = self.cluster.step(now, event);
        self.terms.metrics.jobs.pass(began.elapsed());
        for node in std::mem::take(&mut effects.hang_ups) {
            self.sessions.hang_up(node);
        }
        self.group.add(&mut effects);
        self.group.outbox.at = now.wall;
        self.note(effects, now.wall);
    }

    /// Adds what one step answers and tells to the open group.
    fn note(&mut self, effects: Effects, now: WallTime) {
        self.wake_at = effects.wake_at;
        for (token, answer) in effects.answers {
            if let Some(waiting) = self.waiting.remove(&token) {
                self.group.outbox.answers.push((waiting, answer));
            }
        }
        for job in effects.changed {
            if let Some(found) = self.cluster.job(job) {
                self.group.outbox.changed.push((job, found.revision));
            }
        }
        let revision = self.cluster.revision();
        self.group.outbox.deleted.extend(effects.deleted.into_iter().map(|job| (job, revision)));
        for note in effects.notes {
            self.group.outbox.facts.extend(Fact::of(&self.cluster, &note, now));
            if self.terms.tracer.is_on() {
                self.group.outbox.spans.extend(trace::spans(self.cluster_id, &self.cluster, &note, now));
            }
            let name = note.node.map(|node| self.node_name(node)).unwrap_or_default();
            self.group.outbox.notes.push((note, name));
        }
    }

    fn node_name(&self, node: NodeId) -> String {
        self.cluster.node(node).map(|node| node.name.to_string()).unwrap_or_default()
    }

    /// Starts to store the open group; one without records leaves at once, since all before it is durable.
    fn close_group(&mut self) -> Result<Option<InFlight>, store::Error> {
        let group = self.group.take();
        if group.dirty.is_empty() {
            self.release(group.outbox)?;
            return Ok(None);
        }
        let writes =
            codec::in_order(&group.dirty).map(|record| codec::write(&self.cluster, record)).collect();
        let commit = Box::pin(commit::commit(self.terms.store.clone(), self.epoch, writes));
        Ok(Some(InFlight { commit, outbox: group.outbox }))
    }

    /// Lets effects out, if nobody else can be leading yet: a process that was stopped for a while finds its last commit
    /// durable and its lease long over, and must neither command nor answer any more.
    fn release(&mut self, outbox: Outbox) -> Result<(), store::Error> {
        if !self.lease.is_current() {
            return Err(store::Error::Fenced { epoch: self.epoch });
        }
        for send in outbox.sends.into_iter().filter(|send| self.cluster.is_current(send)) {
            let message = commands::message(self.epoch, self.cluster_id, &self.terms.config, &send.command);
            self.sessions.send(send.node, send.incarnation, message);
        }
        for (waiting, answer) in outbox.answers {
            // An error means that the client has gone away.
            let _gone = waiting.send(Ok(answer));
        }
        for release in outbox.reads {
            release();
        }
        self.feed.publish(&outbox.changed, &outbox.deleted);
        let meter = &self.terms.metrics.jobs;
        meter.count(&outbox.facts);
        self.terms.tracer.record(outbox.spans);
        for (note, _) in &outbox.notes {
            meter.event(note.kind);
        }
        self.feed.log(outbox.at, outbox.notes);
        Ok(())
    }
}

fn now() -> Now {
    Now { boot: BootTime(clock::boot_nanos()), wall: WallTime(clock::wall_millis()) }
}
