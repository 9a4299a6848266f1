//! The cluster as data, and the frame of a step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ids::{JobId, JobUid, NodeId};
use crate::scheduler::{OpenHosts, Queue, Scope};
use crate::time::{BootTime, Now, WallTime};

use super::config::{CHUNK_TASKS, Config};
use super::counts::Totals;
use super::effect::{Command, Effects, Note, NoteKind, Record, Send};
use super::event::Event;
use super::job::Jobs;
use super::loss::Census;
use super::node::Node;
use super::request::StoredRequest;
use super::specs::Specs;
use super::timers::Timers;

/// Everything the leader knows. One owner, no locks; see the module for the rules.
#[derive(Debug)]
pub struct Cluster {
    pub(super) config: Config,
    pub(super) revision: u64,
    pub(super) next_job_id: u64,
    pub(super) jobs: Jobs,
    pub(super) specs: Specs,
    pub(super) names: BTreeMap<String, BTreeSet<JobId>>,
    pub(super) uids: BTreeMap<JobUid, JobId>,
    /// Ended jobs by when they ended, for retention.
    pub(super) ended: BTreeSet<(WallTime, JobId)>,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) requests: BTreeMap<Arc<str>, StoredRequest>,
    pub(super) queue: Queue,
    pub(super) open: OpenHosts,
    /// What may have become placeable since the last pass.
    pub(super) scope: Scope,
    pub(super) timers: Timers,
    /// The mass-loss brake, while it holds.
    pub(super) brake: Option<Census>,
    /// When the brake was last let go.
    pub(super) brake_released: Option<BootTime>,
    /// How many nodes are silent may have changed, or a silent one's time is up.
    pub(super) review_losses: bool,
    /// Hellos so far: the number of the newest session.
    pub(super) hellos: u64,
    /// A look for old ended jobs is among the timers.
    pub(super) retention_armed: bool,
    pub(super) totals: Totals,
    /// Stirred by every tick; spreads back-offs.
    pub(super) seed: u64,
    pub(super) now: Now,
    /// Effects of the step under way.
    pub(super) out: Effects,
}

impl Cluster {
    /// A cluster in which nothing ever happened.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            revision: 0,
            next_job_id: 1,
            jobs: Jobs::new(),
            specs: Specs::default(),
            names: BTreeMap::new(),
            uids: BTreeMap::new(),
            ended: BTreeSet::new(),
            nodes: BTreeMap::new(),
            requests: BTreeMap::new(),
            queue: Queue::default(),
            open: OpenHosts::default(),
            scope: Scope::Shapes(BTreeSet::new()),
            timers: Timers::default(),
            brake: None,
            brake_released: None,
            review_losses: false,
            hellos: 0,
            retention_armed: false,
            totals: Totals::default(),
            seed: 0,
            now: Now::default(),
            out: Effects::default(),
        }
    }

    /// Applies `event` to the cluster and returns, in order, what the shell must do.
    ///
    /// `now.boot` must not go back; if it does, the latest one seen counts.
    pub fn step(&mut self, now: Now, event: Event) -> Effects {
        self.now = Now { boot: now.boot.max(self.now.boot), wall: now.wall };
        match event {
            Event::Request(token, request) => self.on_request(token, request),
            Event::Worker { node, incarnation, news } => self.on_worker(node, incarnation, news),
            Event::Tick { jitter } => self.on_tick(jitter),
        }
        if std::mem::take(&mut self.review_losses) {
            self.give_up_overdue();
        }
        for job in self.out.changed.clone() {
            self.settle(job);
        }
        let more = self.place();
        self.finish(more)
    }

    /// When the next [`Event::Tick`] is due; `None` if nothing waits for time.
    pub fn wake_at(&self) -> Option<BootTime> {
        self.timers.next()
    }

    /// Brings everything derived from a job up to date after it changed: its end, its place in the queue, the totals.
    pub(super) fn settle(&mut self, id: JobId) {
        self.end_job_if_over(id);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if let Some(shape) = job.shape {
            let queued = job.next_ready().is_some();
            if self.queue.set(shape, job.place_in_queue(), queued)
                && let Scope::Shapes(shapes) = &mut self.scope
            {
                shapes.insert(shape);
            }
            if job.ended.is_some() {
                self.queue.release(shape);
                job.shape = None;
            }
        }
        let (before, after) = (std::mem::replace(&mut job.tallied, job.counts), job.counts);
        self.totals.add_tasks(after);
        self.totals.take_tasks(before);
    }

    fn finish(&mut self, more: bool) -> Effects {
        let mut out = std::mem::take(&mut self.out);
        for id in &out.changed {
            self.revision += 1;
            if let Some(job) = self.jobs.get_mut(id) {
                job.revision = self.revision;
            }
        }
        self.revision += out.deleted.len() as u64;
        out.changed.retain(|id| self.jobs.contains_key(id));
        out.wake_at = if more { Some(self.now.boot) } else { self.timers.next() };
        out
    }

    /// Marks a task's stored state as changed.
    pub(super) fn dirty_task(&mut self, job: JobId, position: u32) {
        self.out.dirty.insert(Record::Chunk(job, position / CHUNK_TASKS));
        self.out.changed.insert(job);
    }

    /// Marks a job's own record as changed.
    pub(super) fn dirty_job(&mut self, job: JobId) {
        self.out.dirty.insert(Record::Job(job));
        self.out.changed.insert(job);
    }

    /// Sends a command to a node's worker; the shell drops it if there is no session.
    pub(super) fn send(&mut self, node: NodeId, command: Command) {
        if let Some(Node { incarnation, session, .. }) = self.nodes.get(&node) {
            self.out.sends.push(Send { node, incarnation: *incarnation, session: *session, command });
        }
    }

    /// Whether a command still has a session to go to. What was decided before the newest Hello of its node must not be
    /// sent on that Hello's session: the Hello does not know of it, and what it does not name is taken for gone.
    pub fn is_current(&self, send: &Send) -> bool {
        self.nodes.get(&send.node).is_some_and(|node| node.session == send.session)
    }

    pub(super) fn note_job(&mut self, kind: NoteKind, job: JobId, message: impl Into<String>) {
        self.out.notes.push(Note {
            kind,
            job: Some(job),
            attempt: None,
            node: None,
            message: message.into(),
        });
    }

    pub(super) fn note_node(&mut self, kind: NoteKind, node: NodeId, message: impl Into<String>) {
        self.out.notes.push(Note {
            kind,
            job: None,
            attempt: None,
            node: Some(node),
            message: message.into(),
        });
    }

    /// Brings the scheduler's view of a node up to date; `room` says that it may take more than before.
    pub(super) fn refresh_node(&mut self, id: NodeId, room: bool) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.refresh();
        self.open.update(id, &node.host);
        if room {
            self.scope = Scope::All;
        }
    }
}
