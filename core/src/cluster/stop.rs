//! Stop and kill.
//!
//! A stop that was stored is never undone: no later attempt of its tasks starts (G7). What is queued ends at once; what
//! is placed is ended by its worker, and its own end decides what is recorded.

use std::time::Duration;

use crate::ids::{JobId, TaskIndex};
use crate::mutants::{self, Mutant};
use crate::outcome::{EndReason, TaskState};
use crate::spec::Signal;

use super::effect::{Command, NoteKind, Reply, StopCause};
use super::refusal::Refusal;
use super::request::DONE;
use super::state::Cluster;
use super::task::StopWish;

/// What a stop is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) job: JobId,
    /// `None` means all tasks.
    pub(super) task: Option<TaskIndex>,
}

impl Cluster {
    /// Ends what is still going on. Repeats are harmless; a repeat with other parameters sends them on.
    pub(super) fn stop(&mut self, target: Target, wish: StopWish) -> Result<Reply, Refusal> {
        let position = self.position_of(target)?;
        let job = self.jobs.get_mut(&target.job).ok_or(Refusal::UnknownJob(target.job))?;
        if job.ended.is_some() {
            return DONE;
        }
        match position {
            None => self.stop_job(target.job, wish),
            Some(position) => self.stop_task(target.job, position, wish),
        }
        DONE
    }

    /// Ends with SIGKILL what is still going on; passes another signal on.
    pub(super) fn kill(&mut self, target: Target, signal: Option<Signal>) -> Result<Reply, Refusal> {
        let Some(signal) = signal.filter(|signal| *signal != Signal::KILL) else {
            return self.stop(target, StopWish { kill: true, signal: None, grace: None });
        };
        let position = self.position_of(target)?;
        let job = self.jobs.get(&target.job).ok_or(Refusal::UnknownJob(target.job))?;
        let mut commands = Vec::new();
        for at in job.live.iter().filter(|at| position.is_none_or(|only| only == **at)) {
            if let Some(attempt) = job.tasks.get(at).and_then(super::task::TaskEntry::current) {
                let id = job.attempt_id(*at, attempt.number);
                commands.push((attempt.node, Command::Signal { attempt: id, signal }));
            }
        }
        for (node, command) in commands {
            self.send(node, command);
        }
        DONE
    }

    fn stop_job(&mut self, id: JobId, wish: StopWish) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let first = job.stop.is_none();
        let wish = job.stop.map_or(wish, |earlier| earlier.joined(wish));
        job.stop = Some(wish);
        job.end_rest(wish.end_reason());
        let queued: Vec<u32> = job.ready.iter().chain(&job.waiting).copied().collect();
        let live: Vec<u32> = job.live.iter().copied().collect();
        if !mutants::active(Mutant::StopNotStored) {
            self.dirty_job(id);
        }
        for position in queued {
            self.end_unplaced(id, position, wish.end_reason(), before_start(wish));
        }
        for position in live {
            self.stop_attempt(id, position);
        }
        if first {
            let word = if wish.kill { "kill" } else { "stop" };
            self.note_job(NoteKind::JobStopRequested, id, format!("{word} stored"));
        }
    }

    fn stop_task(&mut self, id: JobId, position: u32, wish: StopWish) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.task(position).is_none_or(|task| task.state.is_terminal()) {
            return;
        }
        let task = job.touch(position);
        let wish = task.stop.map_or(wish, |earlier| earlier.joined(wish));
        task.stop = Some(wish);
        if task.state == TaskState::Queued {
            self.end_unplaced(id, position, wish.end_reason(), before_start(wish));
        } else {
            self.dirty_task(id, position);
            self.stop_attempt(id, position);
        }
    }

    /// Ends a task that has no attempt.
    pub(super) fn end_unplaced(&mut self, id: JobId, position: u32, reason: EndReason, message: &str) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let task = job.touch(position);
        task.end_reason = Some(reason);
        message.clone_into(&mut task.message);
        task.retry_at = None;
        job.set_state(position, super::ending::final_state(reason));
        self.dirty_task(id, position);
    }

    /// Tells the worker of a task's attempt to end it, as the stored stop says.
    pub(super) fn stop_attempt(&mut self, id: JobId, position: u32) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(wish) = job.stop_of(position) else { return };
        let Some(attempt) = job.tasks.get_mut(&position).and_then(|task| task.current_mut()) else { return };
        let (node, number) = (attempt.node, attempt.number);
        if attempt.state != TaskState::Unknown {
            attempt.state = TaskState::Stopping;
            job.set_state(position, TaskState::Stopping);
        }
        let attempt = job.attempt_id(position, number);
        self.out.changed.insert(id);
        let command = if wish.kill {
            Command::Stop { attempt, cause: StopCause::Kill, signal: None, grace: Some(Duration::ZERO) }
        } else {
            Command::Stop { attempt, cause: StopCause::Stop, signal: wish.signal, grace: wish.grace }
        };
        self.send(node, command);
    }

    fn position_of(&self, target: Target) -> Result<Option<u32>, Refusal> {
        let job = self.jobs.get(&target.job).ok_or(Refusal::UnknownJob(target.job))?;
        let Some(index) = target.task else { return Ok(None) };
        let unknown = Refusal::UnknownTask { job: target.job, index: index.0 };
        job.indices.position_of(index).map(Some).ok_or(unknown)
    }
}

/// What a task says that was ended before it had a place.
fn before_start(wish: StopWish) -> &'static str {
    if wish.kill { "killed before it was placed" } else { "stopped before it was placed" }
}
