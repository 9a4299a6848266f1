//! What workers say of attempts that have ended.
//!
//! An end is never changed by it. A worker that repeats itself is told that its word is durable. Of an attempt the
//! cluster had given up, the first late word is noted as superseded; if the container ran, or may have run, after that
//! moment, job and attempt say so for good. What still runs is to be ended and forgotten.

use crate::ids::{AttemptId, NodeId};
use crate::mutants::{self, Mutant};
use crate::outcome::{AttemptEnd, EndReason};
use crate::time::WallTime;

use super::effect::{Command, Note, NoteKind};
use super::event::{Progress, Report};
use super::state::Cluster;
use super::task::{AttemptEntry, Late, Loss};

impl Cluster {
    /// Takes a report of an attempt that has ended; `taken` is the highest report number that was taken before its end.
    pub(super) fn on_late_report(&mut self, node: NodeId, report: &Report, taken: u64, hello: bool) {
        let Report { attempt, sequence, progress } = report;
        if let Progress::Ended(end) = progress {
            self.believe_late(*attempt, end);
        }
        let given_up = self.note_late(node, *attempt, progress);
        let over = matches!(progress, Progress::Ended(_));
        let repeated = over || (!hello && !given_up && *sequence <= taken);
        let command = if repeated {
            Command::Acknowledge { attempt: *attempt, sequence: *sequence }
        } else {
            Command::Forget { attempt: *attempt }
        };
        self.send(node, command);
    }

    /// Two planted bugs: a late end replaces the recorded one, or is taken for that of the attempt that came after.
    fn believe_late(&mut self, id: AttemptId, end: &AttemptEnd) {
        let overwrites = mutants::active(Mutant::EndOverwritten);
        if !overwrites && !mutants::active(Mutant::SupersededAccepted) {
            return;
        }
        let Some(job) = self.jobs.get_mut(&id.job()) else { return };
        let Some(position) = job.indices.position_of(id.task.index) else { return };
        let Some(task) = job.tasks.get_mut(&position) else { return };
        if overwrites {
            let entry = task.attempts.iter_mut().find(|entry| entry.number == id.number);
            if let Some(entry) = entry.filter(|entry| entry.loss.is_some()) {
                entry.end = Some(Box::new(end.clone()));
                self.dirty_task(id.job(), position);
            }
        } else if let Some(number) = task.current().map(|current| current.number) {
            self.end_attempt(AttemptId { number, ..id }, end.clone());
        }
    }

    /// Notes what is said of an attempt that was given up; says whether it was.
    fn note_late(&mut self, node: NodeId, id: AttemptId, progress: &Progress) -> bool {
        let Some(job) = self.jobs.get_mut(&id.job()) else { return false };
        let Some(position) = job.indices.position_of(id.task.index) else { return false };
        let Some(task) = job.tasks.get_mut(&position) else { return false };
        let Some(entry) = task.attempts.iter_mut().find(|entry| entry.number == id.number) else {
            return false;
        };
        let Some(word) = late_word(entry, progress, self.now.wall) else { return false };
        let Some(loss) = entry.loss.as_deref_mut() else { return false };
        let first = loss.late.is_none();
        let joined = loss.late.as_ref().map_or_else(|| word.clone(), |earlier| joined(earlier, &word));
        if loss.late.as_ref() == Some(&joined) {
            return true;
        }
        let overlap = joined.overlap && !job.overlap_possible;
        loss.late = Some(joined);
        job.overlap_possible |= overlap;
        self.dirty_task(id.job(), position);
        if overlap {
            self.dirty_job(id.job());
        }
        if first {
            let kind = NoteKind::AttemptSuperseded;
            let message = superseded_message(progress, word.overlap);
            self.out.notes.push(Note {
                kind,
                job: Some(id.job()),
                attempt: Some(id),
                node: Some(node),
                message,
            });
        }
        true
    }
}

/// What a late report amounts to; `None` if the attempt was not given up.
fn late_word(entry: &AttemptEntry, progress: &Progress, told: WallTime) -> Option<Late> {
    let loss = entry.loss.as_deref()?;
    let (started, ended) = match progress {
        Progress::Running { started, .. } => (Some(*started), None),
        Progress::Ended(end) => (end.started, end.ended),
        Progress::Accepted | Progress::Pulling(_) | Progress::Starting { .. } | Progress::Stopping { .. } => {
            (None, None)
        }
    };
    let started = started.or(entry.started);
    Some(Late { told, started, ended, overlap: may_have_run_on(entry, loss, progress) })
}

/// A later word adds to an earlier one; the flag is never taken back.
fn joined(earlier: &Late, newer: &Late) -> Late {
    Late {
        told: earlier.told,
        started: newer.started.or(earlier.started),
        ended: newer.ended.or(earlier.ended),
        overlap: earlier.overlap || newer.overlap,
    }
}

/// Whether the attempt ran, or may have run, after it was given up. Without proof of the contrary it may: one that has not
/// even begun may begin before its worker hears that it must not.
fn may_have_run_on(entry: &AttemptEntry, loss: &Loss, progress: &Progress) -> bool {
    match progress {
        Progress::Accepted
        | Progress::Pulling(_)
        | Progress::Starting { .. }
        | Progress::Running { .. }
        | Progress::Stopping { .. } => true,
        Progress::Ended(end) => !has_ended_before(entry, loss, end),
    }
}

/// Proof that a container had ended when its attempt was given up: it never started; or the leader heard it run, and it
/// ran no longer than from then until the loss. Wall clocks of two hosts prove nothing.
fn has_ended_before(entry: &AttemptEntry, loss: &Loss, end: &AttemptEnd) -> bool {
    if end.reason == EndReason::InfraUnknown {
        return false;
    }
    if end.started.is_none() && entry.started.is_none() {
        return true;
    }
    match (entry.heard_running, loss.given_up_at) {
        // No length means that nobody measured it.
        (Some(running), Some(given_up)) => !end.run.is_zero() && running + end.run <= given_up,
        (None, _) | (_, None) => false,
    }
}

fn superseded_message(progress: &Progress, overlap: bool) -> String {
    let word = match progress {
        Progress::Accepted => "it has not begun",
        Progress::Pulling(_) => "its image is being pulled",
        Progress::Starting { .. } => "its container is being started",
        Progress::Running { .. } => "its container still runs",
        Progress::Stopping { .. } => "its container is being stopped",
        Progress::Ended(_) => "it has ended",
    };
    let overlap = if overlap { "; it may have run after it was given up" } else { "" };
    format!("its worker returned and says that {word}: superseded{overlap}")
}
