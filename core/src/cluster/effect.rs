//! What the shell must do after a step, in this order: persist, send, answer.
//!
//! Owns the output alphabet of [`step`](super::Cluster::step). Effects of an event leave only when the group of writes
//! they belong to is durable.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::ids::{AttemptId, Incarnation, JobId, JobUid, NodeId};
use crate::spec::{JobSpec, Signal};
use crate::time::BootTime;

use super::event::Token;
use super::refusal::Refusal;

/// Everything one step asks for.
#[derive(Debug, Default, PartialEq)]
pub struct Effects {
    /// Records that changed. The shell encodes their state from the cluster when it closes the group, once per record.
    pub dirty: BTreeSet<Record>,
    /// Commands to workers.
    pub sends: Vec<Send>,
    /// Nodes whose session, if one is up, must be cut: the worker has been given up or forgotten, and only a new Hello brings
    /// it back. To be done at once, before a newer session can begin; nothing rests on a record.
    pub hang_ups: BTreeSet<NodeId>,
    /// Answers to clients.
    pub answers: Vec<(Token, Result<Reply, Refusal>)>,
    /// Lines for the event log.
    pub notes: Vec<Note>,
    /// Jobs that changed, for watchers and waiters.
    pub changed: BTreeSet<JobId>,
    /// Jobs that were forgotten, for watchers.
    pub deleted: BTreeSet<JobId>,
    /// When the next `Tick` is due; `None` if nothing waits for time.
    pub wake_at: Option<BootTime>,
}

/// Names a record in the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Record {
    /// The numbers of the cluster.
    Cluster,
    /// A job without its tasks; deleted if the cluster no longer has it.
    Job(JobId),
    /// A chunk of task states; deleted if its job is gone.
    Chunk(JobId, u32),
    /// A node; deleted if the cluster no longer has it.
    Node(NodeId),
    /// An idempotency key; deleted if the cluster no longer has it.
    Request(String),
}

/// A command to a worker's session. Dropped by the shell if that session is gone: the next Hello repairs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Send {
    /// The node.
    pub node: NodeId,
    /// The start of the worker the command is meant for.
    pub incarnation: Incarnation,
    /// The session, by the number of its Hello: see `Cluster::is_current`.
    pub session: u64,
    /// The command.
    pub command: Command,
}

/// What a worker is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// The session is accepted.
    Welcome,
    /// Run an attempt; repeats are harmless.
    Start(Box<Start>),
    /// End an attempt; repeats are harmless.
    Stop {
        /// Which attempt.
        attempt: AttemptId,
        /// Why, and so which end reason it gets.
        cause: StopCause,
        /// Signal to send first; `None` means the spec's.
        signal: Option<Signal>,
        /// Time before SIGKILL; `None` means the spec's, zero means at once.
        grace: Option<Duration>,
    },
    /// Pass a signal on; the attempt is not being ended.
    Signal {
        /// Which attempt.
        attempt: AttemptId,
        /// The signal.
        signal: Signal,
    },
    /// A report is durable.
    Acknowledge {
        /// Which attempt.
        attempt: AttemptId,
        /// The number of the report.
        sequence: u64,
    },
    /// Nobody knows this attempt: end its container and forget it.
    Forget {
        /// Which attempt.
        attempt: AttemptId,
    },
}

/// What a worker needs to run an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Which attempt.
    pub attempt: AttemptId,
    /// The job's spec.
    pub spec: JobSpec,
    /// UID of the job.
    pub job_uid: JobUid,
    /// Number of tasks in the job.
    pub task_count: u32,
    /// Digest an earlier attempt of the job pinned.
    pub pinned_digest: Option<String>,
}

