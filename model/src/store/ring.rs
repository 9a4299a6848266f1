//! Recent commits, so that a watch can resume where it was.

use std::collections::VecDeque;

/// What one commit changed.
pub trait Batch: Clone {
    /// The commit's revision.
    fn revision(&self) -> u64;
    /// About how many bytes it occupies.
    fn size(&self) -> usize;
}

/// The changes asked for are no longer kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// The smallest revision a watch can start after.
    pub oldest: u64,
}

/// What a reader finds next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<B> {
    /// A commit that touched what is watched.
    Batch(B),
    /// Nothing up to and including this revision.
    Idle(u64),
}

/// The last commits, bounded in number and bytes.
#[derive(Debug, Clone)]
pub struct Ring<B> {
    /// In order of revision.
    batches: VecDeque<B>,
    bytes: usize,
    /// Changes up to and including this revision are forgotten.
    forgotten: u64,
    max_batches: usize,
    max_bytes: usize,
}

impl<B: Batch> Ring<B> {
    /// An empty ring that begins after `revision`.
    pub fn after(revision: u64, max_batches: usize, max_bytes: usize) -> Self {
        Self { batches: VecDeque::new(), bytes: 0, forgotten: revision, max_batches, max_bytes }
    }

    /// Adds a commit. They must come in order.
    pub fn push(&mut self, batch: B) {
        self.bytes += batch.size();
        self.batches.push_back(batch);
        while self.batches.len() > self.max_batches || (self.bytes > self.max_bytes && self.batches.len() > 1)
        {
            self.forget_oldest();
        }
    }

    /// Forgets everything up to and including `revision`.
    pub fn compact(&mut self, revision: u64) {
        while self.batches.front().is_some_and(|oldest| oldest.revision() <= revision) {
            self.forget_oldest();
        }
    }

    /// The first commit after `position` of which `cut` leaves something.
    pub fn next(&self, position: u64, mut cut: impl FnMut(&B) -> Option<B>) -> Result<Next<B>, Compacted> {
        if position < self.forgotten {
            return Err(Compacted { oldest: self.forgotten });
        }
        let first = self.batches.partition_point(|batch| batch.revision() <= position);
        let mut seen = position;
        for batch in self.batches.range(first..) {
            if let Some(batch) = cut(batch) {
                return Ok(Next::Batch(batch));
            }
            seen = batch.revision();
        }
        Ok(Next::Idle(seen))
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.batches.pop_front() {
            self.bytes -= oldest.size();
            self.forgotten = oldest.revision();
        }
    }
}
