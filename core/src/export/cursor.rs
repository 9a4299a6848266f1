//! How far an exporter has come: which jobs it is done with, and its place in the others.
//!
//! ```text
//!   not begun --move_to--> open --finish_job--> done
//! ```
//!
//! Of a job that is not begun nothing is stored, of an open one its place, of those that are done ranges of numbers.

use std::collections::{BTreeMap, BTreeSet};

use super::{JobSet, PlaceError};
use crate::ids::{JobId, TaskId, TaskIndex};
use crate::log::{ResumeToken, TaskPosition};

/// The place of one exporter in all kept output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor {
    done: JobSet,
    open: BTreeMap<JobId, ResumeToken>,
    /// Jobs whose place is not stored yet.
    changed: BTreeSet<JobId>,
    /// Whether `done` is not stored yet.
    is_done_changed: bool,
}

/// What must be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The jobs that are done, as text.
    Done(String),
    /// The place in a job, as text.
    Place(JobId, String),
    /// A job has no place any more: it is done.
    Remove(JobId),
}

impl Cursor {
    /// The cursor that was stored: the text of the done jobs, if there is one, and of each open job.
    ///
    /// # Errors
    /// [`PlaceError`] if a text is not one of [`Cursor::changes`].
    pub fn restore<'a>(
        done: Option<&str>,
        places: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, PlaceError> {
        let done: JobSet = done.unwrap_or_default().parse()?;
        let mut cursor = Self { done, ..Self::default() };
        for place in places {
            let token: ResumeToken = place.parse().map_err(|_| PlaceError)?;
            if cursor.is_done(token.job) {
                // Stored by a commit that was cut in two: its place goes with the next one.
                cursor.changed.insert(token.job);
            } else {
                cursor.open.insert(token.job, token);
            }
        }
        Ok(cursor)
    }

    /// Whether nothing more is to be shipped of `job`.
    pub fn is_done(&self, job: JobId) -> bool {
        self.done.contains(job)
    }

    /// The jobs of which nothing more is to be shipped.
    pub fn done(&self) -> &JobSet {
        &self.done
    }

    /// The jobs that are begun and not done, in order.
    pub fn open(&self) -> impl Iterator<Item = JobId> + '_ {
        self.open.keys().copied()
    }

    /// Whether nothing more is to be shipped of a task.
    pub fn is_task_done(&self, task: TaskId) -> bool {
        self.is_done(task.job)
            || self.open.get(&task.job).is_some_and(|place| place.done.contains(task.index))
    }

    /// The lowest task of `job` of which something is to be shipped; `None` if no index is left.
    pub fn first_task(&self, job: JobId) -> Option<TaskIndex> {
        self.open.get(&job).map_or(Some(TaskIndex(0)), |place| place.done.first_missing())
    }

    /// The place in a task that is begun.
    pub fn place(&self, task: TaskId) -> Option<TaskPosition> {
        self.open.get(&task.job)?.at.get(&task.index).copied()
    }

    /// Everything of the task before `position` was delivered.
    pub fn move_to(&mut self, task: TaskId, position: TaskPosition) {
        if let Some(place) = self.touch(task.job) {
            place.at.insert(task.index, position);
        }
    }

    /// Nothing more is to be shipped of the task.
    pub fn finish_task(&mut self, task: TaskId) {
        if let Some(place) = self.touch(task.job) {
            place.at.remove(&task.index);
            place.done.insert(task.index);
        }
    }

    /// Nothing more is to be shipped of the job.
    pub fn finish_job(&mut self, job: JobId) {
        if self.open.remove(&job).is_some() {
            self.changed.insert(job);
        }
        self.is_done_changed |= !self.done.contains(job);
        self.done.insert(job);
    }

    /// Whether something is to be stored.
    pub fn is_changed(&self) -> bool {
        self.is_done_changed || !self.changed.is_empty()
    }

    /// What changed since the last call, in an order in which any begin of it may be stored alone: a job counts as done
    /// before its place goes.
    pub fn changes(&mut self) -> Vec<Change> {
        let changed = std::mem::take(&mut self.changed);
        let done = std::mem::take(&mut self.is_done_changed).then(|| Change::Done(self.done.to_string()));
        let places = changed.into_iter().map(|job| match self.open.get(&job) {
            Some(place) => Change::Place(job, place.to_string()),
            None => Change::Remove(job),
        });
        done.into_iter().chain(places).collect()
    }

    fn touch(&mut self, job: JobId) -> Option<&mut ResumeToken> {
        if self.is_done(job) {
            return None;
        }
        self.changed.insert(job);
        Some(self.open.entry(job).or_insert_with(|| ResumeToken::start_of(job)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::AttemptNumber;
    use crate::log::Offsets;

    fn task(job: u64, index: u32) -> TaskId {
        TaskId { job: JobId::new(job).expect("not 0"), index: TaskIndex(index) }
    }

    fn at(stdout: u64) -> TaskPosition {
        TaskPosition { attempt: AttemptNumber::FIRST, offsets: Offsets { stdout, stderr: 0 }, ended: false }
    }

    #[test]
    fn what_was_stored_comes_back_and_a_done_job_leaves_no_key() {
        let mut cursor = Cursor::default();
        cursor.move_to(task(1, 0), at(7));
        cursor.move_to(task(2, 5), at(3));
        cursor.finish_task(task(2, 4));
        cursor.finish_job(task(3, 0).job);
        let changes = cursor.changes();
        let expected = [
            Change::Done("3".to_owned()),
            Change::Place(task(1, 0).job, "1;;0.1:7:0".to_owned()),
            Change::Place(task(2, 0).job, "2;4;5.1:3:0".to_owned()),
        ];
        assert_eq!(changes, expected);
        assert!(!cursor.is_changed());
        let restored = Cursor::restore(Some("3"), ["1;;0.1:7:0", "2;4;5.1:3:0"]).expect("our own text");
        assert_eq!(restored, cursor);
        assert_eq!(restored.place(task(2, 5)), Some(at(3)));
        assert!(restored.is_task_done(task(2, 4)) && restored.is_task_done(task(3, 9)));
        assert!(!restored.is_task_done(task(2, 5)));
        cursor.finish_job(task(2, 0).job);
        let removed = [Change::Done("2-3".to_owned()), Change::Remove(task(2, 0).job)];
        assert_eq!(cursor.changes(), removed);
    }

    #[test]
    fn a_commit_that_was_cut_in_two_leaves_a_job_done_and_its_place_to_be_removed() {
        let mut cursor = Cursor::restore(Some("1-2"), ["2;;0.1:7:0"]).expect("our own text");
        assert_eq!(cursor.open().count(), 0);
        cursor.move_to(task(2, 0), at(9));
        let job = task(2, 0).job;
        assert_eq!(cursor.changes(), [Change::Remove(job)]);
    }

    #[test]
    fn other_texts_are_refused() {
        assert_eq!(Cursor::restore(Some("x"), []), Err(PlaceError));
        assert_eq!(Cursor::restore(None, ["1;;x"]), Err(PlaceError));
    }
}
