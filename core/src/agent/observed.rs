//! What is known of an attempt on its worker: the journal, the container and what was already tried.
//!
//! Owns plain data. The attempt driver fills it in; after a restart it begins with the journal's phase and
//! [`Container::Unknown`].

use crate::outcome::EndReason;
use crate::time::BootTime;

use super::action::Ending;
use super::fence::Contact;
use super::wanted::Stop;

/// Everything [`plan`](super::plan) looks at besides the wish.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each told by somebody else")]
pub struct Observed {
    /// How far the journal says the attempt has come.
    pub phase: Phase,
    /// The container as last inspected.
    pub container: Container,
    /// Whether the image is there.
    pub image: Image,
    /// What became of the one start request.
    pub start: StartRequest,
    /// A refusal that no repetition would change: the attempt ends with it.
    pub failure: Option<Ending>,
    /// How far its output is captured.
    pub capture: Capture,
    /// What was sent to end it.
    pub stopping: Stopping,
    /// The leader was in touch since this process took the attempt up, so an order to forget it would have been heard. An
    /// earlier process may have heard one and died of it: until then nothing is started.
    pub confirmed: bool,
    /// What is known of the leader, which may fence the attempt; `None` for one that is never fenced.
    pub contact: Option<Contact>,
    /// When its run time-out runs out; `None` before the start or without a limit.
    pub time_limit: Option<BootTime>,
    /// Why an exit code may not be the command's own.
    pub doubt: Doubt,
    /// Somebody else started its container again: what runs now, or ran last, is not the run of this attempt.
    pub second_run: bool,
    /// Only a proven end counts: the job's policy for a lost node is to wait.
    pub strict: bool,
    /// The end of its output is durable at the coordinator, or nobody wants it.
    pub log_end_durable: bool,
    /// Its result is durable at the coordinator.
    pub result_acknowledged: bool,
}

impl Observed {
    /// What is known of an attempt right after its journal entry was read or written.
    pub fn from_phase(phase: Phase) -> Self {
        // A start intent that this process did not write itself may have been followed by the start.
        let start = if phase == Phase::StartIntent { StartRequest::Sent } else { StartRequest::NotSent };
        Self {
            phase,
            container: Container::Unknown,
            image: Image::Wanted,
            start,
            failure: None,
            capture: Capture::Idle,
            stopping: Stopping::default(),
            confirmed: true,
            contact: None,
            time_limit: None,
            doubt: Doubt::None,
            second_run: false,
            strict: false,
            log_end_durable: false,
            result_acknowledged: false,
        }
    }
}

/// How far the journal says an attempt has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It was taken in; a container of its name may have been created.
    Intent,
    /// The container's id is known; no start was sent.
    Created,
    /// A start is about to be sent, or was.
    StartIntent,
    /// The start is confirmed.
    Started,
    /// The result is written.
    Ended,
}

/// A container as last inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// Not inspected since something may have changed it.
    Unknown,
    /// There is none of this name or id.
    Absent,
    /// One of this name without exactly our labels: not ours to touch.
    Foreign,
    /// Made, never started.
    Created,
    /// A process of it may be alive.
    Running,
    /// It ran and ended.
    Exited(Exit),
    /// Its removal is under way.
    Removing,
    /// It belongs to another daemon than the one that answers: nothing is known of it, and nothing may be sent.
    Elsewhere,
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Exit code; `None` where the daemon's number makes no sense.
    pub code: Option<u8>,
    /// The kernel killed something of it for memory.
    pub oom: bool,
}

/// Whether the image is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// Not looked for yet.
    Wanted,
    /// There.
    Ready,
}

/// What became of the one start request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartRequest {
    /// None was sent, for certain.
    NotSent,
    /// One was sent, or may have been by an earlier process.
    Sent,
}

/// How far output is captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capture {
    /// Nobody reads it.
    Idle,
    /// It is being read.
    Open,
    /// Everything that can be had is in the spool, its end included.
    Done,
}

/// What was sent to end an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stopping {
    /// The stop that is being carried out.
    pub stop: Option<Stop>,
    /// When its signal reached a living container.
    pub signalled: Option<BootTime>,
    /// When SIGKILL was last sent.
    pub killed: Option<BootTime>,
    /// SIGKILL did not end it in time, and that was reported.
    pub stuck: bool,
    /// The guard killed it, because the worker had no contact with the leader.
    pub by_guard: bool,
}

/// Why an exit code may not be the command's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// No reason.
    None,
    /// The worker was away and the daemon does not keep containers alive over its own restart.
    WorkerWasAway,
    /// The daemon was down when it ended, and keeps containers alive over its own restart.
    DaemonWasDown,
    /// The daemon was lost in between and does not keep containers alive over its own restart.
    DaemonWasLost,
    /// The process that held the container died while the container lived.
    ShimDied,
    /// The host was booted in between: exit codes of before mean nothing.
    HostRebooted,
}

impl From<EndReason> for Ending {
    fn from(reason: EndReason) -> Self {
        Self { reason, exit_code: None, message: String::new(), oom_seen: false, retryable: false }
    }
}
