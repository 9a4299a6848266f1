//! How many tasks are in which state.

use crate::outcome::{JobState, TaskState};

/// How many tasks of a job are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Waiting for a place.
    pub queued: u32,
    /// Placed, pulling or starting.
    pub starting: u32,
    /// Running or stopping.
    pub running: u32,
    /// On a silent worker.
    pub unknown: u32,
    /// Ended well.
    pub succeeded: u32,
    /// Ended badly.
    pub failed: u32,
    /// Stopped or killed.
    pub cancelled: u32,
}

impl Counts {
    /// Tasks of all states.
    pub fn total(self) -> u32 {
        self.active() + self.succeeded + self.failed + self.cancelled
    }

    /// Tasks that have not ended.
    pub fn active(self) -> u32 {
        self.queued + self.live()
    }

    /// Tasks with an attempt that holds a place.
    pub fn live(self) -> u32 {
        self.starting + self.running + self.unknown
    }

    /// The state of a job with these tasks.
    pub fn job_state(self) -> JobState {
        if self.active() > 0 {
            JobState::Active
        } else if self.cancelled > 0 {
            JobState::Cancelled
        } else if self.failed > 0 {
            JobState::Failed
        } else {
            JobState::Succeeded
        }
    }

    pub(super) fn add(&mut self, state: TaskState, tasks: u32) {
        *self.of(state) += tasks;
    }

    pub(super) fn take(&mut self, state: TaskState, tasks: u32) {
        let count = self.of(state);
        debug_assert!(*count >= tasks, "{tasks} {state} tasks taken from {count}");
        *count = count.saturating_sub(tasks);
    }

    fn of(&mut self, state: TaskState) -> &mut u32 {
        match state {
            TaskState::Queued => &mut self.queued,
            TaskState::Placed | TaskState::Pulling | TaskState::Starting => &mut self.starting,
            TaskState::Running | TaskState::Stopping => &mut self.running,
            TaskState::Unknown => &mut self.unknown,
            TaskState::Succeeded => &mut self.succeeded,
            TaskState::Failed => &mut self.failed,
            TaskState::Cancelled => &mut self.cancelled,
        }
    }
}

/// What the whole cluster holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Jobs that have not ended.
    pub active_jobs: u64,
    /// Jobs that have ended and are still kept.
    pub ended_jobs: u64,
    /// Tasks waiting for a place.
    pub queued_tasks: u64,
    /// Tasks with an attempt that holds a place.
    pub live_tasks: u64,
    /// Registered nodes.
    pub nodes: u64,
}
