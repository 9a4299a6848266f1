//! What can go wrong with kept output.

use std::io;
use std::path::{Path, PathBuf};

use dockmgr_core::log::{Conflict, Offsets};
use dockmgr_support::log_file;

/// A log store operation failed.
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
    #[error("use log file")]
    File(#[source] log_file::Error),
    /// The sender left bytes out and must go on from these offsets.
    #[error("bytes before the record are missing, held is {0}")]
    Missing(Offsets),
    /// The bytes contradict what is kept.
    #[error("append to log")]
    Conflict(#[source] Conflict),
    /// A sync failed earlier: what the disk holds is unknown, so nothing is taken in until a restart reads it again.
    #[error("the log store takes nothing in since a sync failed: {0}")]
    SyncFailed(String),
    /// This process does not lead, or not any more: only a leader takes output in.
    #[error("this coordinator does not lead and takes no output in")]
    NotLeading,
    /// The log was deleted while it was in use.
    #[error("the log was deleted")]
    Deleted,
    /// The process is ending.
    #[error("log store is shutting down")]
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
            | Self::SyncFailed(_)
            | Self::NotLeading
            | Self::Deleted
            | Self::ShuttingDown => false,
        }
    }

    /// An I/O error on `path`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// Runs file work on a blocking thread. Dropping the future does not stop the work.
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(_) => Err(Error::ShuttingDown),
    }
}
