//! Recent changes of an embedded store, so that a watch can resume where it was.
//!
//! Owns a bounded ring of change batches. The store publishes each commit; [`Watch`](super::Watch) reads. What falls
//! out of the ring is answered with [`Error::Compacted`], never skipped.

use std::sync::{Mutex, MutexGuard, PoisonError};

use dockmgr_model::store::{Batch, Next as Found, Ring};
use tokio::sync::watch;

use super::{Change, ChangeBatch, Error, Prefix, Revision};

/// Commits kept: some seconds of a busy coordinator, which is what a watch needs to survive a reconnect.
const MAX_BATCHES: usize = 4096;
/// Bytes kept, whatever their number.
const MAX_BYTES: usize = 16 << 20;

/// The last commits of one store.
#[derive(Debug)]
pub(super) struct History {
    kept: Mutex<Ring<ChangeBatch>>,
    head: watch::Sender<Revision>,
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
        let kept = Ring::after(revision.0, MAX_BATCHES, MAX_BYTES);
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
        let found = self.kept().next(position.0, |batch| {
            let touched = |change: &&Change| prefix.contains(change.key());
            let changes: Vec<Change> = batch.changes.iter().filter(touched).cloned().collect();
            (!changes.is_empty()).then_some(ChangeBatch { revision: batch.revision, changes })
        });
        match found {
            Ok(Found::Batch(batch)) => Ok(Next::Batch(batch)),
            Ok(Found::Idle(revision)) => Ok(Next::Idle(Revision(revision))),
            Err(compacted) => Err(Error::Compacted { oldest: Revision(compacted.oldest) }),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Ring<ChangeBatch>> {
        // No code that holds it can panic half way through a change.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch for ChangeBatch {
    fn revision(&self) -> u64 {
        self.revision.0
    }

    fn size(&self) -> usize {
        self.changes.iter().map(Change::size).sum()
    }
}
