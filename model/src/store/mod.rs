//! A store of keys with revisions that one leader at a time may write.
//!
//! Owns the rules every backend follows: a commit is applied whole or not at all, only while its epoch leads and its
//! preconditions hold; each has a revision of its own; recent commits can be read again in order, and what is no longer kept is
//! said, never skipped. Keys and values are whatever the
//! caller uses.

mod ring;
mod state;

pub use ring::{Batch, Compacted, Next, Ring};
pub use state::{Applied, Change, Commit, Refused, State};
