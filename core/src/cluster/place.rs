//! Carrying placements out.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ids::{AttemptNumber, JobId, NodeId};
use crate::outcome::{EndReason, TaskState};
use crate::scheduler::{Choice, Pass, Scope, Wish};

use super::effect::{Command, Note, NoteKind, Start};
use super::job::Job;
use super::state::Cluster;
use super::task::AttemptEntry;

impl Cluster {
    /// Places what may have become placeable; returns whether it stopped at the bound of a step and must go on at once.
    pub(super) fn place(&mut self) -> bool {
        if self.scope.is_empty() {
            return false;
        }
        let mut pass = Pass::new(&self.queue, &self.scope);
        for _ in 0..self.config.placements_per_step {
            let wish = |job: JobId| self.jobs.get(&job).map(|job| wish_of(job));
            let Some(choice) = pass.next(&self.queue, &self.open, &self.nodes, wish) else {
                self.scope = Scope::Shapes(BTreeSet::new());
                return false;
            };
            self.place_one(choice);
        }
        true
    }

    fn place_one(&mut self, Choice { job: id, node }: Choice) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let (Some(position), Some(record)) = (job.next_ready(), self.nodes.get_mut(&node)) else { return };
        let task = job.touch(position);
        task.last_attempt = task.last_attempt.saturating_add(1);
        task.retry_at = None;
        task.message.clear();
        let number = AttemptNumber(task.last_attempt);
        task.attempts.push(AttemptEntry {
            number,
            node,
            node_name: Arc::clone(&record.name),
            state: TaskState::Placed,
            placed: self.now.wall,
            started: None,
            end: None,
            container: None,
            image_digest: None,
            report_sequence: 0,
            pull: None,
            handed_over: false,
            heard_running: None,
            loss: None,
        });
        let surplus = task.attempts.len().saturating_sub(self.config.max_attempts_kept);
        task.attempts.drain(..surplus);
        job.set_state(position, TaskState::Placed);
        let attempt = job.attempt_id(position, number);
        record.host.used = record.host.used.plus(job.spec.resources);
        record.attempts.insert(attempt);
        let message = format!("placed on {}", record.name);
        let command = start_command(job, position, number);
        self.refresh_node(node, false);
        self.dirty_task(id, position);
        self.send(node, command);
        self.out.notes.push(Note {
            kind: NoteKind::AttemptPlaced,
            job: Some(id),
            attempt: Some(attempt),
            node: Some(node),
            message,
        });
        self.settle(id);
    }
}

/// What a worker is told to run an attempt.
pub(super) fn start_command(job: &Job, position: u32, number: AttemptNumber) -> Command {
    Command::Start(Box::new(Start {
        attempt: job.attempt_id(position, number),
        spec: job.spec.as_ref().clone(),
        job_uid: job.uid,
        // Of a retried array the spec's count, so that a task divides the work as it did before.
        task_count: job.spec.task_count(),
        pinned_digest: job.pinned_digest.as_deref().map(str::to_owned),
    }))
}

fn wish_of(job: &Job) -> Wish<'_> {
    Wish {
        image: job.spec.image.as_str(),
        digest: job.pinned_digest.as_deref(),
        spread: job.spec.array.is_some(),
        avoid: job.next_ready().and_then(|position| failed_node(job, position)),
    }
}

/// The node a task's last attempt failed on for reasons that are not its own: for these it is only tried again where the
/// infrastructure was to blame.
fn failed_node(job: &Job, position: u32) -> Option<NodeId> {
    let last = job.tasks.get(&position)?.attempts.last()?;
    match last.end.as_deref()?.reason {
        EndReason::InfraUnknown | EndReason::Lost | EndReason::ImageFailed | EndReason::StartFailed => {
            Some(last.node)
        }
        EndReason::Exited
        | EndReason::Signaled
        | EndReason::Oom
        | EndReason::Timeout
        | EndReason::Stopped
        | EndReason::Killed
        | EndReason::Rejected => None,
    }
}
