//! Output on its way: one folder an attempt, from capture until the coordinator has acknowledged the end.
//!
//! Owns the files under `data/spool/`. Capture appends, the upload reads by its own cursor, the attempt driver removes.
//! The cap on a log is capture's to enforce; the spool says what is left of it.
//!
//! Invariant: an append that returned is in the kernel's hands before its caller goes on, so a `kill -9` of the worker
//! loses none of it. The end is declared only after `fdatasync`. A machine that loses power may lose a tail without an
//! end; capture reads that again from the runtime.
//!
//! Every file operation runs on a blocking thread: a disk that stalls delays the output of attempts, never heartbeats.
//! One hop costs some ten microseconds against pieces of up to 256 KiB, and capture may append several at once.

mod attempt;
mod cursor;
mod error;
mod folder;
mod free_space;

pub use attempt::{AttemptSpool, Captured};
pub use cursor::SpoolCursor;
pub use error::Error;
pub use folder::Spool;
pub use free_space::{FreeSpace, Watermark, free_space};

#[cfg(test)]
mod tests;
