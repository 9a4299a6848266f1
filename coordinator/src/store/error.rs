//! What can go wrong with the store, by what the caller must do about it.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use dockmgr_core::ids::Epoch;

use super::{Key, Limits, Revision};

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A piece of text is not a key or a prefix.
    #[error("'{text}' is not a store key")]
    BadKey {
        /// Its beginning, escaped.
        text: String,
    },
    /// Another leader took over, or this one gave up; nothing was written. Step down and reload.
    #[error("commit as leader of epoch {epoch}, which does not lead any more")]
    Fenced {
        /// The epoch that was asked for.
        epoch: Epoch,
    },
    /// A precondition did not hold; nothing was written.
    #[error("commit on an outdated view of key '{key}'")]
    Conflict {
        /// The first key whose precondition failed.
        key: Key,
    },
    /// Whether the commit happened could not be found out in time. Step down and reload.
    #[error("find out whether a commit of epoch {epoch} happened")]
    Unknown {
        /// The epoch that committed.
        epoch: Epoch,
    },
    /// A commit is larger than the store takes; nothing was written.
    #[error(
        "commit of {ops} operations and {bytes} bytes, more than the {} operations and {} bytes that fit",
        limits.max_ops, limits.max_bytes
    )]
    TooLarge {
        /// Its writes or its preconditions, whichever are more.
        ops: usize,
        /// Its counted bytes.
        bytes: usize,
        /// What would fit.
        limits: Limits,
    },
    /// A watch asked for changes that are no longer kept. List again and watch from there.
    #[error("watch from a revision that is no longer kept (the oldest possible is {oldest})")]
    Compacted {
        /// The smallest revision a watch can start after.
        oldest: Revision,
    },
    /// Another process has the store open.
    #[error("open '{path}': another coordinator has it open")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The state was written by a newer program, which this one must not touch.
    #[error(
        "open state of schema {found}: this program knows schema {supported} and older; use the newer program"
    )]
    NewerSchema {
        /// The stored version.
        found: u64,
        /// The newest one this program reads.
        supported: u64,
    },
    /// What is stored cannot be trusted. Restore it or move it away.
    #[error("read '{place}': it is damaged or not ours ({detail})")]
    Corrupt {
        /// The file or the key.
        place: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The state is older than one that was seen, or another one. A person decides.
    #[error(
        "{problem}; restore the right state, or start once with --accept-data-loss to go on from this one"
    )]
    WentBack {
        /// What was found.
        problem: String,
    },
    /// The file system failed; after this no commit of this process may be believed. Exit.
    #[error("{action} '{path}'")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A setting cannot be used.
    #[error("use the store settings: {detail}")]
    BadConfig {
        /// What is wrong and what to do.
        detail: String,
    },
    /// The store did not answer or not in time; nothing was written.
    #[error("{action}: the store does not answer")]
    Unavailable {
        /// What was attempted.
        action: &'static str,
        /// How it failed.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The store has no room or is asked too much; nothing was written. See [`Error::notice`].
    #[error("{action}: the store is full or overloaded")]
    Exhausted {
        /// What was attempted.
        action: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The store refused for good, for example for want of permission; nothing was written.
    #[error("{action}: the store refused")]
    Refused {
        /// What was attempted.
        action: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The caller gave up waiting to lead.
    #[error("campaign for leadership: cancelled")]
    Cancelled,
}

impl Error {
    /// Whether the same call may succeed a little later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Exhausted { .. } => true,
            Self::BadKey { .. }
            | Self::Fenced { .. }
            | Self::Conflict { .. }
            | Self::Unknown { .. }
            | Self::TooLarge { .. }
            | Self::Compacted { .. }
            | Self::Locked { .. }
            | Self::NewerSchema { .. }
            | Self::Corrupt { .. }
            | Self::WentBack { .. }
            | Self::Io { .. }
            | Self::BadConfig { .. }
            | Self::Refused { .. }
            | Self::Cancelled => false,
        }
    }

    /// What a person should know and do while the store takes no writes; `None` if this is no such error.
    pub fn notice(&self) -> Option<Arc<str>> {
        let Self::Exhausted { source, .. } = self else { return None };
        Some(
            format!(
                "the store takes no writes ({source}); what runs goes on, and its end and its output are recorded when \
                 there is room. If etcd is out of space: etcdctl compact, then defrag, then alarm disarm"
            )
            .into(),
        )
    }

    /// Whether the process must exit: its store can no longer be believed. A failed fsync is never retried, because
    /// Linux drops the dirty pages and reports the failure once.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Corrupt { .. })
    }

    /// Whether leadership is lost or in doubt: step down, drop memory, reload.
    pub fn ends_leadership(&self) -> bool {
        matches!(self, Self::Fenced { .. } | Self::Unknown { .. })
    }
}
