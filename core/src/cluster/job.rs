//! The record of a job and the states of its tasks.
//!
//! Owns the bookkeeping that makes a million tasks cheap: untouched tasks are a number, touched ones a map, and counts
//! change with the states. Does not decide what happens to a task.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ids::{AttemptId, AttemptNumber, JobId, JobUid, TaskId, TaskIndex};
use crate::outcome::{EndReason, JobState, TaskState};
use crate::retention::Reason;
use crate::scheduler::{Place, ShapeId};
use crate::spec::JobSpec;
use crate::time::WallTime;

use super::config::CHUNK_TASKS;
use super::counts::Counts;
use super::ending;
use super::indices::Indices;
use super::task::{StopWish, TaskEntry};

/// A job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// Its identity over all clusters.
    pub uid: JobUid,
    /// What was asked for.
    pub spec: Arc<JobSpec>,
    /// When it was stored.
    pub created: WallTime,
    /// When its first container started, by that worker's clock.
    pub started: Option<WallTime>,
    /// When its last task ended.
    pub ended: Option<WallTime>,
    /// The job it repeats.
    pub retry_of: Option<JobId>,
    /// A stop of the whole job.
    pub stop: Option<StopWish>,
    /// How the tasks that were never touched ended; `None` while they are queued.
    pub rest: Option<EndReason>,
    /// Digest the first pull found; later attempts run the same.
    pub pinned_digest: Option<Arc<str>>,
    /// The indices of its tasks.
    pub indices: Indices,
    /// Revision of its last change; grows.
    pub revision: u64,
    /// How many tasks are in which state.
    pub counts: Counts,
    /// An attempt of it ran, or may have run, after the cluster had given it up: perhaps together with the next one.
    pub overlap_possible: bool,
    /// A person asked for it and its output to be kept, however old they become.
    pub pinned: bool,
    /// When its output was deleted although the job is still known, and why; `None` while it is kept.
    pub output_deleted: Option<(WallTime, Reason)>,
    /// How it ended; `None` while it is active.
    pub outcome: Option<JobOutcome>,
    pub(super) tasks: BTreeMap<u32, TaskEntry>,
    /// Every position below is touched.
    pub(super) cursor: u32,
    /// Touched tasks that may be placed now.
    pub(super) ready: BTreeSet<u32>,
    /// Touched tasks that wait for their back-off.
    pub(super) waiting: BTreeSet<u32>,
    /// Tasks whose attempt holds a place.
    pub(super) live: BTreeSet<u32>,
    pub(super) shape: Option<ShapeId>,
    /// What of `counts` the cluster's totals hold.
    pub(super) tallied: Counts,
}

/// Jobs by number. Boxed: numbers grow, so the nodes of the tree stay half empty, and a job is large.
pub(super) type Jobs = BTreeMap<JobId, Box<Job>>;

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobOutcome {
    /// Exit code: the task's own, for several the highest.
    pub exit_code: u8,
    /// The reason of the task, for several that of the first one that did not succeed.
    pub reason: EndReason,
    /// More words, of the same task.
    pub message: String,
}

impl Job {
    /// State of the whole job.
    pub fn state(&self) -> JobState {
        self.counts.job_state()
    }

    /// How many tasks it has.
    pub fn task_count(&self) -> u32 {
        self.indices.count()
    }

