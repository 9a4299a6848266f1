//! What can go wrong with kept output.

use std::io;
use std::path::{Path, PathBuf};

use dockmgr_core::ids::AttemptId;
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
    /// The place of sealed output refused or did not answer.
    #[error("{action} '{name}' at the place of sealed output")]
    Place {
        /// What was attempted.
        action: &'static str,
        /// On which object.
        name: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A segment could not be written or read.
    #[error("use sealed output")]
    Segment(#[source] dockmgr_archive::Error),
    /// The file in which a segment is made could not be used.
    #[error("use the file in which a segment is made")]
    Spool(#[source] io::Error),
    /// Sealed output of an attempt has a hole.
    #[error("sealed output of attempt {0} is not whole")]
    Incomplete(AttemptId),
    /// After a start the segments are still being looked through.
    #[error("sealed output is not known yet")]
    NotLoaded,
    /// The process is ending.
    #[error("log store is shutting down")]
    ShuttingDown,
}

impl Error {
    /// Whether trying again could help: the disk may have room again.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Io { .. }
            | Self::File(log_file::Error::Io { .. })
            | Self::Place { .. }
            | Self::Spool(_)
            | Self::NotLoaded => true,
            Self::Segment(error) => error.is_retryable(),
            Self::Incomplete(_)
            | Self::File(log_file::Error::Corrupt { .. })
            | Self::Missing(_)
            | Self::Conflict(_)
            | Self::SyncFailed(_)
            | Self::NotLeading
            | Self::Deleted
            | Self::ShuttingDown => false,
        }
    }

    /// Whether kept bytes are not what was written: reading them again gives the same.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::File(log_file::Error::Corrupt { .. })
                | Self::Segment(dockmgr_archive::Error::Corrupt { .. })
        )
    }

    /// Whether what was to be read is not there any more.
    pub(super) fn is_gone(&self) -> bool {
        let absent = |error: &io::Error| {
            let at_the_place = error.get_ref().and_then(|error| error.downcast_ref::<object_store::Error>());
            error.kind() == io::ErrorKind::NotFound
                || matches!(at_the_place, Some(object_store::Error::NotFound { .. }))
        };
        if let Self::Io { source, .. } | Self::Segment(dockmgr_archive::Error::Io { source, .. }) = self {
            absent(source)
        } else {
            false
        }
    }

    /// An I/O error on `path`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

impl Error {
    /// An error of the place of sealed output, on the object `name`.
    pub(super) fn place(
        action: &'static str,
        name: &dyn std::fmt::Display,
    ) -> impl FnOnce(object_store::Error) -> Self {
        let name = name.to_string();
        move |source| Self::Place { action, name, source: Box::new(source) }
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
