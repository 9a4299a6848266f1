//! One task of a tail: its attempts one after the other.

use std::sync::Arc;
use std::time::Duration;

use dockmgr_core::ids::{AttemptId, AttemptNumber, TaskId, TaskIndex};
use dockmgr_core::log::{End, Entry, Mark, Offsets, Record, Stream, TaskPosition};
use tokio::time::Instant;

use super::super::{BegunAttempt, BegunTask, Error, Fate, LogReader, LogStore};
use super::{Step, Wanted};

/// How long a reader who does not follow waits for the rest of an ended attempt: a worker that was away a moment sends it
/// within seconds; one that is gone should not hold the reader up for long.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(10);

/// A task that is being read.
#[derive(Debug)]
pub(super) struct OpenTask {
    wanted: Arc<Wanted>,
    index: TaskIndex,
    seen: Option<BegunTask>,
    at: Option<TaskPosition>,
    reader: Option<LogReader>,
    /// Since when the output of an ended attempt is waited for.
    dry_since: Option<Instant>,
}

/// What became of a try to get on.
#[derive(Debug)]
pub(super) enum Progressed {
    /// Nothing to do now.
    Nothing,
    /// Something for the reader.
    Step(Step),
    /// The position moved, with nothing to show.
    Moved,
    /// Nothing more comes of this task.
    Done,
}

impl OpenTask {
    pub(super) fn new(wanted: Arc<Wanted>, index: TaskIndex, at: Option<TaskPosition>) -> Self {
        Self { wanted, index, seen: None, at, reader: None, dry_since: None }
    }

    /// Takes note of how the task stands now.
    pub(super) fn see(&mut self, task: BegunTask) {
        self.seen = Some(task);
    }

    /// Position for the token.
    pub(super) fn position(&self) -> Option<TaskPosition> {
        self.at
    }

    /// Waits until the log has more; never if nothing is being read.
    pub(super) async fn wait(&mut self) {
        match &mut self.reader {
            Some(reader) => reader.wait().await,
            None => std::future::pending().await,
        }
    }

    /// Does the next thing there is to do.
    pub(super) async fn advance(&mut self, store: &LogStore) -> Result<Progressed, Error> {
        let Some(at) = self.at else { return Ok(self.begin_first()) };
        if at.ended {
            return Ok(self.begin_next(at.attempt));
        }
        let attempt = self.attempt(at.attempt);
        if self.reader.is_none() {
            self.reader = Some(self.open_reader(store, attempt, at).await?);
        }
        let Some(reader) = &mut self.reader else { return Ok(Progressed::Nothing) };
        // Asked before the read: what is written between the two was not read when nothing was.
        let kept = reader.kept().offsets;
        let entries = reader.read().await?;
        if entries.is_empty() {
            return Ok(self.run_dry(at, kept));
        }
        Ok(self.show(at, entries))
    }

    /// Begins with the attempt that is wanted, or the last one.
    fn begin_first(&mut self) -> Progressed {
        let Some(seen) = &self.seen else { return Progressed::Nothing };
        let last = seen.attempts.last().map(|last| last.number);
        match (self.wanted.attempt, last) {
            (Some(wanted), Some(last)) if wanted <= last => self.begin(wanted),
            (None, Some(last)) => self.begin(last),
            (Some(_) | None, _) if seen.ended || !self.wanted.follow => Progressed::Done,
            (Some(_) | None, _) => Progressed::Nothing,
        }
    }

    fn begin_next(&mut self, attempt: AttemptNumber) -> Progressed {
        if self.wanted.attempt.is_some() || !self.wanted.follow {
            return Progressed::Done;
        }
        let Some(seen) = &self.seen else { return Progressed::Nothing };
        match seen.attempts.last() {
            Some(last) if last.number > attempt => self.begin(attempt.next()),
            Some(_) | None if seen.ended => Progressed::Done,
            Some(_) | None => Progressed::Nothing,
        }
    }

    fn begin(&mut self, attempt: AttemptNumber) -> Progressed {
        self.reader = None;
        self.at = Some(TaskPosition { attempt, offsets: Offsets::default(), ended: false });
        let node = self.known(attempt).map(|known| known.node_name.clone());
        Progressed::Step(Step::Begin(self.attempt(attempt), node.unwrap_or_default()))
    }

