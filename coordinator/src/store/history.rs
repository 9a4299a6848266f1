//! Recent changes of an embedded store, so that a watch can resume where it was.
//!
//! Owns a bounded ring of change batches. The store publishes each commit; [`Watch`](super::Watch) reads. What falls
//! out of the ring is answered with [`Error::Compacted`], never skipped.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{Change, ChangeBatch, Error, Prefix, Revision};

/// Commits kept: some seconds of a busy coordinator, which is what a watch needs to survive a reconnect.
const MAX_BATCHES: usize = 4096;
/// Bytes kept, whatever their number.
const MAX_BYTES: usize = 16 << 20;

/// The last commits of one store.
#[derive(Debug)]
pub(super) struct History {
    kept: Mutex<Kept>,
    head: watch::Sender<Revision>,
}

#[derive(Debug)]
struct Kept {
    /// In order of revision.
    batches: VecDeque<ChangeBatch>,
    bytes: usize,
    /// Changes up to and including this revision are forgotten.
    forgotten: Revision,
}

/// What a reader finds next.
#[derive(Debug)]
pub(super) enum Next {
    /// A commit that touched the prefix.
    Batch(ChangeBatch),
    /// Nothing up to and including this revision.
    Idle(Revision),
}

impl History {
    /// A history that begins after `revision`.
    pub(super) fn after(revision: Revision) -> Self {
        let kept = Kept { batches: VecDeque::new(), bytes: 0, forgotten: revision };
        Self { kept: Mutex::new(kept), head: watch::Sender::new(revision) }
    }

    /// Adds a commit. Commits must come in order; the store calls this while it holds its writer.
    pub(super) fn publish(&self, batch: ChangeBatch) {
        let revision = batch.revision;
        self.kept().push(batch);
        self.head.send_replace(revision);
    }

    /// Tells when something was published.
    pub(super) fn subscribe(&self) -> watch::Receiver<Revision> {
        self.head.subscribe()
    }

    /// The first commit after `position` that touched `prefix`, cut to that prefix.
    pub(super) fn next(&self, prefix: &Prefix, position: Revision) -> Result<Next, Error> {
        let kept = self.kept();
        if position < kept.forgotten {
            return Err(Error::Compacted { oldest: kept.forgotten });
        }
        let first = kept.batches.partition_point(|batch| batch.revision <= position);
        let mut seen = position;
        for batch in kept.batches.range(first..) {
            let touched = |change: &&Change| prefix.contains(change.key());
            let changes: Vec<Change> = batch.changes.iter().filter(touched).cloned().collect();
            if !changes.is_empty() {
                return Ok(Next::Batch(ChangeBatch { revision: batch.revision, changes }));
            }
            seen = batch.revision;
        }
        Ok(Next::Idle(seen))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // No code that holds it can panic half way through a change.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn push(&mut self, batch: ChangeBatch) {
        self.bytes += size(&batch);
        self.batches.push_back(batch);
        while self.batches.len() > MAX_BATCHES || (self.bytes > MAX_BYTES && self.batches.len() > 1) {
            let Some(oldest) = self.batches.pop_front() else { break };
            self.bytes -= size(&oldest);
            self.forgotten = oldest.revision;
        }
    }
}

fn size(batch: &ChangeBatch) -> usize {
    batch.changes.iter().map(Change::size).sum()
}
