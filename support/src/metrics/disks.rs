//! How full the disks of some folders are.
//!
//! The answer of a network file system that hangs may never come, so a look waits elsewhere and there is never more than one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

/// How long is waited for all folders: an answer takes microseconds unless a network is in the way.
const PATIENCE: Duration = Duration::from_secs(2);

/// Folders whose disks are looked at.
#[derive(Debug)]
pub struct Disks {
    folders: Arc<Vec<(&'static str, PathBuf)>>,
    looking: Arc<Semaphore>,
}

/// One look at the disk of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// What the folder is for.
    pub folder: &'static str,
    /// Bytes a process without privileges can still write.
    pub free: u64,
    /// Its size in bytes.
    pub size: u64,
}

impl Disks {
    /// Folders, each with the word for it.
    pub fn new(folders: Vec<(&'static str, PathBuf)>) -> Self {
        Self { folders: Arc::new(folders), looking: Arc::new(Semaphore::new(1)) }
    }

    /// How full they are; nothing while an earlier look hangs or this one takes too long. Cancel safe.
    pub async fn look(&self) -> Vec<Disk> {
        let look = async {
            let permit = Arc::clone(&self.looking).acquire_owned().await.ok()?;
            let folders = Arc::clone(&self.folders);
            let look = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                folders.iter().filter_map(|(name, path)| look_at(name, path)).collect()
            });
            look.await.ok()
        };
        tokio::time::timeout(PATIENCE, look).await.ok().flatten().unwrap_or_default()
    }
}

fn look_at(folder: &'static str, path: &Path) -> Option<Disk> {
    let stat = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Some(Disk { folder, free: bytes(stat.f_bavail), size: bytes(stat.f_blocks) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_that_is_gone_is_left_out_and_the_others_are_there() {
        let here = tempfile::tempdir().expect("a folder");
        let gone = here.path().join("gone");
        let disks = Disks::new(vec![("data", here.path().to_owned()), ("logs", gone)]);
        let found = disks.look().await;
        assert!(matches!(found.as_slice(), [Disk { folder: "data", free: 1.., size: 1.. }]), "{found:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_look_that_hangs() {
        let disks = Disks::new(vec![("data", std::env::temp_dir())]);
        let _hangs = Arc::clone(&disks.looking).try_acquire_owned().expect("nobody looks");
        assert_eq!(disks.look().await, []);
    }
}
