//! Whether a disk has room for more work.
//!
//! Docker keeps exit codes right on a full disk but silently loses log lines, and creating containers fails; so a worker
//! stops taking work before that.

use std::io;
use std::path::Path;

/// Room on the file system of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSpace {
    /// Bytes a process without privileges can still write.
    pub free: u64,
    /// Size in bytes.
    pub total: u64,
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
        space.free >= self.wanted(space.total)
    }
}

/// Measures the file system that holds `path`. Blocks, normally for microseconds.
pub fn free_space(path: &Path) -> io::Result<FreeSpace> {
    let stat = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(FreeSpace { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks) })
}
