//! The allow-list of what a container may be made of.
//!
//! Owns the plain data; the fixed safe part (init, capabilities, log driver, restart policy) is added by the runtime and
//! cannot be set from here. Users never reach the daemon's own settings.

use std::collections::BTreeMap;

/// One container to create. Everything not named here has a fixed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSpec {
    /// Name, unique on the daemon.
    pub name: String,
    /// Labels; ours for finding it again.
    pub labels: BTreeMap<String, String>,
    /// Image id, digest or reference; never pulled here.
    pub image: String,
    /// What to run.
    pub command: Command,
    /// Environment on top of the image's, in order.
    pub env: Vec<(String, String)>,
    /// Working folder; the image's when absent.
    pub working_dir: Option<String>,
    /// User as `name`, `uid` or `uid:gid`; the image's when absent.
    pub user: Option<String>,
    /// Processor time limit in thousandths of a core.
    pub cpu_millis: u64,
    /// Memory limit in bytes; swap is not given on top.
    pub memory_bytes: u64,
    /// Limit of processes and threads.
    pub pids_limit: u32,
    /// Number of graphics processors.
    pub gpus: u32,
    /// Size of `/dev/shm` in bytes; the daemon's default when absent.
    pub shm_bytes: Option<u64>,
    /// Network access.
    pub network: Network,
    /// Mounts; host paths were checked by the caller.
    pub mounts: Vec<Mount>,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// Signal that asks it to stop; recorded for people who use the daemon's own tools.
    pub stop_signal: Option<String>,
    /// Output kept by us in bytes; the daemon keeps at least twice that without rotating.
    pub log_cap_bytes: u64,
    /// Score that makes the kernel kill the container before the worker when memory runs out.
    pub oom_score_adj: i16,
}

impl ContainerSpec {
    /// A container of `image` named `name` running `argv` with the default limits.
    pub fn new(name: impl Into<String>, image: impl Into<String>, argv: Vec<String>) -> Self {
        Self {
            name: name.into(),
            labels: BTreeMap::new(),
            image: image.into(),
            command: Command::Exact(argv),
            env: Vec::new(),
            working_dir: None,
            user: None,
            cpu_millis: 1000,
            memory_bytes: 1 << 30,
            pids_limit: 4096,
            gpus: 0,
            shm_bytes: None,
            network: Network::Outbound,
            mounts: Vec::new(),
            read_only: false,
            stop_signal: None,
            log_cap_bytes: 256 << 20,
            oom_score_adj: 500,
        }
    }
}

/// What the container's first process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Exactly these words; the image's entry point and command are not used.
    Exact(Vec<String>),
    /// The image's entry point with these words, or with the image's own command when there are none.
    ImageEntrypoint(Vec<String>),
}

/// What a container may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The daemon's default bridge: outbound connections, nothing published.
    Outbound,
    /// Loopback only.
    None,
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// A folder or file of the host; must exist.
    Bind {
        /// Absolute path on the host.
        source: String,
        /// Absolute path in the container.
        target: String,
        /// Whether writing is refused.
        read_only: bool,
    },
    /// A named volume; made if absent and kept.
    Volume {
        /// Volume name.
        source: String,
        /// Absolute path in the container.
        target: String,
        /// Whether writing is refused.
        read_only: bool,
    },
    /// Memory-backed storage that ends with the container; no programs, devices or set-uid files.
    Tmpfs {
        /// Absolute path in the container.
        target: String,
        /// Limit in bytes.
        size_bytes: u64,
        /// Owner as numbers. The runtime may ignore a mode, so the owner is what makes it writable for the user.
        owner: Option<(u32, u32)>,
    },
}
