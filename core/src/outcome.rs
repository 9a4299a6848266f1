//! How things stand and how they end: task states, job states, end reasons and the record of an ended attempt.
//!
//! Owns the vocabulary and the rules that map an end to a state. The transitions of a live task are in `cluster`.

use std::fmt;
use std::time::Duration;

use crate::log::End as LogEnd;
use crate::time::WallTime;

/// Where a task stands.
///
/// ```text
/// queued -> placed -> pulling -> starting -> running -> succeeded | failed | cancelled
///    ^         \_________\___________\__________\-> stopping -> cancelled (or its own end, if that came first)
///    |         \_________\___________\__________\-> unknown   (its worker is silent; returns to where it was)
///    +----------------------- tried again with the next attempt number
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskState {
    /// Waits for a place.
    Queued,
    /// Has a place; its worker has not begun.
    Placed,
    /// The worker pulls the image.
    Pulling,
    /// The worker creates and starts the container.
    Starting,
    /// The container runs.
    Running,
    /// A stop or kill is under way.
    Stopping,
    /// The worker is silent: the container may or may not run.
    Unknown,
    /// Ended with exit code 0.
    Succeeded,
    /// Ended otherwise, not by a person.
    Failed,
    /// Ended by a stop or kill.
    Cancelled,
}

impl TaskState {
    /// Whether the task has ended for good.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
            Self::Queued
            | Self::Placed
            | Self::Pulling
            | Self::Starting
            | Self::Running
            | Self::Stopping
            | Self::Unknown => false,
        }
    }

    /// Whether an attempt of the task holds a place on a worker.
    pub fn is_live(self) -> bool {
        !self.is_terminal() && self != Self::Queued
    }

    /// The word people read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Placed => "placed",
            Self::Pulling => "pulling",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Unknown => "unknown",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// State of a whole job, derived from its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobState {
    /// At least one task has not ended.
    Active,
    /// All tasks succeeded.
    Succeeded,
    /// At least one task failed and none was stopped or killed.
    Failed,
    /// At least one task was stopped or killed.
    Cancelled,
}

impl JobState {
    /// Whether the job has ended.
    pub fn is_terminal(self) -> bool {
        self != Self::Active
    }
}

/// Why an attempt, or a task that never had one, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndReason {
    /// The command ended by itself.
    Exited,
    /// The command ended by a signal that was not our stop or kill: exit code 129 to 192.
    Signaled,
    /// The kernel killed the command for memory.
    Oom,
    /// The run time-out or the queue time-out ran out.
    Timeout,
    /// Ended by a stop.
    Stopped,
    /// Ended by a kill.
    Killed,
    /// The container could not be created or started.
    StartFailed,
    /// The image could not be had.
    ImageFailed,
    /// The infrastructure hides what became of the command.
    InfraUnknown,
    /// The worker was given up.
    Lost,
    /// No node can run it, or the worker refused it.
    Rejected,
}

impl EndReason {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Exited,
        Self::Signaled,
        Self::Oom,
        Self::Timeout,
        Self::Stopped,
        Self::Killed,
        Self::StartFailed,
        Self::ImageFailed,
        Self::InfraUnknown,
        Self::Lost,
        Self::Rejected,
    ];

    /// The word people read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exited => "exited",
            Self::Signaled => "signaled",
            Self::Oom => "oom",
            Self::Timeout => "timeout",
            Self::Stopped => "stopped",
            Self::Killed => "killed",
            Self::StartFailed => "start_failed",
            Self::ImageFailed => "image_failed",
            Self::InfraUnknown => "infra_unknown",
            Self::Lost => "lost",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an attempt used, sampled while it ran.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// Processor time.
    pub cpu: Duration,
    /// Largest memory seen, in bytes.
    pub peak_memory: u64,
}

/// The first terminal record of an attempt; it never changes once stored.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptEnd {
    /// Why it ended.
    pub reason: EndReason,
    /// Exit code of the command; `None` where there is none.
    pub exit_code: Option<u8>,
    /// More words, at most 4 KiB.
    pub message: String,
    /// The kernel killed a process of the container for memory; the command may have ended otherwise.
    pub oom_seen: bool,
    /// When the container started, by the worker's clock; `None` if it never did.
    pub started: Option<WallTime>,
    /// When it ended, by the worker's clock.
    pub ended: Option<WallTime>,
    /// How long the container ran, by a monotonic clock.
    pub run: Duration,
    /// What it used; `None` where no sample was taken.
    pub usage: Option<Usage>,
    /// Where its output ends; `None` where nothing could be captured at all.
    pub log_end: Option<LogEnd>,
    /// Id of the container; `None` if there never was one.
    pub container: Option<String>,
    /// Digest of the image; `None` if unknown.
    pub image_digest: Option<String>,
    /// Whether another attempt could help although the spec asked for no retries: infrastructure causes only.
    pub retryable: bool,
}

impl AttemptEnd {
    /// Whether the attempt succeeded: the command ended by itself with code 0.
    pub fn is_success(&self) -> bool {
        self.reason == EndReason::Exited && self.exit_code == Some(0)
    }
}
