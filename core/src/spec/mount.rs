//! Files and folders mounted into a container.

/// One mount; `target` is absolute, normal (no `.` or `..`) and not `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mount {
    /// A path of the host; the worker checks it against its allow-list.
    Bind {
        /// Absolute host path.
        source: String,
        /// Where it appears.
        target: String,
        /// Forbids writing.
        read_only: bool,
    },
    /// A Docker volume; without a name it ends with the container.
    Volume {
        /// Name of the volume.
        source: Option<String>,
        /// Where it appears.
        target: String,
        /// Forbids writing.
        read_only: bool,
    },
    /// Memory, empty at start.
    Tmpfs {
        /// Where it appears.
        target: String,
    },
}
