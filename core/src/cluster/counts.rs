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
    /// Jobs that ended well and are still kept.
    pub succeeded_jobs: u64,
    /// Jobs that ended badly and are still kept.
    pub failed_jobs: u64,
    /// Jobs that were stopped or killed and are still kept.
    pub cancelled_jobs: u64,
    /// Tasks waiting for a place.
    pub queued_tasks: u64,
    /// Tasks placed, pulling or starting.
    pub starting_tasks: u64,
    /// Tasks running or stopping.
    pub running_tasks: u64,
    /// Tasks on silent workers.
    pub unknown_tasks: u64,
    /// Registered nodes.
    pub nodes: u64,
}

impl Totals {
    /// Jobs that have ended and are still kept.
    pub fn ended_jobs(self) -> u64 {
        self.succeeded_jobs + self.failed_jobs + self.cancelled_jobs
    }

    /// Tasks with an attempt that holds a place.
    pub fn live_tasks(self) -> u64 {
        self.starting_tasks + self.running_tasks + self.unknown_tasks
    }

    /// The number of jobs in a state.
    pub(super) fn jobs(&mut self, state: JobState) -> &mut u64 {
        match state {
            JobState::Active => &mut self.active_jobs,
            JobState::Succeeded => &mut self.succeeded_jobs,
            JobState::Failed => &mut self.failed_jobs,
            JobState::Cancelled => &mut self.cancelled_jobs,
        }
    }

    /// Counts the active tasks of a job.
    pub(super) fn add_tasks(&mut self, counts: Counts) {
        self.queued_tasks += u64::from(counts.queued);
        self.starting_tasks += u64::from(counts.starting);
        self.running_tasks += u64::from(counts.running);
        self.unknown_tasks += u64::from(counts.unknown);
    }

    /// Takes back what [`Totals::add_tasks`] counted.
    pub(super) fn take_tasks(&mut self, counts: Counts) {
        self.queued_tasks -= u64::from(counts.queued);
        self.starting_tasks -= u64::from(counts.starting);
        self.running_tasks -= u64::from(counts.running);
        self.unknown_tasks -= u64::from(counts.unknown);
    }
}
