//! What may happen to a cluster: requests of clients, news from workers, the passing of time.
//!
//! Owns the input alphabet of [`step`](super::Cluster::step). Shells make these from wire messages; nothing in here
//! performs anything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::{AttemptId, Incarnation, JobId, JobUid, NodeId, TaskIndex};
use crate::outcome::AttemptEnd;
use crate::retention::Reason;
use crate::spec::{JobSpec, LabelKey, LabelValue, Resources, Signal};
use crate::time::WallTime;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A client asks for something; the answer carries the same token.
    Request(Token, Request),
    /// A worker said something on its session.
    Worker {
        /// The node it speaks for.
        node: NodeId,
        /// The start of the worker process that speaks.
        incarnation: Incarnation,
        /// What it said.
        news: WorkerNews,
    },
    /// A time that was asked for with `wake_at` has come, or the shell's slow safety tick.
    Tick {
        /// Fresh randomness for the jitter of back-offs that begin in this step.
        jitter: u64,
    },
}

/// Names a waiting client inside the shell; unique while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// What a client asks for. Reads are not events: they look at the cluster directly.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Store these jobs, all or none.
    Submit(Vec<Submission>),
    /// End a job or one task in an orderly way.
    Stop {
        /// Which job.
        job: JobId,
        /// Only this task; `None` means all.
        task: Option<TaskIndex>,
        /// Signal instead of the spec's.
        signal: Option<Signal>,
        /// Grace instead of the spec's.
        grace: Option<Duration>,
    },
    /// Send SIGKILL at once and end the job; another signal is passed on and ends nothing by itself.
    Kill {
        /// Which job.
        job: JobId,
        /// Only this task; `None` means all.
        task: Option<TaskIndex>,
        /// Signal instead of SIGKILL.
        signal: Option<Signal>,
    },
    /// Make a new job from an ended one; of an array only the tasks that did not succeed.
    Retry {
        /// Which job.
        job: JobId,
        /// Identity of the new job.
        uid: JobUid,
        /// Idempotency key.
        key: Option<Key>,
    },
    /// Forget an ended job.
    Delete {
        /// Which job.
        job: JobId,
        /// Even if it is pinned.
        force: bool,
    },
    /// Keep a job and its output, or do not keep them any longer than others.
    Pin {
        /// Which job.
        job: JobId,
        /// Whether it is to be kept.
        pinned: bool,
    },
    /// Note that the output of an ended job is deleted from now on; what deletes it begins after that is durable.
    GiveUpOutput {
        /// Which job.
        job: JobId,
        /// Why.
        reason: Reason,
    },
    /// Give a node no new work.
    Drain {
        /// Which node.
        node: NodeId,
        /// Hand what still runs there after this time over to other nodes; `None` means never. A repeat replaces it.
        deadline: Option<Duration>,
    },
    /// Give a drained node work again.
    Resume {
        /// Which node.
        node: NodeId,
    },
    /// Forget a silent node.
    DeleteNode {
        /// Which node.
        node: NodeId,
        /// End its attempts as lost.
        declare_lost: bool,
    },
}

/// One job to store.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// The wish.
    pub spec: JobSpec,
    /// Identity of the job if it is stored.
    pub uid: JobUid,
    /// Idempotency key.
    pub key: Option<Key>,
}

/// An idempotency key and the hash of the request it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key: 1 to 128 printable characters.
    pub text: String,
    /// SHA-256 of the canonical request, so that the same key with another request is refused.
    pub fingerprint: [u8; 32],
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq)]
pub enum WorkerNews {
    /// A session began.
    Hello(Box<Hello>),
    /// Sign of life.
    Heartbeat {
        /// Condition right now.
        status: NodeStatus,
        /// Images it has got since the last heartbeat.
        images_added: Vec<String>,
        /// Images it has lost since the last heartbeat.
        images_removed: Vec<String>,
    },
    /// News of an attempt.
    Report(Report),
    /// The session ended; the worker may come back.
    Disconnected,
}

/// Who a worker is and what it has.
#[derive(Debug, Clone, PartialEq)]
pub struct Hello {
    /// Name for people.
    pub name: String,
    /// Labels for constraints.
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// What it has for attempts.
    pub capacity: Resources,
    /// Version of the worker program.
    pub worker_version: String,
    /// Version of the Docker daemon, or `fake`.
    pub runtime_version: String,
    /// Boot id of the host.
    pub boot_id: String,
    /// Every attempt in its journal with the newest report.
    pub attempts: Vec<Report>,
    /// References and digests of the images it has.
    pub images: BTreeSet<String>,
    /// Condition right now.
    pub status: NodeStatus,
    /// Host folders jobs may mount from.
    pub allowed_mounts: Vec<String>,
}

/// Condition of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeStatus {
    /// Why it takes no work now; empty when it does.
    pub not_ready: Vec<String>,
    /// Free bytes on its data disk.
    pub disk_free: u64,
    /// Number of images it keeps.
    pub images: u32,
    /// What a person should look at although it takes work.
    pub warnings: Vec<String>,
}

/// News of one attempt. Numbered per attempt by the worker, so that a repeat or a late one is harmless.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Which attempt.
    pub attempt: AttemptId,
    /// Number of the report, growing, from 1.
    pub sequence: u64,
    /// Where the attempt stands.
    pub progress: Progress,
}

/// Where an attempt stands on its worker.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Taken into the journal.
    Accepted,
    /// The image is being pulled.
    Pulling(Pull),
    /// The container is being created and started.
    Starting {
        /// Digest of the image, where known.
        image_digest: Option<String>,
    },
    /// The container runs.
    Running {
        /// Its id.
        container: String,
        /// When it started, by the worker's clock.
        started: WallTime,
        /// Digest of the image, where known.
        image_digest: Option<String>,
    },
    /// A stop is under way.
    Stopping {
        /// SIGKILL was sent and the container still lives.
        stuck: bool,
    },
    /// It is over; final.
    Ended(Box<AttemptEnd>),
}

/// How far an image pull has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pull {
    /// Bytes so far.
    pub current: u64,
    /// Bytes known to be needed; 0 while unknown.
    pub total: u64,
    /// The daemon's word for what it does.
    pub status: String,
}
