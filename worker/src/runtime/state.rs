//! What the daemon says about itself and about containers, parsed once.
//!
//! Owns the plain types. Values of the daemon that make no sense become `None` or [`ContainerStatus::Unknown`], never a
//! panic and never a guess.

use std::collections::BTreeMap;
use std::fmt;

use dockmgr_core::time::WallTime;

/// The id of a container as the daemon gave it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(String);

impl ContainerId {
    /// Accepts an id or name that is safe inside a request path; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        is_safe_name(text).then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `text` has only the characters of container names: no slash, no query, no escape.
pub(crate) fn is_safe_name(text: &str) -> bool {
    const LONGEST: usize = 255;
    !text.is_empty()
        && text.len() <= LONGEST
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// What a start request achieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// This request started it.
    Now,
    /// It was running before.
    Already,
}

/// State of one container at the moment it was inspected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerState {
    /// Full id.
    pub id: ContainerId,
    /// Name without the leading slash.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// What it is doing.
    pub status: ContainerStatus,
    /// The code as the daemon gave it; meaningful only when [`ContainerState::exit`] says so.
    pub raw_exit_code: Option<i64>,
    /// The kernel killed something of it for memory; not necessarily its first process.
    pub oom_killed: bool,
    /// The daemon's words about a failed start.
    pub error: String,
    /// When it was last started; `None` if never.
    pub started_at: Option<WallTime>,
    /// When it last ended; `None` if never.
    pub finished_at: Option<WallTime>,
    /// Process number of its first process on the host while it runs.
    pub pid: Option<u32>,
    /// Id of its image.
    pub image_id: String,
}

impl ContainerState {
    /// The exit code, if this is a finished run: exited, once started, and a code a process can have.
    pub fn exit(&self) -> Option<u8> {
        let ended = matches!(self.status, ContainerStatus::Exited | ContainerStatus::Dead);
        if !ended || self.started_at.is_none() {
            return None;
        }
        self.raw_exit_code.and_then(|code| u8::try_from(code).ok())
    }
}

/// What a container is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerStatus {
    /// Made, never started.
    Created,
    /// Running.
    Running,
    /// Frozen by somebody; counts as running.
    Paused,
    /// Between two runs of a restart policy; none of ours has one.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited,
    /// Ended, and its removal failed half-way.
    Dead,
    /// A word this version does not know.
    Unknown(String),
}

impl ContainerStatus {
    /// Reads the daemon's word.
    pub fn parse(word: &str) -> Self {
        match word {
            "created" => Self::Created,
            "running" => Self::Running,
            "paused" => Self::Paused,
            "restarting" => Self::Restarting,
            "removing" => Self::Removing,
            "exited" => Self::Exited,
            "dead" => Self::Dead,
            other => Self::Unknown(super::error::clip(other)),
        }
    }

    /// Whether a process of it may be alive. Unknown words count as alive.
    pub fn may_run(&self) -> bool {
        match self {
            Self::Running | Self::Paused | Self::Restarting | Self::Unknown(_) => true,
            Self::Created | Self::Removing | Self::Exited | Self::Dead => false,
        }
    }
}

/// One container of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSummary {
    /// Full id.
    pub id: ContainerId,
    /// Name without the leading slash.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// What it is doing.
    pub status: ContainerStatus,
    /// Id of its image.
    pub image_id: String,
}

/// The daemon and its machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DaemonInfo {
    /// Identity of the daemon; another one behind the same socket is another daemon.
    pub daemon_id: String,
    /// The process it runs as, other after each restart; `None` where it cannot be seen.
    pub instance: Option<String>,
    /// Version of the engine.
    pub version: String,
    /// API version agreed on.
    pub api_version: String,
    /// Processor cores.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Folder with all its data.
    pub docker_root: String,
    /// Storage driver.
    pub storage_driver: String,
    /// Version of the control groups, `1` or `2`.
    pub cgroup_version: String,
    /// Whether containers survive a restart of the daemon.
    pub live_restore: bool,
    /// Operating system.
    pub os: String,
    /// Processor architecture as the kernel names it.
    pub architecture: String,
    /// Number of images.
    pub images: u32,
    /// Names of the container runtimes it knows, sorted.
    pub runtimes: Vec<String>,
}

/// Resource usage of a running container at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Processor time used so far in nanoseconds.
    pub cpu_nanos: u64,
    /// Memory in use in bytes, page cache included.
    pub memory_bytes: u64,
    /// Highest memory use so far, where the kernel tells.
    pub memory_peak_bytes: Option<u64>,
    /// Processes of it the kernel has killed for memory so far, where it tells. Counts children the daemon's flag misses.
    pub oom_kills: Option<u64>,
}