    async fn open_reader(
        &self,
        store: &LogStore,
        attempt: AttemptId,
        at: TaskPosition,
    ) -> Result<LogReader, Error> {
        let mut from = at.offsets;
        for stream in Stream::ALL {
            if self.wanted.only.is_some_and(|only| only != stream) {
                from.set(stream, u64::MAX);
            }
        }
        let mut reader = store.reader(attempt, from).await?;
        if let Some(lines) = self.wanted.last_lines
            && at.offsets == Offsets::default()
        {
            reader.skip_to_last_lines(lines, self.wanted.only).await?;
        }
        Ok(reader)
    }

    /// Everything that is written was read.
    fn run_dry(&mut self, at: TaskPosition, kept: Offsets) -> Progressed {
        let end = match self.known(at.attempt).map(|known| &known.fate) {
            // The result says that all output is here, and the marker itself is still on its way.
            Some(Fate::Ended(end)) if end.offsets == kept => Some(end.clone()),
            Some(Fate::Silent) => Some(given_up(kept)),
            Some(Fate::Live | Fate::Ended(_)) => None,
            // The cluster has forgotten this attempt of a task it knows: nobody will send its output.
            None => self.seen.as_ref().map(|_| given_up(kept)),
        };
        match end {
            Some(end) => self.end(at.attempt, end),
            None if self.wanted.follow => Progressed::Nothing,
            // Its result has arrived before its output did: whoever waited for the one wants to see the other.
            None if self.is_on_its_way(at.attempt) => Progressed::Nothing,
            None => Progressed::Done,
        }
    }

    /// Whether the attempt has ended, its output is still being sent, and there is patience left.
    fn is_on_its_way(&mut self, attempt: AttemptNumber) -> bool {
        if !self.known(attempt).is_some_and(|known| matches!(known.fate, Fate::Ended(_))) {
            return false;
        }
        let since = *self.dry_since.get_or_insert_with(Instant::now);
        since.elapsed() < OUTPUT_PATIENCE
    }

    fn show(&mut self, at: TaskPosition, entries: Vec<Entry>) -> Progressed {
        let mut records = Vec::with_capacity(entries.len());
        for entry in entries {
            match entry {
                Entry::Data(record) if self.is_wanted(&record) => records.push(record),
                Entry::Data(_) => {}
                Entry::End(end) if records.is_empty() => return self.end(at.attempt, end),
                // The end is a step of its own: the reader gives it out again.
                Entry::End(_) => self.reader = None,
            }
        }
        let mut offsets = match &self.reader {
            Some(reader) => reader.progress().offsets,
            None => records.iter().fold(at.offsets, |mut offsets, record| {
                offsets.set(record.stream, record.end().unwrap_or(u64::MAX));
                offsets
            }),
        };
        for stream in Stream::ALL {
            if offsets.of(stream) == u64::MAX {
                offsets.set(stream, at.offsets.of(stream));
            }
        }
        self.at = Some(TaskPosition { offsets, ..at });
        if records.is_empty() {
            return Progressed::Moved;
        }
        Progressed::Step(Step::Records(self.attempt(at.attempt), records))
    }

    fn end(&mut self, attempt: AttemptNumber, end: End) -> Progressed {
        self.reader = None;
        self.at = Some(TaskPosition { attempt, offsets: end.offsets, ended: true });
        Progressed::Step(Step::End(self.attempt(attempt), end))
    }

    fn is_wanted(&self, record: &Record) -> bool {
        let Wanted { since, until, only, .. } = &*self.wanted;
        only.is_none_or(|only| only == record.stream)
            && since.is_none_or(|since| record.time >= since)
            && until.is_none_or(|until| record.time < until)
    }

    /// What the cluster knows of an attempt.
    fn known(&self, number: AttemptNumber) -> Option<&BegunAttempt> {
        self.seen.as_ref()?.attempts.iter().find(|attempt| attempt.number == number)
    }

    fn attempt(&self, number: AttemptNumber) -> AttemptId {
        AttemptId { task: TaskId { job: self.wanted.job, index: self.index }, number }
    }
}

/// The end of an attempt whose worker never said how its output ended.
fn given_up(kept: Offsets) -> End {
    let reason = "the attempt ended without a word on its output".to_owned();
    End { offsets: kept, marks: vec![Mark::Suspect { reason }] }
}
