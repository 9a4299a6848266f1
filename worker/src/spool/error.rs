//! What can go wrong with the spool.

use std::io;
use std::path::PathBuf;

use dockmgr_core::log::{Conflict, Offsets};
use dockmgr_support::log_file;

/// A spool operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("{action} {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A log file could not be opened or read.
    #[error("use spooled log")]
    File(#[source] log_file::Error),
    /// The caller left bytes out: it must go on from these offsets.
    #[error("append to spooled log: bytes before the record are missing, held is {0}")]
    Missing(Offsets),
    /// The caller's bytes contradict what is spooled.
    #[error("append to spooled log")]
    Conflict(#[source] Conflict),
    /// The process is ending and its blocking threads take no more work.
    #[error("spool is shutting down")]
    ShuttingDown,
}

impl Error {
    /// Whether trying again could help: the disk may have room again.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Io { .. } | Self::File(log_file::Error::Io { .. }) => true,
            Self::File(log_file::Error::Corrupt { .. })
            | Self::Missing(_)
            | Self::Conflict(_)
            | Self::ShuttingDown => false,
        }
    }
}
