//! Makes sure that one process has a folder.
//!
//! Owns the lock file `lock` in the folder, not the folder. The lock is the kernel's (`flock`): it ends with the process
//! however that ends, and no stale file can block a start. Called by the coordinator's embedded store and the worker's
//! data folder.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Holds the folder until dropped.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
}

impl FolderLock {
    /// Name of the lock file in the folder.
    pub const FILE: &str = "lock";

    /// Takes a folder that exists, at once or not at all: `None` if another process has it.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub fn acquire(folder: &Path) -> io::Result<Option<Self>> {
        let path = folder.join(Self::FILE);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Drop for FolderLock {
    /// Unlocks by name: a child that was forked and has not yet begun its own program holds a copy of the handle, and
    /// closing ours alone would leave the folder taken until then.
    fn drop(&mut self) {
        // Can only fail for a handle that is not open.
        let _unlocked = flock(&self.file, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_free_once_its_holder_is_gone_though_a_child_has_a_copy_of_the_handle() {
        let folder = tempfile::tempdir().expect("temp folder");
        let held = FolderLock::acquire(folder.path()).expect("lock").expect("free");
        let copy = held.file.try_clone().expect("a second handle on the same open file");
        assert!(FolderLock::acquire(folder.path()).expect("lock").is_none());
        drop(held);
        FolderLock::acquire(folder.path()).expect("lock").expect("free again");
        drop(copy);
    }
}
