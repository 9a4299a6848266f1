//! Whether a disk has room for more work.
//!
//! Docker keeps exit codes right on a full disk but silently loses log lines, and creating containers fails; so a worker
//! stops taking work before that.

use std::io;
use std::path::Path;

/// Free files that are enough in any case: a container's folders take some hundred.
const ENOUGH_FILES: u64 = 100_000;

/// Room on the file system of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSpace {
    /// Bytes a process without privileges can still write.
    pub free: u64,
    /// Size in bytes.
    pub total: u64,
    /// Files that can still be made, of how many; `None` where the file system has no such limit.
    pub files: Option<(u64, u64)>,
}

/// How much room a worker wants to see before it takes new work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    /// Wanted free part of the disk in percent.
    pub percent: u8,
    /// Enough in any case, in bytes: on a large disk the percentage would idle a machine that has plenty.
    pub enough: u64,
}

impl Default for Watermark {
    /// A tenth of the disk, or 2 GiB where that is less.
    fn default() -> Self {
        Self { percent: 10, enough: 2 << 30 }
    }
}

impl Watermark {
    /// Bytes that must be free on a disk of `total` bytes.
    pub fn wanted(self, total: u64) -> u64 {
        (total / 100).saturating_mul(u64::from(self.percent)).min(self.enough)
    }

    /// Whether new work may come in.
    pub fn allows(self, space: FreeSpace) -> bool {
        self.lack(space).is_none()
    }

    /// What is lacking for new work, in words; `None` if there is room.
    pub fn lack(self, space: FreeSpace) -> Option<String> {
        let wanted = self.wanted(space.total);
        if space.free < wanted {
            return Some(format!("has {} MiB free, {} MiB are wanted", space.free >> 20, wanted >> 20));
        }
        let (free, total) = space.files?;
        let wanted = (total / 100).saturating_mul(u64::from(self.percent)).min(ENOUGH_FILES);
        (free < wanted && self.enough > 0)
            .then(|| format!("has room for {free} more files, {wanted} are wanted"))
    }
}

/// Measures the file system that holds `path`. Blocks, normally for microseconds.
pub fn free_space(path: &Path) -> io::Result<FreeSpace> {
    let stat = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    let files = (stat.f_files > 0).then_some((stat.f_favail, stat.f_files));
    Ok(FreeSpace { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks), files })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_files_are_wanted_in_part_and_never_more_than_enough() {
        let watermark = Watermark::default();
        let space = |free, total, files| FreeSpace { free, total, files };
        let (large, small) = (1 << 40, 1 << 30);
        assert!(watermark.allows(space(2 << 30, large, None)), "2 GiB are enough on a large disk");
        assert!(!watermark.allows(space((2 << 30) - 1, large, None)));
        assert!(watermark.allows(space(small / 10, small, None)), "a tenth is enough on a small one");
        assert!(!watermark.allows(space(small / 11, small, None)));
        let lack = watermark.lack(space(large, large, Some((99, 1000)))).expect("files run out");
        assert!(lack.contains("99 more files"), "{lack}");
        assert!(watermark.allows(space(large, large, Some((100, 1000)))));
        assert!(watermark.allows(space(large, large, Some((ENOUGH_FILES, 1 << 40)))));
        assert!(Watermark { percent: 0, enough: 0 }.allows(space(0, small, Some((0, 1000)))), "switched off");
    }
}
