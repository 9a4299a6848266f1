//! The worker's memory across crashes: what was begun with each attempt, written before it is done.
//!
//! Owns the journal file, its format, and the replayed [`Entry`] of every attempt. Knows nothing of containers; the
//! attempt driver is the only writer. Records that must survive a loss of power are on disk when
//! [`Journal::append`] returns; many drivers share one flush.
//!
//! File: 8 bytes of magic and version, then frames `[u32 length][u32 crc32][payload]`, little endian. A frame that the
//! file ends in is cut off (the write was under way in a crash); a damaged frame with more behind it means that the disk
//! lied, and the journal refuses to open, naming the offset.

mod codec;
mod entry;
mod file;
mod handle;
mod record;

pub use entry::{Entry, ImagePin, StartedAt};
pub use file::JournalFile;
pub use handle::Journal;
pub use record::{Change, Durability, Record};

use std::path::PathBuf;

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read or written.
    #[error("{what} the journal '{}'", path.display())]
    Io {
        /// What was attempted.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a journal of this version.
    #[error("'{}' is not a journal of this version", .0.display())]
    NotAJournal(PathBuf),
    /// A record in the middle is damaged.
    #[error("the journal '{}' is damaged at byte {offset}: {problem}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the damaged frame begins.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// An earlier write failed, or the worker is ending: nothing is written any more.
    #[error("the journal is closed")]
    Closed,
}
