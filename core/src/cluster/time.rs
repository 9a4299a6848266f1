//! The passing of time: silence, back-offs, queue time-outs, retention.

use crate::ids::JobId;
use crate::mutants::{self, Mutant};
use crate::outcome::{EndReason, TaskState};
use crate::time::Now;

use super::state::Cluster;
use super::timers::Timer;

/// What a task says whose queue time-out ran out.
const QUEUE_TIMEOUT: &str = "queue time-out: it was not placed in time";

impl Cluster {
    pub(super) fn on_tick(&mut self, jitter: u64) {
        self.seed = self.seed.rotate_left(5) ^ jitter;
        while let Some(timer) = self.timers.pop(self.now.boot) {
            match timer {
                Timer::Silence(node) => self.check_silence(node),
                // One look at all nodes: how many are silent decides.
                Timer::Loss(_) => self.review_losses = true,
                Timer::Drain(node, due) => self.check_drain(node, due),
                Timer::Retry(job, position) => self.end_backoff(job, position),
                Timer::QueueTimeout(job) => self.time_out_untouched(job),
                Timer::TaskQueueTimeout(job, position, attempt) => self.time_out_task(job, position, attempt),
                Timer::ForgetRequest(key) => self.forget_request(&key),
                Timer::Retention => {
                    self.retention_armed = false;
                    self.forget_old_jobs();
                }
            }
        }
    }

    fn end_backoff(&mut self, id: JobId, position: u32) {
        let now = self.now;
        let by_wall = mutants::active(Mutant::WallClockTimer);
        let is_over = |at: Now| if by_wall { at.wall <= now.wall } else { at.boot <= now.boot };
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(task) = job.tasks.get_mut(&position) else { return };
        if task.state == TaskState::Queued && task.retry_at.is_some_and(is_over) {
            task.retry_at = None;
            job.make_ready(position);
            self.out.changed.insert(id);
        }
    }

    fn time_out_untouched(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.rest.is_none() && job.untouched() > 0 {
            job.end_rest(EndReason::Timeout);
            self.dirty_job(id);
        }
    }

    fn time_out_task(&mut self, id: JobId, position: u32, attempt: u32) {
        let Some(task) = self.jobs.get(&id).and_then(|job| job.tasks.get(&position)) else { return };
        if task.state == TaskState::Queued && task.last_attempt == attempt {
            self.end_unplaced(id, position, EndReason::Timeout, QUEUE_TIMEOUT);
        }
    }

    /// Arms the next look for old ended jobs, if there is any to come.
    pub(super) fn arm_retention(&mut self) {
        if !self.ended.is_empty() && !std::mem::replace(&mut self.retention_armed, true) {
            self.timers.set(self.now.boot + self.config.retention_check, Timer::Retention);
        }
    }
}
