//! What a user asks for: [`JobSpec`] and its parts, valid by construction.
//!
//! Owns validation: whatever holds a value of these types needs no further check. Fields arrive as text and numbers in a
//! [`Draft`], which the wire conversion and nobody else fills in; [`Draft::validate`] names every wrong field at once.
//! Does not own: how a spec looks on the wire or in the store.

use std::collections::BTreeMap;
use std::time::Duration;

pub mod command;
pub mod constraint;
pub mod draft;
mod error;
pub mod image;
pub mod limits;
pub mod mount;
pub mod name;
mod path;
pub mod resources;
pub mod signal;
mod user;
mod violation;

pub use command::{Command, Entrypoint, EnvVar, Shell};
pub use constraint::{Constraint, Operator};
pub use draft::{Defaults, Draft};
pub use error::{Error, Excerpt};
pub use image::ImageRef;
pub use mount::Mount;
pub use name::{JobName, LabelKey, LabelValue};
pub use resources::Resources;
pub use signal::Signal;
pub use violation::Violation;

/// A job as the user wishes it, all defaults filled in, every part checked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobSpec {
    /// Display name; the newest job of a name is what the name means.
    pub name: Option<JobName>,
    /// Labels, at most 64.
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// Image to run.
    pub image: ImageRef,
    /// What runs in the container.
    pub command: Command,
    /// Environment of the command, in the order given.
    pub env: Vec<EnvVar>,
    /// Absolute working directory; `None` means the image's own.
    pub working_dir: Option<String>,
    /// User, `name|uid[:group|gid]`; `None` means the image's own.
    pub user: Option<String>,
    /// What one task needs and is limited to.
    pub resources: Resources,
    /// Most processes and threads.
    pub pids_limit: u32,
    /// Longest time the container may run.
    pub timeout: Option<Duration>,
    /// Longest time a task may wait to be placed.
    pub queue_timeout: Option<Duration>,
    /// Retries after the task's own failures.
    pub retries: u32,
    /// Larger runs earlier.
    pub priority: i32,
    /// What a node's labels must say.
    pub constraints: Vec<Constraint>,
    /// Indices of an array job; `None` for a plain job.
    pub array: Option<ArraySpec>,
    /// When the image is pulled.
    pub pull: PullPolicy,
    /// Time between the stop signal and SIGKILL.
    pub grace: Duration,
    /// Signal of a stop; `None` means SIGTERM.
    pub stop_signal: Option<Signal>,
    /// Which network the container has.
    pub network: NetworkMode,
    /// Files and folders mounted into the container.
    pub mounts: Vec<Mount>,
    /// The root file system is read-only.
    pub read_only: bool,
    /// Most output bytes kept of an attempt, both streams together.
    pub log_limit: u64,
    /// The image is exempt from clean-up.
    pub keep_image: bool,
    /// What happens when the worker is lost.
    pub on_lost: OnLost,
}

impl JobSpec {
    /// How many tasks the job has, from 1 to [`ArraySpec::MAX_TASKS`].
    pub fn task_count(&self) -> u32 {
        self.array.map_or(1, ArraySpec::task_count)
    }
}

/// Indices of an array job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArraySpec {
    /// First index.
    first: u32,
    /// Last index, itself included.
    last: u32,
    /// Most tasks that run at the same time; `None` means without limit.
    max_running: Option<u32>,
}

impl ArraySpec {
    /// Most tasks a job may have.
    pub const MAX_TASKS: u32 = 1_000_000;

    /// Makes a range of indices; `None` if it is reversed or has more than [`Self::MAX_TASKS`] tasks.
    /// `max_running` 0 means without limit.
    pub fn new(first: u32, last: u32, max_running: u32) -> Option<Self> {
        let count = last.checked_sub(first)?.checked_add(1)?;
        (count <= Self::MAX_TASKS).then_some(Self {
            first,
            last,
            max_running: (max_running > 0).then_some(max_running),
        })
    }

    /// First index.
    pub fn first(self) -> u32 {
        self.first
    }

    /// Last index, itself included.
    pub fn last(self) -> u32 {
        self.last
    }

    /// Most tasks that run at the same time.
    pub fn max_running(self) -> Option<u32> {
        self.max_running
    }

    /// How many tasks there are.
    pub fn task_count(self) -> u32 {
        self.last - self.first + 1
    }
}

/// When the image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PullPolicy {
    /// Before every attempt.
    Always,
    /// Only where the node does not have it.
    Missing,
    /// Never.
    Never,
}

/// Which network a container has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NetworkMode {
    /// Connections out of the container are possible; nothing is published.
    Outbound,
    /// Loopback only.
    None,
}

/// What happens to a task whose worker is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OnLost {
    /// Placed again once the old attempt cannot run any more.
    Retry,
    /// Waits for its worker, however long that takes.
    Wait,
    /// Ends as lost.
    Fail,
}
