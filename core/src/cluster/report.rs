//! News of attempts.
//!
//! A report is taken if its attempt is the current one of its task and its number is new; the end of a live attempt is
//! taken whatever its number, because losing it would be worse than taking it from a worker that lost count. Every
//! report of a known attempt is acknowledged, in the step that changed the records, so the worker hears it only when
//! they are durable. What nobody knows is to be ended and forgotten.

use crate::ids::{AttemptId, NodeId};
use crate::outcome::TaskState;
use crate::time::WallTime;

use super::effect::{Command, Note, NoteKind};
use super::end::{live_attempt, shared_digest};
use super::event::{Progress, Report};
use super::job::Job;
use super::state::Cluster;

/// What the cluster knows of an attempt a worker speaks of.
enum Known {
    /// It holds a place on that worker.
    Live,
    /// It has ended.
    Ended {
        /// Highest report number taken.
        sequence: u64,
    },
    /// It is not that worker's, superseded long ago, or its job is gone.
    No,
}

/// What a report changes beside the state.
#[derive(Default)]
struct Detail {
    container: Option<String>,
    started: Option<WallTime>,
    image_digest: Option<String>,
}

impl Cluster {
    /// Takes one report; `hello` says that it is the newest of an attempt, told at registration.
    pub(super) fn on_report(&mut self, node: NodeId, report: Report, hello: bool) {
        match self.known(node, report.attempt) {
            Known::No => self.send(node, Command::Forget { attempt: report.attempt }),
            Known::Ended { sequence: taken } => self.on_late_report(node, &report, taken, hello),
            Known::Live => {
                let Report { attempt, sequence, progress } = report;
                self.take(attempt, sequence, progress, hello);
                self.send(node, Command::Acknowledge { attempt, sequence });
            }
        }
    }

    fn known(&self, node: NodeId, id: AttemptId) -> Known {
        let Some(job) = self.jobs.get(&id.job()) else { return Known::No };
        let Some(position) = job.indices.position_of(id.task.index) else { return Known::No };
        let Some(task) = job.tasks.get(&position) else { return Known::No };
        let attempt = task.attempts.iter().find(|entry| entry.number == id.number && entry.node == node);
        match attempt {
            Some(entry) if entry.end.is_some() => Known::Ended { sequence: entry.report_sequence },
            Some(entry) if task.current() == Some(entry) => Known::Live,
            Some(_) | None => Known::No,
        }
    }

    fn take(&mut self, id: AttemptId, sequence: u64, progress: Progress, hello: bool) {
        let Some((job, position)) = live_attempt(&mut self.jobs, id) else { return };
        let stop = job.stop_of(position).is_some();
        let Some(entry) = job.tasks.get_mut(&position).and_then(|task| task.current_mut()) else { return };
        let (first, handed_over) = (entry.report_sequence == 0, entry.handed_over);
        let new = sequence > entry.report_sequence;
        entry.report_sequence = entry.report_sequence.max(sequence);
        let ended = match progress {
            Progress::Ended(end) => Some(end),
            other => {
                if new || hello {
                    self.advance(id, other);
                }
                None
            }
        };
        if first {
            self.dirty_task(id.job(), position);
        }
        if let Some(end) = ended {
            self.end_attempt(id, *end);
        } else if stop && hello {
            self.stop_attempt(id.job(), position);
        } else if handed_over && hello {
            self.hand_attempt_over(id);
        }
    }

    /// Applies news that is not the end.
    fn advance(&mut self, id: AttemptId, progress: Progress) {
        let Some((job, position)) = live_attempt(&mut self.jobs, id) else { return };
        let Some(task) = job.tasks.get_mut(&position) else { return };
        let Some(entry) = task.current_mut() else { return };
        let pulling_before = entry.pull.take().is_some();
        let (state, detail) = match progress {
            Progress::Accepted => (TaskState::Placed, Detail::default()),
            Progress::Pulling(pull) => {
                entry.pull = Some(Box::new(pull));
                (TaskState::Pulling, Detail::default())
            }
            Progress::Starting { image_digest } => {
                (TaskState::Starting, Detail { image_digest, ..Detail::default() })
            }
            Progress::Running { container, started, image_digest } => {
                let detail = Detail { container: Some(container), started: Some(started), image_digest };
                (TaskState::Running, detail)
            }
            Progress::Stopping { stuck } => {
                if stuck {
                    "SIGKILL was sent and the container still lives".clone_into(&mut task.message);
                }
                (TaskState::Stopping, Detail::default())
            }
            // The caller takes ends; an attempt that has one is not advanced.
            Progress::Ended(_) => return,
        };
        self.learn(id, detail);
        self.set_attempt_state(id, state);
        if state == TaskState::Pulling && !pulling_before {
            self.note_attempt(NoteKind::ImagePulling, id, String::new());
        }
    }

