//! Reading the next batch from kept logs, behind what was shipped already.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dockmgr_core::export::{About, Cursor, Cut, Document, DocumentId, cut};
use dockmgr_core::ids::{AttemptId, AttemptNumber, JobId, TaskId};
use dockmgr_core::log::{Entry, Offsets, TaskPosition};
use dockmgr_support::error_chain::Chain;
use tokio::time::Instant;

use super::Error;
use super::agenda::{Agenda, Look};
use crate::logs::{self, BegunTask, Fate, LogStore};

/// Bytes of a batch, as documents count them: what an exporter adds to memory, a few times over, and far below what servers
/// take in one request.
const BATCH: usize = 2 << 20;
/// Bytes of one log that are read for one batch, so that a loud job does not hold up the others.
const STRETCH: u64 = 512 << 10;
/// How long the rest of an attempt is waited for whose worker was given up: it may come back and send what it has.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// What is shipped together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The documents, those of a stream in order.
    pub(super) documents: Vec<Document>,
    /// How the cursor moves when they are delivered.
    pub(super) moves: Vec<Move>,
    size: usize,
}

/// A move of the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    /// To here in a task.
    To(TaskId, TaskPosition),
    /// Behind a task.
    Task(TaskId),
    /// Behind a job.
    Job(JobId),
}

/// Reads batches.
#[derive(Debug)]
pub(super) struct Gather {
    logs: LogStore,
    /// What was kept when a task was last read to the end, and since when it has been silent.
    dry: BTreeMap<TaskId, (Offsets, Instant)>,
}

impl Batch {
    fn add(&mut self, documents: Vec<Document>) {
        self.size += documents.iter().map(Document::size).sum::<usize>();
        self.documents.extend(documents);
    }

    /// Whether no more fits.
    pub(super) fn is_full(&self) -> bool {
        self.size >= BATCH
    }

    /// Applies its moves.
    pub(super) fn apply(&self, cursor: &mut Cursor, agenda: &mut Agenda) {
        for moved in &self.moves {
            match *moved {
                Move::To(task, position) => cursor.move_to(task, position),
                Move::Task(task) => {
                    cursor.finish_task(task);
                    agenda.look_again(task.job);
                }
                Move::Job(job) => {
                    cursor.finish_job(job);
                    agenda.forget(job);
                }
            }
        }
    }
}

impl Gather {
    /// Reads from `logs`.
    pub(super) fn new(logs: LogStore) -> Self {
        Self { logs, dry: BTreeMap::new() }
    }

    /// The next batch; empty if everything that is kept was shipped.
    pub(super) async fn batch(&mut self, agenda: &mut Agenda, cursor: &Cursor) -> Result<Batch, Error> {
        let mut batch = Batch::default();
        for (job, look) in agenda.round() {
            self.job(job, &look, cursor, &mut batch).await?;
            agenda.had_turn(job);
            if batch.is_full() {
                break;
            }
        }
        Ok(batch)
    }

    /// Bytes of `look` that are kept and lie before no cursor yet.
    pub(super) async fn behind(&self, job: JobId, look: &Look, cursor: &Cursor) -> Result<u64, Error> {
        let mut behind: u64 = 0;
        for task in &look.tasks {
            let id = TaskId { job, index: task.index };
            let Some(last) = task.attempts.last().filter(|_| !cursor.is_task_done(id)) else { continue };
            let kept = self.logs.log(AttemptId { task: id, number: last.number }).await?.progress().offsets;
            let place = cursor.place(id).filter(|place| place.attempt == last.number);
            behind += kept.total().saturating_sub(place.map_or(0, |place| place.offsets.total()));
        }
        Ok(behind)
    }

    async fn job(
        &mut self,
        job: JobId,
        look: &Look,
        cursor: &Cursor,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let mut all = look.is_over && look.is_whole;
        for task in &look.tasks {
            let id = TaskId { job, index: task.index };
            if cursor.is_task_done(id) {
                continue;
            }
            if batch.is_full() {
                return Ok(());
            }
            if self.task(id, task, look, cursor, batch).await? {
                batch.moves.push(Move::Task(id));
                self.dry.remove(&id);
            } else {
                all = false;
            }
        }
        if all {
            let about = || Arc::new(look.about.clone());
            let end = look.end.clone().map(|end| Document::ended(DocumentId::Job(job), end, about()));
            batch.add(end.into_iter().collect());
            batch.moves.push(Move::Job(job));
        }
        Ok(())
    }

