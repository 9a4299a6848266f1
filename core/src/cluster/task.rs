//! The records of a touched task and of its attempts.
//!
//! A task is touched by its first placement, or when it is ended alone. Tasks that never were have no record: their
//! state follows from their job, so a million queued tasks cost nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::ids::{AttemptNumber, NodeId};
use crate::outcome::{AttemptEnd, EndReason, TaskState};
use crate::spec::Signal;
use crate::time::{BootTime, Now, WallTime};

use super::event::Pull;

/// A task that was touched.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskEntry {
    /// Position among the job's tasks.
    pub position: u32,
    /// Where it stands.
    pub state: TaskState,
    /// The newest attempts, oldest first; the last one is current while the state is live.
    pub attempts: Vec<AttemptEntry>,
    /// Number of the last attempt, 0 before the first; larger than the list where old ones were dropped.
    pub last_attempt: u32,
    /// A stop of this task alone.
    pub stop: Option<StopWish>,
    /// Retries spent on the task's own failures.
    pub failures: u32,
    /// Retries spent on infrastructure failures.
    pub infra_failures: u32,
    /// Why the task ended; `None` before.
    pub end_reason: Option<EndReason>,
    /// More words: why it ended, why it is tried again.
    pub message: String,
    /// When it may be placed again after a failure; not stored, begun anew after a restart of the coordinator.
    pub retry_at: Option<Now>,
}

impl TaskEntry {
    /// A task nothing has happened to.
    pub(super) fn untouched(position: u32, state: TaskState, end_reason: Option<EndReason>) -> Self {
        Self {
            position,
            state,
            attempts: Vec::new(),
            last_attempt: 0,
            stop: None,
            failures: 0,
            infra_failures: 0,
            end_reason,
            message: String::new(),
            retry_at: None,
        }
    }

    /// The attempt that holds a place, if one does.
    pub fn current(&self) -> Option<&AttemptEntry> {
        if self.state.is_live() { self.attempts.last() } else { None }
    }

    pub(super) fn current_mut(&mut self) -> Option<&mut AttemptEntry> {
        if self.state.is_live() { self.attempts.last_mut() } else { None }
    }

    /// Exit code of the command in the last attempt; `None` before its end and where there is none.
    pub fn exit_code(&self) -> Option<u8> {
        if !self.state.is_terminal() {
            return None;
        }
        self.attempts.last().and_then(|attempt| attempt.end.as_ref()).and_then(|end| end.exit_code)
    }
}

/// One attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptEntry {
    /// Its number.
    pub number: AttemptNumber,
    /// The node it was placed on.
    pub node: NodeId,
    /// Name of that node at the time.
    pub node_name: Arc<str>,
    /// Where it stands; for an ended one the state it would give its task.
    pub state: TaskState,
    /// When it was placed.
    pub placed: WallTime,
    /// When its container started, by the worker's clock.
    pub started: Option<WallTime>,
    /// How it ended. Its `started`, `container` and `image_digest` are moved into this entry and `None` there, so that
    /// a million ended tasks do not hold them twice.
    pub end: Option<Box<AttemptEnd>>,
    /// Id of its container, once known.
    pub container: Option<String>,
    /// Digest of its image, once known.
    pub image_digest: Option<Arc<str>>,
    /// Highest report number taken; 0 means the worker has not confirmed the attempt.
    pub report_sequence: u64,
    /// How far the pull is, while it is pulled; not stored.
    pub pull: Option<Box<Pull>>,
    /// Its node's drain ran out, so it is being stopped and handed over to another node.
    pub handed_over: bool,
    /// When its worker was first heard to run it; not stored.
    pub heard_running: Option<BootTime>,
    /// The cluster gave it up without a word of its worker; `None` while it lives and where the worker told its end.
    pub loss: Option<Box<Loss>>,
}

/// How the cluster gave an attempt up, and what its worker said later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// When it was given up.
    pub given_up: WallTime,
    /// The same moment as decisions compare it; not stored, so `None` after a change of leader.
    pub given_up_at: Option<BootTime>,
    /// What its worker said of it since; `None` if nothing.
    pub late: Option<Late>,
}

/// What a worker said of an attempt that had been given up. Its record does not change by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Late {
    /// When the first late word came.
    pub told: WallTime,
    /// When the container started, by the worker's clock; `None` if it never did.
    pub started: Option<WallTime>,
    /// When it ended, by the worker's clock; `None` if it had not when the word came.
    pub ended: Option<WallTime>,
    /// It ran, or may have run, after it was given up: perhaps together with the next attempt.
    pub overlap: bool,
}

impl AttemptEntry {
    /// The whole end, as the worker reported it.
    pub fn whole_end(&self) -> Option<AttemptEnd> {
        let mut end = self.end.as_deref()?.clone();
        end.started = self.started;
        end.container.clone_from(&self.container);
        end.image_digest = self.image_digest.as_deref().map(str::to_owned);
        Some(end)
    }
}

/// A stop or kill that was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopWish {
    /// A kill instead of a stop.
    pub kill: bool,
    /// Signal instead of the spec's.
    pub signal: Option<Signal>,
    /// Grace instead of the spec's.
    pub grace: Option<Duration>,
}

impl StopWish {
    /// How a task ends that had no container yet.
    pub fn end_reason(self) -> EndReason {
        if self.kill { EndReason::Killed } else { EndReason::Stopped }
    }

    /// What holds when `later` is asked for while `self` holds: a kill is never taken back.
    #[must_use]
    pub(super) fn joined(self, later: Self) -> Self {
        if self.kill && !later.kill { self } else { later }
    }
}
