//! Following the output of a whole job: tasks side by side, attempts of a task one after the other.
//!
//! ```text
//!   task:  waits --its attempt begins--> Begin, Records.., End --another attempt--> Begin, ..
//!                                                          \--task has ended--> done
//!   tail:  all tasks done and the job over --> JobEnd, the last step
//! ```
//!
//! At most [`WINDOW`] tasks are read at a time, lowest index first; the others lose nothing, their output is on the disk.
//! The position of everything is in the resume token, so a tail that is cut goes on anywhere.

mod open_task;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use dockmgr_core::ids::{AttemptId, AttemptNumber, JobId, TaskIndex};
use dockmgr_core::log::{End, Record, ResumeToken, Stream};
use dockmgr_core::time::WallTime;
use futures_util::FutureExt as _;
use futures_util::future::select_all;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{AttemptDirectory, BegunTask, Error, LogStore};
use open_task::{OpenTask, Progressed};

/// Tasks read at a time by one follower: bounds its memory and the size of its token.
const WINDOW: usize = 64;
/// Tasks asked for at a time.
const PAGE: usize = 256;
/// How often a follower hears from us while nothing happens: often enough to survive proxies that close idle streams.
const IDLE: Duration = Duration::from_secs(10);
/// Least time between two looks at the cluster: a job of many short tasks changes thousands of times a second.
const LOOK: Duration = Duration::from_millis(50);

/// What a reader asks for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Output of which job.
    pub(crate) job: JobId,
    /// Only this task.
    pub(crate) task: Option<TaskIndex>,
    /// Only this attempt; else the last one, and with `follow` those after it.
    pub(crate) attempt: Option<AttemptNumber>,
    /// Goes on until the job (or the one task) has ended.
    pub(crate) follow: bool,
    /// Begins with the last lines of each attempt.
    pub(crate) last_lines: Option<u64>,
    /// Only records at or after this time.
    pub(crate) since: Option<WallTime>,
    /// Only records before this time.
    pub(crate) until: Option<WallTime>,
    /// Only one stream.
    pub(crate) only: Option<Stream>,
}

/// One step of a tail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// An attempt's output begins.
    Begin(AttemptId, String),
    /// Output, at most a quarter of a MiB.
    Records(AttemptId, Vec<Record>),
    /// An attempt's output has ended.
    End(AttemptId, End),
    /// Nothing new.
    Idle,
    /// The job has ended and all its output was given: the last step.
    JobEnd,
}

/// Why a tail broke off.
#[derive(Debug)]
pub(crate) enum TailError<E> {
    /// The cluster gave no answer.
    Directory(E),
    /// The output could not be read.
    Store(Error),
    /// The job was deleted or never was.
    NoSuchJob,
}

impl<E> From<Error> for TailError<E> {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// A tail under way.
#[derive(Debug)]
pub(crate) struct Tail<D> {
    directory: D,
    store: LogStore,
    wanted: Arc<Wanted>,
    token: ResumeToken,
    open: BTreeMap<TaskIndex, OpenTask>,
    ready: VecDeque<Step>,
    changes: watch::Receiver<u64>,
    looked: Option<Instant>,
    read_last: Option<TaskIndex>,
    /// Whether the last look saw every begun task.
    saw_all: bool,
    /// Whether the job had ended when the last look began.
    over: bool,
    finished: bool,
}

impl<D: AttemptDirectory> Tail<D> {
    /// Starts a tail, or goes on behind `token`, which must be of the same job.
    pub(crate) fn new(
        directory: D,
        store: LogStore,
        wanted: Wanted,
        token: Option<ResumeToken>,
    ) -> Result<Self, D::Error> {
        let mut changes = directory.changes()?;
        changes.mark_changed();
        let token = token.unwrap_or_else(|| ResumeToken::start_of(wanted.job));
        Ok(Self {
            directory,
            store,
            wanted: Arc::new(wanted),
            token,
            open: BTreeMap::new(),
            ready: VecDeque::new(),
            changes,
            looked: None,
            read_last: None,
            saw_all: false,
            over: false,
            finished: false,
        })
    }

