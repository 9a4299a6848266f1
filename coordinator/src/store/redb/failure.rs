//! What redb's errors mean to the coordinator.

use std::io;
use std::path::Path;

use super::Error;

/// Sorts an error of redb: damaged file, file in use, or a file system that failed.
pub(super) fn classify(action: &'static str, path: &Path, error: impl Into<redb::Error>) -> Error {
    let corrupt = |detail: String| Error::Corrupt { place: path.display().to_string(), detail };
    let failed = |source| Error::Io { action, path: path.to_owned(), source };
    match error.into() {
        redb::Error::DatabaseAlreadyOpen => Error::Locked { path: path.to_owned() },
        // The header is not redb's.
        redb::Error::Io(source)
            if matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            corrupt(source.to_string())
        }
        redb::Error::Io(source) => failed(source),
        redb::Error::PreviousIo => failed(io::Error::other("an earlier write failed")),
        other => corrupt(other.to_string()),
    }
}
