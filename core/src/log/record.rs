//! One piece of output and the words around it: stream and offsets.
//!
//! Owns the data types; the rule by which records follow each other is in `progress`.

use std::fmt;

use bytes::Bytes;

use crate::time::WallTime;

/// A piece of what one attempt wrote to one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which of the two streams.
    pub stream: Stream,
    /// Offset of the first byte in that stream's sequence, from 0.
    pub offset: u64,
    /// When the bytes were seen, by the wall clock of the worker. Shown and filtered by, never ordered by.
    pub time: WallTime,
    /// The bytes as the container wrote them.
    pub bytes: Bytes,
}

impl Record {
    /// Offset just behind the last byte; `None` if it does not fit a `u64`, which only hostile input does.
    pub fn end(&self) -> Option<u64> {
        self.offset.checked_add(self.bytes.len() as u64)
    }

    /// The same record without the bytes before offset `from`; unchanged if it starts there or later.
    #[must_use]
    pub fn trimmed_to(mut self, from: u64) -> Self {
        let skip = from.saturating_sub(self.offset).min(self.bytes.len() as u64);
        self.bytes = self.bytes.slice(usize::try_from(skip).unwrap_or(usize::MAX)..);
        self.offset += skip;
        self
    }
}

/// Which of a container's two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// File descriptor 1.
    Stdout,
    /// File descriptor 2.
    Stderr,
}

impl Stream {
    /// Both streams, stdout first.
    pub const ALL: [Self; 2] = [Self::Stdout, Self::Stderr];
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        })
    }
}

/// A position in both streams of an attempt at once, in bytes from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Offsets {
    /// Position in stdout.
    pub stdout: u64,
    /// Position in stderr.
    pub stderr: u64,
}

impl Offsets {
    /// The position in one stream.
    pub fn of(self, stream: Stream) -> u64 {
        match stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        }
    }

    /// Moves one stream to `offset`.
    pub fn set(&mut self, stream: Stream, offset: u64) {
        match stream {
            Stream::Stdout => self.stdout = offset,
            Stream::Stderr => self.stderr = offset,
        }
    }

    /// Whether both streams are at or behind the position in `other`.
    pub fn all_at_most(self, other: Self) -> bool {
        self.stdout <= other.stdout && self.stderr <= other.stderr
    }

    /// Both streams together, saturating.
    pub fn total(self) -> u64 {
        self.stdout.saturating_add(self.stderr)
    }
}

impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stdout {} stderr {}", self.stdout, self.stderr)
    }
}

/// Longest reason text of a mark that is kept, in bytes of UTF-8.
pub const MAX_REASON: usize = 1024;
