//! The end of an attempt, and with it perhaps of its task and its job.
//!
//! The first end that is taken is the only one: an attempt that has one is not live and never comes here again (G5).

use std::sync::Arc;

use crate::ids::{AttemptId, JobId, NodeId};
use crate::mix::mix;
use crate::mutants::{self, Mutant};
use crate::outcome::{AttemptEnd, EndReason, TaskState};
use crate::time::Now;

use super::config::Config;
use super::effect::{Note, NoteKind};
use super::ending::{self, Budget, FollowUp};
use super::job::{Job, JobOutcome, Jobs};
use super::report::note_start;
use super::state::Cluster;
use super::task::{AttemptEntry, TaskEntry};
use super::timers::Timer;

impl Cluster {
    /// Takes the end of a live attempt: frees its place and decides what becomes of its task.
    pub(super) fn end_attempt(&mut self, id: AttemptId, end: AttemptEnd) {
        let Some((job, position)) = live_attempt(&mut self.jobs, id) else { return };
        let Some(task) = job.tasks.get(&position) else { return };
        let end = as_handed_over(job, task, end);
        let follow_up = ending::follow_up(&end, budget(job, task, &self.config));
        let digest = end.image_digest.as_deref().map(|digest| shared_digest(job, digest));
        // A short command may end before anything was reported about its start.
        let first_start = note_start(job, end.started);
        let Some(task) = job.tasks.get_mut(&position) else { return };
        let (message, end_reason) = (end_message(&end), end.reason);
        task.message.clone_from(&end.message);
        let Some(attempt) = task.attempts.last_mut() else { return };
        let node = attempt.node;
        record_end(attempt, end, digest.clone());
        attempt.state = match follow_up {
            FollowUp::Final(state) => state,
            FollowUp::RetryOwn | FollowUp::RetryInfra | FollowUp::HandOver => TaskState::Failed,
        };
        match follow_up {
            FollowUp::Final(state) => {
                task.end_reason = Some(end_reason);
                job.set_state(position, state);
            }
            FollowUp::RetryOwn | FollowUp::RetryInfra | FollowUp::HandOver => {
                job.set_state(position, TaskState::Queued);
            }
        }
        let pinned = job.pinned_digest.is_none() && digest.is_some();
        if pinned {
            job.pinned_digest = digest;
        }
        if pinned || first_start {
            self.dirty_job(id.job());
        }
        self.free_place(id, node);
        if !mutants::active(Mutant::EndNotStored) {
            self.dirty_task(id.job(), position);
        }
        let kind = NoteKind::AttemptEnded;
        self.out.notes.push(Note { kind, job: Some(id.job()), attempt: Some(id), node: Some(node), message });
        match follow_up {
            FollowUp::Final(_) => {}
            FollowUp::RetryOwn => self.retry_later(id, position, |task| &mut task.failures),
            FollowUp::RetryInfra => self.retry_later(id, position, |task| &mut task.infra_failures),
            FollowUp::HandOver => self.retry_elsewhere(id, position),
        }
    }

    /// Lets the task wait for its back-off; `spent` is the count that pays.
    fn retry_later(&mut self, id: AttemptId, position: u32, spent: fn(&mut TaskEntry) -> &mut u32) {
        let noise = noise(self.seed, id);
        let Some(job) = self.jobs.get_mut(&id.job()) else { return };
        let Some(task) = job.tasks.get_mut(&position) else { return };
        let failures = spent(task);
        *failures += 1;
        let wait = self.config.backoff(*failures, noise);
        let at = Now { boot: self.now.boot + wait, wall: later(self.now, wait) };
        task.retry_at = Some(at);
        let why = if task.message.is_empty() { "it failed" } else { task.message.as_str() };
        task.message = format!("{why}; tried again in {:.1} s", wait.as_secs_f64());
        let message = task.message.clone();
        self.timers.set(at.boot, Timer::Retry(id.job(), position));
        if let Some(timeout) = job.spec.queue_timeout {
            self.timers.set(at.boot + timeout, Timer::TaskQueueTimeout(id.job(), position, id.number.0));
        }
        let kind = NoteKind::TaskRetried;
        self.out.notes.push(Note { kind, job: Some(id.job()), attempt: Some(id), node: None, message });
    }

    /// Lets the task be placed at once.
    fn retry_elsewhere(&mut self, id: AttemptId, position: u32) {
        let Some(job) = self.jobs.get_mut(&id.job()) else { return };
        job.make_ready(position);
        if let Some(timeout) = job.spec.queue_timeout {
            let at = self.now.boot + timeout;
            self.timers.set(at, Timer::TaskQueueTimeout(id.job(), position, id.number.0));
        }
        let (kind, message) = (NoteKind::TaskRetried, "it goes on elsewhere".to_owned());
        self.out.notes.push(Note { kind, job: Some(id.job()), attempt: Some(id), node: None, message });
    }

    fn free_place(&mut self, id: AttemptId, node: NodeId) {
        let Some(resources) = self.jobs.get(&id.job()).map(|job| job.spec.resources) else { return };
        let Some(record) = self.nodes.get_mut(&node) else { return };
        if record.attempts.remove(&id) && !mutants::active(Mutant::PlaceNotFreed) {
            record.host.used = record.host.used.minus(resources);
            self.refresh_node(node, true);
        }
    }