    /// The task at a position, made up from the job where it was never touched.
    pub fn task(&self, position: u32) -> Option<Cow<'_, TaskEntry>> {
        if position >= self.task_count() {
            return None;
        }
        let touched = self.tasks.get(&position).map(Cow::Borrowed);
        Some(
            touched.unwrap_or_else(|| {
                Cow::Owned(TaskEntry::untouched(position, self.untouched_state(), self.rest))
            }),
        )
    }

    /// The tasks from a position on, untouched ones included.
    pub fn tasks_from(&self, position: u32) -> impl Iterator<Item = Cow<'_, TaskEntry>> + '_ {
        (position..self.task_count()).filter_map(|position| self.task(position))
    }

    /// The touched tasks of a stored chunk, `CHUNK_TASKS` positions each, by position.
    pub fn chunk(&self, number: u32) -> impl Iterator<Item = &TaskEntry> + '_ {
        let first = number.saturating_mul(CHUNK_TASKS);
        self.tasks.range(first..first.saturating_add(CHUNK_TASKS)).map(|(_, task)| task)
    }

    /// Numbers of the chunks in which a task was touched.
    pub fn chunks(&self) -> impl Iterator<Item = u32> + '_ {
        let mut from = Some(0);
        std::iter::from_fn(move || {
            let (position, _) = self.tasks.range(from?..).next()?;
            let number = position / CHUNK_TASKS;
            from = (number + 1).checked_mul(CHUNK_TASKS);
            Some(number)
        })
    }

    /// The task that is placed next; `None` if none waits for a place, or the job may have no more at a time.
    pub fn next_ready(&self) -> Option<u32> {
        if self.stop.is_some() || self.is_at_limit() {
            return None;
        }
        let untouched = (self.rest.is_none() && self.cursor < self.task_count()).then_some(self.cursor);
        self.ready.first().copied().or(untouched)
    }

    /// Whether as many tasks hold a place as the array's `%N` allows.
    pub fn is_at_limit(&self) -> bool {
        let most = self.spec.array.and_then(crate::spec::ArraySpec::max_running);
        most.is_some_and(|most| self.counts.live() >= most)
    }

    /// The state of tasks that were never touched.
    pub(super) fn untouched_state(&self) -> TaskState {
        self.rest.map_or(TaskState::Queued, ending::final_state)
    }

    /// How many tasks were never touched.
    pub(super) fn untouched(&self) -> u32 {
        self.task_count() - u32::try_from(self.tasks.len()).expect("never more records than tasks")
    }

    pub(super) fn place_in_queue(&self) -> Place {
        Place::new(self.spec.priority, self.id)
    }

    pub(super) fn attempt_id(&self, position: u32, number: AttemptNumber) -> AttemptId {
        let index = self.indices.index_of(position).unwrap_or(TaskIndex(position));
        AttemptId { task: TaskId { job: self.id, index }, number }
    }

    /// The record of a task, made if it was never touched.
    pub(super) fn touch(&mut self, position: u32) -> &mut TaskEntry {
        let (state, rest) = (self.untouched_state(), self.rest);
        self.tasks.entry(position).or_insert_with(|| TaskEntry::untouched(position, state, rest))
    }

    /// Moves a touched task to a state; counts and sets follow.
    pub(super) fn set_state(&mut self, position: u32, state: TaskState) {
        let Some(task) = self.tasks.get_mut(&position) else { return };
        let before = std::mem::replace(&mut task.state, state);
        self.counts.take(before, 1);
        self.counts.add(state, 1);
        self.ready.remove(&position);
        self.waiting.remove(&position);
        if state == TaskState::Queued {
            self.waiting.insert(position);
        }
        if state.is_live() {
            self.live.insert(position);
        } else {
            self.live.remove(&position);
        }
        while self.tasks.contains_key(&self.cursor) {
            self.cursor += 1;
        }
    }

    /// Lets a task be placed that waited for its back-off.
    pub(super) fn make_ready(&mut self, position: u32) {
        if self.waiting.remove(&position) {
            self.ready.insert(position);
        }
    }

    /// Ends every task that was never touched.
    pub(super) fn end_rest(&mut self, reason: EndReason) {
        if self.rest.is_some() || self.untouched() == 0 {
            return;
        }
        let tasks = self.untouched();
        self.rest = Some(reason);
        self.counts.take(TaskState::Queued, tasks);
        self.counts.add(ending::final_state(reason), tasks);
    }

    /// The stop that holds for a task.
    pub(super) fn stop_of(&self, position: u32) -> Option<StopWish> {
        let alone = self.tasks.get(&position).and_then(|task| task.stop);
        match (self.stop, alone) {
            (Some(whole), Some(alone)) => Some(alone.joined(whole)),
            (whole, alone) => whole.or(alone),
        }
    }
}
