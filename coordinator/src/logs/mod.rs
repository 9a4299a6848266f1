//! The output of jobs: taken in from workers, kept on a local folder, read by anyone at any pace.
//!
//! Owns the files of the log folder, what of them is durable, and the readers. Wire types stay in `rpc`; which attempts
//! exist is the cluster's to know and asked through `AttemptDirectory`.
//!
//! ```text
//!   upload -> LogStore::append -> file (page cache) -> written watch -> every reader by its own cursor
//!                                      \-> dirty -> syncer (one fdatasync for many appends) -> durable watch -> ack
//! ```
//!
//! Invariant: what the durable watch says has been synced, its folder entries included, and is never taken back.
//!
//! Invariant: a reader holds a place in a file and no queue; a slow one lags and delays nobody.
//!
//! Several coordinators may share the folder: only the leader writes, to files of its own epoch (`parts`).
//!
//! What has ended goes from plain files into segments (`sealer`, `sealed`), which are many times smaller and can be
//! searched; readers notice nothing.

mod attempt_log;
mod directory;
mod error;
mod files;
mod fsck;
mod layout;
mod parts;
mod plain;
mod reader;
mod sealed;
mod sealer;
mod store;
mod syncer;
mod tail;
mod writer;

pub(crate) use attempt_log::AttemptLog;
pub(crate) use directory::{AttemptDirectory, BegunAttempt, BegunTask, Fate};
pub use error::Error;
pub(crate) use error::run;
pub use fsck::{Problem, Report, fsck};
pub(crate) use reader::LogReader;
pub(crate) use sealed::{Number as SegmentNumber, Segment, Whereabouts};
pub use sealed::{OpenFrame, S3, SealedAt, SealedFrame};
pub use sealer::Sealing;
pub(crate) use sealer::SealingNow;
pub use store::LogStore;
pub(crate) use tail::{Step, Tail, TailError, Wanted};
pub use writer::Sharing;

#[cfg(test)]
mod merging_tests;
#[cfg(test)]
mod outage_tests;
#[cfg(test)]
mod sealing_tests;
#[cfg(test)]
mod terms_tests;
#[cfg(test)]
mod tests;