    /// Records what a report tells about the container.
    fn learn(&mut self, id: AttemptId, detail: Detail) {
        let Some((job, position)) = live_attempt(&mut self.jobs, id) else { return };
        let digest = detail.image_digest.map(|digest| shared_digest(job, &digest));
        let started = detail.container.is_some() && note_start(job, detail.started);
        let pinned = job.pinned_digest.is_none() && digest.is_some();
        if pinned {
            job.pinned_digest.clone_from(&digest);
        }
        let Some(entry) = job.tasks.get_mut(&position).and_then(|task| task.current_mut()) else { return };
        if digest.is_some() && entry.image_digest != digest {
            entry.image_digest = digest;
        }
        let told = detail.container.is_some();
        let runs = told && entry.container != detail.container;
        if told && entry.heard_running.is_none() {
            entry.heard_running = Some(self.now.boot);
        }
        if runs {
            entry.container = detail.container;
            entry.started = detail.started;
        }
        if started || pinned {
            self.dirty_job(id.job());
        }
        if runs {
            self.dirty_task(id.job(), position);
            self.note_attempt(NoteKind::AttemptStarted, id, String::new());
        }
    }

    fn note_attempt(&mut self, kind: NoteKind, id: AttemptId, message: String) {
        let node = self.node_of(id);
        self.out.notes.push(Note { kind, job: Some(id.job()), attempt: Some(id), node, message });
    }

    /// The node an attempt was placed on; `None` if the attempt is not kept any more.
    fn node_of(&self, id: AttemptId) -> Option<NodeId> {
        let job = self.jobs.get(&id.job())?;
        let task = job.task(job.indices.position_of(id.task.index)?)?;
        task.attempts.iter().find(|attempt| attempt.number == id.number).map(|attempt| attempt.node)
    }

    /// Moves a live attempt and its task to a state. What a stop was stored for, or is handed over, shows as stopping, unless it is unknown.
    pub(super) fn set_attempt_state(&mut self, id: AttemptId, state: TaskState) {
        let Some((job, position)) = live_attempt(&mut self.jobs, id) else { return };
        let stop = job.stop_of(position).is_some();
        let Some(entry) = job.tasks.get_mut(&position).and_then(|task| task.current_mut()) else { return };
        let stopping = state != TaskState::Unknown && (stop || entry.handed_over);
        let state = if stopping { TaskState::Stopping } else { state };
        let before = std::mem::replace(&mut entry.state, state);
        job.set_state(position, state);
        self.out.changed.insert(id.job());
        if before != state && (before == TaskState::Unknown || state == TaskState::Unknown) {
            self.dirty_task(id.job(), position);
        }
    }

    /// Gives an unknown attempt back the state its record speaks for, until its worker says more.
    pub(super) fn back_from_unknown(&mut self, id: AttemptId) {
        let Some((job, position)) = live_attempt(&mut self.jobs, id) else { return };
        let Some(entry) = job.tasks.get(&position).and_then(|task| task.current()) else { return };
        if entry.state == TaskState::Unknown {
            let state = if entry.container.is_some() { TaskState::Running } else { TaskState::Placed };
            self.set_attempt_state(id, state);
        }
    }
}

/// Records the first start of a job; says whether it was the first.
pub(super) fn note_start(job: &mut Job, started: Option<WallTime>) -> bool {
    if job.started.is_some() {
        return false;
    }
    job.started = started;
    started.is_some()
}
