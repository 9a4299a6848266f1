//! A cluster from its records, after a restart or a change of leader.
//!
//! Nothing that was stored is doubted, and nothing is concluded from the time that passed meanwhile: every node is
//! unseen and has full new windows before it counts as silent and before it is given up; back-offs, queue time-outs and
//! the keeping of idempotency keys begin anew. The deadline of a drain goes on with the time that was left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{Incarnation, JobId, JobUid, NodeId};
use crate::outcome::{EndReason, TaskState};
use crate::retention::Reason;
use crate::scheduler::Host;
use crate::spec::{JobSpec, LabelKey, LabelValue, Resources};
use crate::time::{Now, WallTime};

use super::config::Config;
use super::counts::Counts;
use super::effect::Record;
use super::end::{later, noise, outcome};
use super::event::NodeStatus;
use super::indices::Indices;
use super::job::Job;
use super::node::{Drain, Node};
use super::request::StoredRequest;
use super::state::Cluster;
use super::task::{StopWish, TaskEntry};
use super::timers::Timer;

/// Everything the store holds of a cluster.
#[derive(Debug, Clone, Default)]
pub struct Restored {
    /// The next job number.
    pub next_job_id: u64,
    /// Revisions handed out from now on are larger. The epoch shifted left by 32 bits keeps them growing across leaders.
    pub revision: u64,
    /// Jobs with their touched tasks.
    pub jobs: Vec<StoredJob>,
    /// Nodes.
    pub nodes: Vec<StoredNode>,
    /// Idempotency keys.
    pub requests: Vec<(String, StoredRequest)>,
    /// Records that a cut-off group left and that mean nothing: the first step removes them, or they could come to mean
    /// something when their number is used again.
    pub stale: Vec<Record>,
}

/// A job as it was stored. Fields as in [`Job`].
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of `Job`")]
pub struct StoredJob {
    pub id: JobId,
    pub uid: JobUid,
    pub spec: Arc<JobSpec>,
    pub created: WallTime,
    pub started: Option<WallTime>,
    pub ended: Option<WallTime>,
    pub retry_of: Option<JobId>,
    pub stop: Option<StopWish>,
    pub rest: Option<EndReason>,
    pub pinned_digest: Option<Arc<str>>,
    pub overlap_possible: bool,
    pub pinned: bool,
    pub output_deleted: Option<(WallTime, Reason)>,
    pub indices: Indices,
    pub revision: u64,
    /// Touched tasks of all chunks, in any order; positions the job does not have are left out.
    pub tasks: Vec<TaskEntry>,
}

/// A node as it was stored. Fields as in [`Node`] and [`Host`].
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of `Node`")]
pub struct StoredNode {
    pub id: NodeId,
    pub incarnation: Incarnation,
    pub name: Arc<str>,
    pub labels: BTreeMap<LabelKey, LabelValue>,
    pub capacity: Resources,
    pub allowed_mounts: Vec<String>,
    pub draining: bool,
    pub drain_left: Option<Duration>,
    pub given_up: bool,
    pub registered: WallTime,
    pub worker_version: String,
    pub runtime_version: String,
    pub boot_id: String,
}

impl Cluster {
    /// The cluster these records describe.
    pub fn restore(config: Config, now: Now, restored: Restored) -> Self {
        let mut cluster = Self::new(config);
        cluster.now = now;
        cluster.revision = restored.revision;
        cluster.next_job_id = restored.next_job_id.max(1);
        for node in restored.nodes {
            cluster.restore_node(node);
        }
        for (key, request) in restored.requests {
            let at = now.boot + cluster.config.request_keep;
            let key: Arc<str> = key.into();
            cluster.timers.set(at, Timer::ForgetRequest(Arc::clone(&key)));
            cluster.requests.insert(key, request);
        }
        for job in restored.jobs {
            cluster.restore_job(job);
        }
        cluster.out.dirty.extend(restored.stale);
        if cluster.next_job_id > restored.next_job_id.max(1) {
            // The numbers of a group that was cut off: without them the number of a job that is forgotten soon would be
            // given out again.
            cluster.out.dirty.insert(Record::Cluster);
        }
        let nodes: Vec<NodeId> = cluster.nodes.keys().copied().collect();
        for node in nodes {
            cluster.refresh_node(node, true);
        }
        cluster.totals.nodes = cluster.nodes.len() as u64;
        cluster.arm_retention();
        cluster
    }

    fn restore_node(&mut self, stored: StoredNode) {
        let id = stored.id;
        self.timers.set(self.now.boot + self.config.suspect_after, Timer::Silence(id));
        let node = Node::unseen(stored, self.now);
        let due = node.drain.and_then(|drain| drain.due);
        self.nodes.insert(id, node);
        if let Some(due) = due {
            self.arm_drain(id, due);
        }
    }

    fn restore_job(&mut self, stored: StoredJob) {
        let id = stored.id;
        self.next_job_id = self.next_job_id.max(id.get() + 1);
        self.revision = self.revision.max(stored.revision);
        let mut job = Job::from_stored(stored);
        for position in job.live.clone() {
            self.restore_place(&mut job, position);
        }
        for position in job.waiting.clone() {
            self.restore_backoff(&mut job, position);
        }
        if let Some(timeout) = job.spec.queue_timeout.filter(|_| job.rest.is_none() && job.untouched() > 0) {
            self.timers.set(self.now.boot + timeout, Timer::QueueTimeout(id));
        }
        let stop = job.stop;
        let queued: Vec<u32> = job.waiting.iter().copied().collect();
        self.insert_job(job);
        if let Some(wish) = stop {
            // The stop was stored, the ends of its queued tasks were cut off.
            for position in queued {
                self.end_unplaced(id, position, wish.end_reason(), "ended before it was placed");
            }
        }
        self.settle(id);
    }