    /// Ends a job none of whose tasks is active any more.
    pub(super) fn end_job_if_over(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.ended.is_some() || job.counts.active() > 0 {
            return;
        }
        job.ended = Some(self.now.wall);
        job.outcome = Some(outcome(job));
        let state = job.state();
        let message = job.outcome.as_ref().map(|outcome| outcome.reason.to_string()).unwrap_or_default();
        self.ended.insert((self.now.wall, id));
        self.arm_retention();
        self.totals.active_jobs -= 1;
        *self.totals.jobs(state) += 1;
        self.dirty_job(id);
        self.note_job(NoteKind::JobEnded, id, message);
    }
}

/// The job and the position of an attempt, if it is the one that holds a place for its task.
pub(super) fn live_attempt(jobs: &mut Jobs, id: AttemptId) -> Option<(&mut Job, u32)> {
    let job = jobs.get_mut(&id.job())?;
    let position = job.indices.position_of(id.task.index)?;
    let current = job.tasks.get(&position)?.current()?;
    (current.number == id.number).then_some((job, position))
}

fn budget(job: &Job, task: &TaskEntry, config: &Config) -> Budget {
    Budget {
        own: job.spec.retries.saturating_sub(task.failures),
        infra: config.infra_retries.saturating_sub(task.infra_failures),
        stopped: job.stop_of(task.position).is_some(),
        handed_over: task.current().is_some_and(|attempt| attempt.handed_over),
        on_lost: job.spec.on_lost,
    }
}

/// The end of an attempt that was stopped so that its task goes on elsewhere: nobody asked for the job's end, so it is
/// its worker that was given up.
fn as_handed_over(job: &Job, task: &TaskEntry, mut end: AttemptEnd) -> AttemptEnd {
    let Some(attempt) = task.current().filter(|attempt| attempt.handed_over) else { return end };
    let by_drain = end.reason == EndReason::Stopped || end.reason == EndReason::Lost;
    if by_drain && job.stop_of(task.position).is_none() {
        end.reason = EndReason::Lost;
        let colon = if end.message.is_empty() { "" } else { ": " };
        end.message = format!("node {} was drained{colon}{}", attempt.node_name, end.message);
    }
    end
}

/// The digest as the job's attempts share it.
pub(super) fn shared_digest(job: &Job, digest: &str) -> Arc<str> {
    let pinned = job.pinned_digest.as_ref().filter(|pinned| pinned.as_ref() == digest);
    pinned.map_or_else(|| Arc::from(digest), Arc::clone)
}

/// Puts an end into its attempt; what both can hold stays in the attempt.
fn record_end(attempt: &mut AttemptEntry, mut end: AttemptEnd, digest: Option<Arc<str>>) {
    attempt.started = end.started.take().or(attempt.started);
    attempt.container = end.container.take().or(attempt.container.take());
    end.image_digest = None;
    attempt.image_digest = digest.or(attempt.image_digest.take());
    attempt.pull = None;
    attempt.end = Some(Box::new(end));
}

fn end_message(end: &AttemptEnd) -> String {
    match (end.exit_code, end.message.is_empty()) {
        (_, false) => end.message.clone(),
        (Some(code), true) => format!("{} with code {code}", end.reason),
        (None, true) => end.reason.to_string(),
    }
}

/// What a job's end amounts to: the highest exit code, and the words of the first task that did not succeed.
pub(super) fn outcome(job: &Job) -> JobOutcome {
    let rest =
        job.rest.filter(|_| job.untouched() > 0).map(|reason| (reason, ending::exit_code(reason, None)));
    let touched = job.tasks.values().filter_map(|task| {
        let reason = task.end_reason?;
        Some((task, reason, ending::exit_code(reason, task.exit_code())))
    });
    let highest = touched.clone().map(|(_, _, code)| code).chain(rest.map(|(_, code)| code)).max();
    let bad = touched.clone().find(|(task, _, _)| task.state != TaskState::Succeeded);
    // The first untouched task stands at the cursor.
    let rest_first = rest.filter(|_| bad.is_none_or(|(task, _, _)| job.cursor < task.position));
    let shown = bad.or_else(|| touched.clone().next());
    let (reason, message) = match (rest_first, shown) {
        (Some((reason, _)), _) => (reason, rest_message(reason)),
        (None, Some((task, reason, _))) => (reason, task.message.clone()),
        (None, None) => (EndReason::Exited, String::new()),
    };
    JobOutcome { exit_code: highest.unwrap_or(0), reason, message }
}

/// The words of tasks that ended without ever being touched.
fn rest_message(reason: EndReason) -> String {
    match reason {
        EndReason::Timeout => "queue time-out: it was not placed in time".to_owned(),
        EndReason::Stopped => "stopped before it was placed".to_owned(),
        EndReason::Killed => "killed before it was placed".to_owned(),
        EndReason::Exited
        | EndReason::Signaled
        | EndReason::Oom
        | EndReason::StartFailed
        | EndReason::ImageFailed
        | EndReason::InfraUnknown
        | EndReason::Lost
        | EndReason::Rejected => reason.to_string(),
    }
}

/// A wall time to show, some while from now.
pub(super) fn later(now: Now, wait: std::time::Duration) -> crate::time::WallTime {
    crate::time::WallTime(now.wall.0.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)))
}

/// A number that differs between attempts and ticks.
pub(super) fn noise(seed: u64, id: AttemptId) -> u64 {
    let task = (u64::from(id.task.index.0) << 32) | u64::from(id.number.0);
    mix(seed ^ id.job().get().rotate_left(17) ^ task.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