    /// The next step and the token behind it; `None` after the last. Not cancel safe: drop the tail, resume by token.
    pub(crate) async fn next(&mut self) -> Result<Option<(Step, ResumeToken)>, TailError<D::Error>> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                self.finished |= step == Step::JobEnd;
                return Ok(Some((step, self.token.clone())));
            }
            if self.finished {
                return Ok(None);
            }
            if self.changes.has_changed().unwrap_or(true) && self.may_look() {
                self.look().await?;
            }
            if self.read().await? {
                continue;
            }
            if self.open.is_empty() && self.saw_all && self.is_finished() {
                continue;
            }
            self.wait().await;
        }
    }

    /// Looks which attempts there are.
    async fn look(&mut self) -> Result<(), TailError<D::Error>> {
        self.changes.mark_unchanged();
        self.looked = Some(Instant::now());
        self.saw_all = false;
        // Asked before the tasks: were it asked behind them, a task that began and ended in between would be missed.
        let over = self.directory.is_over(self.wanted.job).await;
        self.over = over.map_err(TailError::Directory)?.ok_or(TailError::NoSuchJob)?;
        let last_open = self.open.keys().next_back().copied();
        let mut from = self.wanted.task.or_else(|| self.token.done.first_missing());
        while let Some(index) = from {
            let limit = if self.wanted.task.is_some() { 1 } else { PAGE };
            let page = self.directory.begun(self.wanted.job, index, limit).await;
            let page = page.map_err(TailError::Directory)?.ok_or(TailError::NoSuchJob)?;
            let page_len = page.len();
            from = page.last().and_then(|task| task.index.0.checked_add(1)).map(TaskIndex);
            for task in page {
                let wanted = self.wanted.task.is_none_or(|only| only == task.index);
                if !wanted || self.token.done.contains(task.index) {
                    continue;
                }
                if self.open.len() < WINDOW || self.open.contains_key(&task.index) {
                    self.see(task);
                } else if last_open.is_none_or(|last| task.index > last) {
                    return Ok(());
                }
            }
            if page_len < limit || self.wanted.task.is_some() {
                from = None;
            }
        }
        self.saw_all = true;
        Ok(())
    }

    /// Takes note of how a task stands.
    fn see(&mut self, task: BegunTask) {
        let at = self.token.at.get(&task.index).copied();
        let open = self
            .open
            .entry(task.index)
            .or_insert_with(|| OpenTask::new(Arc::clone(&self.wanted), task.index, at));
        open.see(task);
    }

    /// Advances one of the open tasks; false if none could.
    async fn read(&mut self) -> Result<bool, TailError<D::Error>> {
        // Behind the task that was read last, so that a loud one does not silence the others.
        let read_last = self.read_last.filter(|_| self.wanted.follow);
        let behind = |index: &TaskIndex| read_last.is_some_and(|last| *index <= last);
        let (later, sooner): (Vec<_>, Vec<_>) = self.open.keys().copied().partition(behind);
        // What is kept already is given in order, task by task.
        let at_once = if self.wanted.follow { WINDOW } else { 1 };
        for index in sooner.into_iter().chain(later).take(at_once) {
            let Some(task) = self.open.get_mut(&index) else { continue };
            match task.advance(&self.store).await? {
                Progressed::Nothing => continue,
                Progressed::Step(step) => self.ready.push_back(step),
                Progressed::Moved => {}
                Progressed::Done => {
                    self.close(index);
                    return Ok(true);
                }
            }
            if let Some(position) = task.position() {
                self.token.at.insert(index, position);
            }
            self.read_last = Some(index);
            // One task at a time: the token of a step must not be ahead of it.
            return Ok(true);
        }
        Ok(false)
    }

    /// Nothing more comes of a task.
    fn close(&mut self, index: TaskIndex) {
        self.open.remove(&index);
        self.token.at.remove(&index);
        self.token.done.insert(index);
        if self.wanted.follow || self.open.is_empty() {
            // There is room for another task, or this was the last one.
            self.changes.mark_changed();
            self.looked = None;
        }
    }

    /// Whether there is nothing more to come; readies the last step if the job is over.
    fn is_finished(&mut self) -> bool {
        let over = self.over;
        let one_done = self.wanted.task.is_some_and(|task| self.token.done.contains(task));
        if over {
            self.ready.push_back(Step::JobEnd);
        } else if !self.wanted.follow || one_done {
            self.finished = true;
        }
        over || self.finished
    }

    fn may_look(&self) -> bool {
        self.looked.is_none_or(|looked| looked.elapsed() >= LOOK)
    }

    /// Waits until something can have happened.
    async fn wait(&mut self) {
        let look_at = self.looked.map_or_else(Instant::now, |looked| looked + LOOK);
        let readers: Vec<_> = self.open.values_mut().map(|task| task.wait().boxed()).collect();
        let any_reader = async {
            if readers.is_empty() { std::future::pending().await } else { select_all(readers).await.0 }
        };
        let changed = async {
            if self.changes.changed().await.is_ok() {
                self.changes.mark_changed();
            }
            tokio::time::sleep_until(look_at).await;
        };
        tokio::select! {
            // Output was written.
            () = any_reader => {}
            // The cluster changed, or its leadership is over, which the next look tells.
            () = changed => {}
            // Nothing happened.
            () = tokio::time::sleep(IDLE) => self.ready.push_back(Step::Idle),
        }
    }
}

#[cfg(test)]
mod tests;