    /// Reads on in a task; true if nothing more comes of it.
    async fn task(
        &mut self,
        id: TaskId,
        task: &BegunTask,
        look: &Look,
        cursor: &Cursor,
        batch: &mut Batch,
    ) -> Result<bool, Error> {
        let Some(last) = task.attempts.last() else { return Ok(task.ended) };
        let start = |attempt| TaskPosition { attempt, offsets: Offsets::default(), ended: false };
        let mut at = cursor.place(id).unwrap_or_else(|| start(AttemptNumber::FIRST));
        loop {
            if at.ended {
                if at.attempt >= last.number {
                    return Ok(task.ended);
                }
                at = start(at.attempt.next());
            }
            let known = task.attempts.iter().find(|known| known.number == at.attempt);
            let mut about = look.about.clone();
            about.node = known.map(|known| known.node_name.clone()).filter(|name| !name.is_empty());
            // An attempt that the cluster has forgotten is long over.
            let fate = known.map_or(&Fate::Silent, |known| &known.fate);
            let is_over = look.is_forgotten || known.is_none();
            let attempt = AttemptId { task: id, number: at.attempt };
            let about = Arc::new(about);
            let cut = self.stretch(attempt, &about, at.offsets, fate, is_over).await?;
            let mut cut = cut.limited_to(BATCH.saturating_sub(batch.size));
            // Its result, which is on its way, is shipped with its end.
            cut.ended &= is_over || *fate != Fate::Live;
            if cut.to == at.offsets && !cut.ended {
                return Ok(false);
            }
            batch.add(cut.documents);
            if cut.ended {
                batch.add(end_of(attempt, look, fate, &about));
            }
            at = TaskPosition { offsets: cut.to, ended: cut.ended, ..at };
            batch.moves.push(Move::To(id, at));
            if !at.ended || batch.is_full() {
                return Ok(false);
            }
        }
    }

    /// Reads a stretch of one attempt's log. `is_over` says that nothing more can come.
    async fn stretch(
        &mut self,
        attempt: AttemptId,
        about: &Arc<About>,
        from: Offsets,
        fate: &Fate,
        is_over: bool,
    ) -> Result<Cut, Error> {
        let read = self.read(attempt, from, fate, is_over).await;
        match read {
            Ok((entries, is_last)) => Ok(cut(attempt, about, from, &entries, is_last)),
            // A person deleted it, or it is damaged: nobody will ever read more of it.
            Err(logs::Error::Deleted) => Ok(cut(attempt, about, from, &[], true)),
            Err(error) if error.is_damage() => {
                tracing::error!(%attempt, error = %Chain(&error), "damaged output is not shipped");
                Ok(cut(attempt, about, from, &[], true))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The next entries behind `from`, and whether nothing follows although there may be no end marker.
    async fn read(
        &mut self,
        attempt: AttemptId,
        from: Offsets,
        fate: &Fate,
        is_over: bool,
    ) -> Result<(Vec<Entry>, bool), logs::Error> {
        let kept = self.logs.log(attempt).await?.progress();
        let (seen, since) = self.dry.get(&attempt.task).copied().unwrap_or((from, Instant::now()));
        let is_last = match fate {
            // The result says that all output is here, and the marker itself is still on its way.
            Fate::Ended(end) => is_over || end.offsets == kept.offsets,
            Fate::Silent => is_over || kept.offsets.total() == 0 || since.elapsed() >= PATIENCE,
            Fate::Live => is_over,
        };
        if kept.offsets == seen && kept.end.is_none() && !is_last {
            self.dry.entry(attempt.task).or_insert((seen, since));
            return Ok((Vec::new(), false));
        }
        let mut reader = self.logs.reader(attempt, from).await?;
        let mut entries = Vec::new();
        loop {
            let more = reader.read().await?;
            if more.is_empty() {
                self.dry.insert(attempt.task, (kept.offsets, Instant::now()));
                // What was kept before the read was read: nothing can have come in between that was promised to be last.
                return Ok((entries, is_last && reader.kept().offsets == kept.offsets));
            }
            entries.extend(more);
            if reader.progress().offsets.total().saturating_sub(from.total()) >= STRETCH {
                self.dry.remove(&attempt.task);
                return Ok((entries, false));
            }
        }
    }
}

/// What there is to tell of the end of an attempt, where the cluster still knows how it ended.
fn end_of(attempt: AttemptId, look: &Look, fate: &Fate, about: &Arc<About>) -> Vec<Document> {
    let Some(end) = look.ends.get(&(attempt.task.index, attempt.number)) else { return Vec::new() };
    let mut documents = match fate {
        Fate::Ended(log_end) => Document::marks(attempt, &log_end.marks, end.at, about),
        Fate::Live | Fate::Silent => Vec::new(),
    };
    documents.push(Document::ended(DocumentId::Attempt(attempt), end.clone(), Arc::clone(about)));
    documents
}