    /// Takes the place of a live attempt on its node again.
    fn restore_place(&mut self, job: &mut Job, position: u32) {
        let stop = job.stop_of(position).is_some();
        let Some(entry) = job.tasks.get_mut(&position).and_then(|task| task.current_mut()) else { return };
        let stop = stop || entry.handed_over;
        let (number, node_id, name) = (entry.number, entry.node, Arc::clone(&entry.node_name));
        if stop && entry.state != TaskState::Unknown {
            entry.state = TaskState::Stopping;
            job.set_state(position, TaskState::Stopping);
        }
        if !self.nodes.contains_key(&node_id) {
            // Records are written together, so this is damage; a node that can be declared lost beats an attempt
            // nobody can end.
            self.restore_node(StoredNode::nameless(node_id, name));
        }
        let attempt = job.attempt_id(position, number);
        let Some(node) = self.nodes.get_mut(&node_id) else { return };
        if node.attempts.insert(attempt) {
            node.host.used = node.host.used.plus(job.spec.resources);
        }
    }

    fn restore_backoff(&mut self, job: &mut Job, position: u32) {
        let id = job.id;
        let timeout = job.spec.queue_timeout;
        let Some(task) = job.tasks.get_mut(&position) else { return };
        let last = crate::ids::AttemptNumber(task.last_attempt);
        let failures = task.failures.max(task.infra_failures);
        let index = job.indices.index_of(position).unwrap_or_default();
        let attempt = crate::ids::AttemptId { task: crate::ids::TaskId { job: id, index }, number: last };
        let wait = self.config.backoff(failures, noise(self.seed, attempt));
        let at = Now { boot: self.now.boot + wait, wall: later(self.now, wait) };
        task.retry_at = Some(at);
        self.timers.set(at.boot, Timer::Retry(id, position));
        if let Some(timeout) = timeout {
            self.timers.set(at.boot + timeout, Timer::TaskQueueTimeout(id, position, last.0));
        }
    }
}

impl Job {
    fn from_stored(stored: StoredJob) -> Self {
        let mut job = Self::new(stored.id, stored.uid, stored.spec, stored.indices);
        job.created = stored.created;
        job.started = stored.started;
        job.ended = stored.ended;
        job.retry_of = stored.retry_of;
        job.stop = stored.stop;
        job.pinned_digest = stored.pinned_digest;
        job.overlap_possible = stored.overlap_possible;
        job.pinned = stored.pinned;
        job.output_deleted = stored.output_deleted;
        job.revision = stored.revision;
        for mut task in stored.tasks {
            if task.position >= job.task_count() {
                continue;
            }
            for attempt in &mut task.attempts {
                if attempt.image_digest == job.pinned_digest {
                    attempt.image_digest.clone_from(&job.pinned_digest);
                }
            }
            let (position, state) = (task.position, task.state);
            *job.touch(position) = TaskEntry { state: TaskState::Queued, retry_at: None, ..task };
            job.set_state(position, state);
        }
        if let Some(reason) = stored.rest {
            job.end_rest(reason);
        }
        if job.counts.active() > 0 {
            // The job's end was stored and its last task's was cut off; that task's worker tells it again.
            job.ended = None;
        }
        if job.ended.is_some() {
            job.outcome = Some(outcome(&job));
        }
        job.tallied = Counts::default();
        job
    }
}

impl StoredNode {
    fn nameless(id: NodeId, name: Arc<str>) -> Self {
        Self {
            id,
            incarnation: Incarnation(id.0),
            name,
            labels: BTreeMap::new(),
            capacity: Resources::default(),
            allowed_mounts: Vec::new(),
            draining: false,
            drain_left: None,
            given_up: false,
            registered: WallTime::default(),
            worker_version: String::new(),
            runtime_version: String::new(),
            boot_id: String::new(),
        }
    }
}

impl Node {
    /// A node that was stored and not heard since.
    fn unseen(stored: StoredNode, now: Now) -> Self {
        Self {
            id: stored.id,
            incarnation: stored.incarnation,
            name: stored.name,
            host: Host {
                labels: stored.labels,
                capacity: stored.capacity,
                allowed_mounts: stored.allowed_mounts,
                ..Host::default()
            },
            drain: stored.draining.then(|| Drain {
                due: stored.drain_left.map(|left| now.boot + left),
                left: stored.drain_left,
            }),
            registered: stored.registered,
            worker_version: stored.worker_version,
            runtime_version: stored.runtime_version,
            boot_id: stored.boot_id,
            status: NodeStatus::default(),
            connected: false,
            silent: stored.given_up,
            given_up: stored.given_up,
            last_heard: None,
            attempts: std::collections::BTreeSet::new(),
            unnamed: std::collections::BTreeSet::new(),
            session: 0,
            window_from: now.boot,
        }
    }
}
