//! The end of an attempt's output and what is to be said about it.
//!
//! Owns the end marker's data. Who decides the marks: the worker's capture.

use super::{Offsets, Stream};

/// The last entry of an attempt's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Where each stream ends.
    pub offsets: Offsets,
    /// What does not hold; empty means every byte the container wrote is there.
    pub marks: Vec<Mark>,
}

impl End {
    /// An end at `offsets` with nothing missing.
    pub fn complete(offsets: Offsets) -> Self {
        Self { offsets, marks: Vec::new() }
    }

    /// Whether every byte the container wrote is in the log.
    pub fn is_complete(&self) -> bool {
        self.marks.is_empty()
    }
}

/// One reason why a log is not known to hold every byte the container wrote. Several may hold at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// The log cap was reached; what came later was not kept.
    Truncated {
        /// The stream that was cut.
        stream: Stream,
        /// Offset of the first byte that was not kept.
        at: u64,
        /// The cap on both streams together, in bytes.
        cap: u64,
    },
    /// Something happened that can lose bytes unseen, for example a full disk under the Docker daemon.
    Suspect {
        /// What happened, for people.
        reason: String,
    },
    /// These bytes are known to be missing.
    Gap {
        /// The stream they are missing from.
        stream: Stream,
        /// Offset of the first missing byte.
        from: u64,
        /// Offset of the first byte after them; equal to `from` where nobody knows how many are missing.
        to: u64,
        /// Why, for people; at most [`MAX_REASON`](super::MAX_REASON) bytes are kept.
        reason: String,
    },
}
