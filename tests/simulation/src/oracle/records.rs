//! What a commit may change.

use dockmgr_core::cluster::{AttemptEntry, Record, StoredJob, TaskEntry};
use dockmgr_core::ids::{AttemptId, AttemptNumber, Epoch, JobId, TaskId};
use dockmgr_core::outcome::{AttemptEnd, EndReason, TaskState};

use super::{Cause, Oracle};
use crate::records::Value;
use crate::store::Store;

/// Bytes of a message that is kept.
const LONGEST_MESSAGE: usize = 4096;

impl Oracle {
    /// A commit was applied: compares old and new values (I1, I2, I5 to I9, I11).
    pub(crate) fn committed(
        &mut self,
        epoch: Epoch,
        changes: &[(Record, Option<Value>, Option<Value>)],
        store: &mut Store,
    ) {
        if epoch < store.written_by {
            let words =
                format!("a commit of epoch {epoch} was applied after one of epoch {}", store.written_by);
            self.violate("I9", words);
        }
        store.written_by = epoch.max(store.written_by);
        for (record, new, old) in changes {
            match (record, new, old) {
                (Record::Job(id), Some(Value::Job(new)), Some(Value::Job(old))) => {
                    self.job_changed(*id, new, old);
                }
                (Record::Job(id), Some(Value::Job(new)), None) => self.job_made(*id, new),
                (Record::Job(id), None, Some(Value::Job(_))) if !self.deletes.contains(id) => {
                    self.violate("I1", format!("job {id} was deleted, and nobody asked for it"));
                }
                (Record::Chunk(id, _), Some(Value::Chunk(new)), old) => {
                    let none = Vec::new();
                    let old = match old {
                        Some(Value::Chunk(old)) => old.as_ref(),
                        _ => &none,
                    };
                    if let Some((_, Value::Job(job))) = store.state.get(&Record::Job(*id)) {
                        let job = std::sync::Arc::clone(job);
                        for task in new.iter() {
                            self.task_changed(
                                &job,
                                task,
                                old.iter().find(|older| older.position == task.position),
                            );
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn job_made(&mut self, id: JobId, new: &StoredJob) {
        let (None, Some(name)) = (new.retry_of, &new.spec.name) else { return };
        let known = *self.jobs_by_key.entry(name.to_string()).or_insert(id);
        if known != id {
            self.violate("I2", format!("one key made the jobs {known} and {id}"));
        }
    }

    fn job_changed(&mut self, id: JobId, new: &StoredJob, old: &StoredJob) {
        // A group that was cut off may have stored a job's end without its last task's; nobody was told of it.
        let was_seen = self.facts.get(&id).is_some_and(super::history::Facts::has_end);
        if was_seen && old.ended.is_some() && new.ended.is_none() {
            self.violate("I6", format!("the end of job {id} changed"));
        }
        if old.stop.is_some() && new.stop.is_none() {
            self.violate("I11", format!("the stop of job {id} was taken back"));
        }
    }

    fn task_changed(&mut self, job: &StoredJob, new: &TaskEntry, old: Option<&TaskEntry>) {
        let index = job.indices.index_of(new.position).unwrap_or_default();
        let task = TaskId { job: job.id, index };
        let attempt = |number: AttemptNumber| AttemptId { task, number };
        let before = old.map_or(0, |old| old.last_attempt);
        if new.last_attempt < before {
            self.violate(
                "I5",
                format!("the attempts of task {task} went back from {before} to {}", new.last_attempt),
            );
        }
        if !new.attempts.windows(2).all(|pair| pair[0].number < pair[1].number && pair[0].end.is_some()) {
            self.violate("I5", format!("an attempt of task {task} began before the one before had ended"));
        }
        let most = 1 + job.spec.retries + self.infra_retries + self.drains;
        if new.last_attempt > most {
            self.violate("V5", format!("task {task} was tried {} times of {most}", new.last_attempt));
        }
        if new.last_attempt > before && self.stops.contains(&job.id) {
            self.violate("I11", format!("task {task} got a new attempt after its stop was confirmed"));
        }
        if let Some(old) = old {
            self.task_follows(task, new, old);
        }
        for entry in &new.attempts {
            let was = old.and_then(|old| old.attempts.iter().find(|older| older.number == entry.number));
            if let Some(end) = entry.end.as_deref()
                && was.is_none_or(|was| was.end.is_none())
            {
                self.attempt_ended(attempt(entry.number), end);
            }
        }
    }

    fn task_follows(&mut self, task: TaskId, new: &TaskEntry, old: &TaskEntry) {
        if old.state.is_terminal() && (new.state != old.state || new.last_attempt != old.last_attempt) {
            self.violate("I6", format!("task {task} had ended as {} and is {}", old.state, new.state));
        }
        let ended = |entry: &&AttemptEntry| entry.end.is_some();
        for was in old.attempts.iter().filter(ended) {
            let is = new.attempts.iter().find(|entry| entry.number == was.number);
            if is.is_some_and(|is| is.end != was.end) {
                self.violate("I6", format!("the end of attempt {task}.{} changed", was.number));
            }
        }
        if old.stop.is_some() && new.stop.is_none() {
            self.violate("I11", format!("the stop of task {task} was taken back"));
        }
        if new.state == TaskState::Succeeded && new.attempts.last().is_none_or(|last| last.end.is_none()) {
            self.violate("I8", format!("task {task} succeeded without an end"));
        }
    }

    /// Compares a recorded end with the truth (I7, I8, I11).
    fn attempt_ended(&mut self, attempt: AttemptId, end: &AttemptEnd) {
        if end.message.len() > LONGEST_MESSAGE {
            self.violate("I16", format!("the end of {attempt} has a message of {} bytes", end.message.len()));
        }
        let truth = self.truths.entry(attempt).or_default();
        let (runs, ended, running) = (truth.runs, truth.ended, truth.running);
        let told = match end.reason {
            EndReason::Exited
            | EndReason::Signaled
            | EndReason::Oom
            | EndReason::Stopped
            | EndReason::Killed
            | EndReason::Timeout
            | EndReason::Lost => end.exit_code,
            EndReason::StartFailed
            | EndReason::ImageFailed
            | EndReason::InfraUnknown
            | EndReason::Rejected => None,
        };
        if let Some(code) = told
            && (runs != 1 || ended.map(|(code, _)| code) != Some(Some(code)))
        {
            let words = format!(
                "{attempt} is recorded as {} with code {code}; the truth is {ended:?} after {runs} runs",
                end.reason
            );
            self.violate(if end.is_success() { "I8" } else { "I7" }, words);
        }
        if end.is_success() && !matches!(ended, Some((Some(0), Cause::Own | Cause::Signal))) {
            self.violate("I8", format!("{attempt} is recorded as success; the truth is {ended:?}"));
        }
        if matches!(end.reason, EndReason::Exited | EndReason::Signaled)
            && matches!(ended, Some((_, Cause::Signal)))
            && runs == 1
        {
            self.sometimes("own end while being stopped");
        }
        if matches!(end.reason, EndReason::Stopped | EndReason::Killed) && running {
            self.violate("I11", format!("{attempt} is recorded as {} and still runs", end.reason));
        }
        self.sometimes(match end.reason {
            EndReason::Exited => "end: exited",
            EndReason::Signaled => "end: signaled",
            EndReason::Oom => "end: oom",
            EndReason::Timeout => "end: timeout",
            EndReason::Stopped => "end: stopped",
            EndReason::Killed => "end: killed",
            EndReason::StartFailed => "end: start failed",
            EndReason::ImageFailed => "end: image failed",
            EndReason::InfraUnknown => "end: infra unknown",
            EndReason::Lost => "end: lost",
            EndReason::Rejected => "end: rejected",
        });
    }

    /// A worker was told that its result is durable (I7).
    pub(crate) fn acknowledged(&mut self, attempt: AttemptId, store: &Store) {
        let stored = store.attempt(attempt);
        if stored.is_some_and(|entry| entry.end.is_none()) {
            self.violate("I7", format!("the end of {attempt} was acknowledged and is not stored"));
        }
    }
}
