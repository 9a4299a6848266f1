//! What waits for time. A timer is a reminder to look: whoever set it may have changed his mind since.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ids::{JobId, NodeId};
use crate::time::BootTime;

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Whether a node has fallen silent.
    Silence(NodeId),
    /// Whether a silent node is to be given up.
    Loss(NodeId),
    /// Whether the deadline of a drain has come, if it is still this one.
    Drain(NodeId, BootTime),
    /// Whether a task may be placed again.
    Retry(JobId, u32),
    /// Whether the tasks of a job that were never placed have waited too long.
    QueueTimeout(JobId),
    /// Whether a task has waited too long for attempt number n + 1.
    TaskQueueTimeout(JobId, u32, u32),
    /// An idempotency key is old enough to forget.
    ForgetRequest(Arc<str>),
    /// Whether ended jobs are old enough to forget.
    Retention,
}

/// All timers, by time.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(BootTime, Timer)>,
}

impl Timers {
    pub(super) fn set(&mut self, at: BootTime, timer: Timer) {
        self.due.insert((at, timer));
    }

    pub(super) fn next(&self) -> Option<BootTime> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes the earliest timer whose time has come.
    pub(super) fn pop(&mut self, now: BootTime) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.due.pop_first().map(|(_, timer)| timer)
    }
}
