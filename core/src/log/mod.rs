//! What a job wrote: records, their order rule, their form in a file, and how they are cut into lines.
//!
//! Owns the rules every holder of output shares: the worker's spool, the coordinator's log store and the readers. It
//! opens no file and knows no clock; shells feed it bytes and carry out what it answers.
//!
//! Invariant: per (attempt, stream) the stored bytes are one sequence with offsets `0..end` and no hole. What could
//! not be kept lies behind it and is named by a [`Mark`] of the end; there is never a silent gap.
//!
//! Invariant: an attempt has at most one [`End`], it comes last, and the first one stored never changes.
//!
//! ```text
//!   container -> Record -> Progress::accept -> frame::encode -> file
//!   file -> Scanner -> Entry -> (Progress again, LastLines, LineAssembler) -> reader
//! ```

mod checkpoints;
mod end;
mod entry;
pub mod frame;
mod last_lines;
mod lines;
mod progress;
mod record;
mod scanner;
mod token;

pub use checkpoints::{Checkpoint, Checkpoints};
pub use end::{End, Mark};
pub use entry::Entry;
pub use last_lines::LastLines;
pub use lines::{LineAssembler, Piece};
pub use progress::{Accept, Conflict, Progress};
pub use record::{MAX_REASON, Offsets, Record, Stream};
pub use scanner::Scanner;
pub use token::{ResumeToken, TaskPosition, TaskSet, TokenError};
