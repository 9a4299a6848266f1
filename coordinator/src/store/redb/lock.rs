//! Makes sure that one process has the folder.
//!
//! The lock is the kernel's (`flock`): it ends with the process however that ends, and no stale file can block a start.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::Error;

/// Holds the folder until dropped.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock at once or fails with [`Error::Locked`]; makes the folder if needed.
    pub(super) fn acquire(folder: &Path) -> Result<Self, Error> {
        let failed = |action| move |source: io::Error| Error::Io { action, path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(failed("create the store's folder"))?;
        let path = folder.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed("open the lock file in"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(Error::Locked { path }),
            Err(errno) => Err(failed("lock")(errno.into())),
        }
    }
}
