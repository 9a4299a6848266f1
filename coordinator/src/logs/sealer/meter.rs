//! What sealing did since the program started, for who shows numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted where it is done.
#[derive(Debug, Default)]
pub(in crate::logs) struct Meter {
    sealed_bytes: AtomicU64,
    failures: AtomicU64,
}

/// How sealing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SealingNow {
    /// Segments at the place.
    pub(crate) segments: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Attempts that have ended and are in plain files yet.
    pub(crate) waiting: u64,
    /// Bytes of segments that this process stored, read back and took into use.
    pub(crate) sealed_bytes: u64,
    /// Tries of this process that failed: to look through the place, to store, to remove.
    pub(crate) failures: u64,
}

impl Meter {
    pub(super) fn sealed(&self, bytes: u64) {
        self.sealed_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted, beside what is there: segments, their bytes, and attempts that wait.
    pub(in crate::logs) fn now(&self, (segments, bytes): (u64, u64), waiting: u64) -> SealingNow {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        SealingNow {
            segments,
            bytes,
            waiting,
            sealed_bytes: read(&self.sealed_bytes),
            failures: read(&self.failures),
        }
    }
}