/// Why an attempt is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    /// A person stopped the job.
    Stop,
    /// A person killed the job.
    Kill,
    /// Its time is over.
    Timeout,
    /// A newer attempt took its place, or nobody knows it.
    Superseded,
    /// Its worker has no contact with the leader. Never sent: the worker decides it by its own clock.
    Fenced,
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// The jobs were stored, or had been under the same keys.
    Submitted(Vec<JobId>),
    /// It is done, or had been.
    Done,
    /// The node is forgotten.
    NodeDeleted {
        /// Attempts that ended as lost.
        lost: u32,
    },
}

/// What one node says about a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// It could run it now.
    pub fits_now: bool,
    /// It could run it if it were idle.
    pub fits_ever: bool,
    /// Why not, in words; empty when it fits now.
    pub reason: String,
}

/// A line of the event log.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// What happened.
    pub kind: NoteKind,
    /// The job it is about.
    pub job: Option<JobId>,
    /// The attempt it is about.
    pub attempt: Option<AttemptId>,
    /// The node it is about.
    pub node: Option<NodeId>,
    /// In words.
    pub message: String,
}

/// Kinds of lines in the event log; `as_str` of these is the API's `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoteKind {
    /// A job was stored.
    JobCreated,
    /// A stop or kill of a job was stored.
    JobStopRequested,
    /// A job ended.
    JobEnded,
    /// A job was forgotten.
    JobDeleted,
    /// The output of an ended job is deleted, its record stays.
    OutputDeleted,
    /// A job and its output are kept, however old they become.
    JobPinned,
    /// They are kept as long as others.
    JobUnpinned,
    /// An attempt was placed.
    AttemptPlaced,
    /// Its image is being pulled.
    ImagePulling,
    /// Its container started.
    AttemptStarted,
    /// It is on a silent worker.
    AttemptUnknown,
    /// It ended.
    AttemptEnded,
    /// Its worker spoke of it after it had been given up.
    AttemptSuperseded,
    /// Its task will be tried again.
    TaskRetried,
    /// A worker registered.
    NodeRegistered,
    /// A worker fell silent.
    NodeSilent,
    /// A silent worker was given up: what may be replaced there ended as lost.
    NodeLost,
    /// Most nodes are silent: none is given up by time, or no longer so.
    MassLoss,
    /// A node stopped or began to be ready.
    NodeReadiness,
    /// A node is drained.
    NodeDrained,
    /// The deadline of a drain has come: what ran there is handed over.
    NodeHandedOver,
    /// A node takes work again.
    NodeResumed,
    /// A node was forgotten.
    NodeDeleted,
    /// The store takes no writes: nothing is changed until it does.
    StoreFull,
    /// It takes writes again.
    StoreWritable,
}

impl NoteKind {
    /// The API's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JobCreated => "JobCreated",
            Self::JobStopRequested => "JobStopRequested",
            Self::JobEnded => "JobEnded",
            Self::JobDeleted => "JobDeleted",
            Self::OutputDeleted => "OutputDeleted",
            Self::JobPinned => "JobPinned",
            Self::JobUnpinned => "JobUnpinned",
            Self::AttemptPlaced => "AttemptPlaced",
            Self::ImagePulling => "ImagePulling",
            Self::AttemptStarted => "AttemptStarted",
            Self::AttemptUnknown => "AttemptUnknown",
            Self::AttemptEnded => "AttemptEnded",
            Self::AttemptSuperseded => "AttemptSuperseded",
            Self::TaskRetried => "TaskRetried",
            Self::NodeRegistered => "NodeRegistered",
            Self::NodeSilent => "NodeSilent",
            Self::NodeLost => "NodeLost",
            Self::MassLoss => "MassLoss",
            Self::NodeReadiness => "NodeReadiness",
            Self::NodeDrained => "NodeDrained",
            Self::NodeHandedOver => "NodeHandedOver",
            Self::NodeResumed => "NodeResumed",
            Self::NodeDeleted => "NodeDeleted",
            Self::StoreFull => "StoreFull",
            Self::StoreWritable => "StoreWritable",
        }
    }
}
