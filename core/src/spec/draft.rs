//! A spec as it arrives, and its validation.
//!
//! Owns the one way from loose text and numbers to a [`JobSpec`](super::JobSpec). The wire conversion fills in a [`Draft`] field by field;
//! absent fields have the wire's defaults (empty text, zero, `None`). Nothing else makes a `JobSpec` from outside input.

use std::collections::BTreeMap;
use std::time::Duration;

use super::constraint::Operator;
use super::limits::MAX_GRACE;
use super::{ImageRef, NetworkMode, OnLost, PullPolicy};

mod amounts;
mod command;
mod mounts;
mod validate;

/// What a server fills in where a spec leaves it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// Image of a job that names none.
    pub image: ImageRef,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { image: ImageRef::parse("debian:stable-slim").expect("a constant that parses") }
    }
}

/// A spec as it arrives; the fields are those of `dockmgr.v1.JobSpec`.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "each field is the wire field of that name, documented there")]
pub struct Draft {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub image: String,
    pub command: Option<DraftCommand>,
    pub env: Vec<(String, String)>,
    pub working_dir: String,
    pub user: String,
    pub resources: Option<DraftResources>,
    pub pids_limit: i32,
    pub timeout: Option<RawDuration>,
    pub queue_timeout: Option<RawDuration>,
    pub retries: i32,
    pub priority: i32,
    pub constraints: Vec<DraftConstraint>,
    pub array: Option<DraftArray>,
    pub pull: Choice<PullPolicy>,
    pub grace: Option<RawDuration>,
    pub stop_signal: String,
    pub network: Choice<NetworkMode>,
    pub mounts: Vec<DraftMount>,
    pub read_only: bool,
    pub log_limit: i64,
    pub keep_image: bool,
    pub on_lost: Choice<OnLost>,
}

/// One of several named values, as it arrives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Choice<T> {
    /// Not given.
    #[default]
    Unset,
    /// A value we know.
    Known(T),
    /// A number nobody here knows, perhaps of a newer client.
    Unknown(i32),
}

/// A length of time as it arrives: seconds and nanoseconds, possibly negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RawDuration {
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds on top; valid are 0 to 999,999,999.
    pub nanos: i32,
}

impl RawDuration {
    /// The length; `None` if it is negative or the nanoseconds are out of range.
    pub fn get(self) -> Option<Duration> {
        let nanos = u32::try_from(self.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
        Some(Duration::new(u64::try_from(self.seconds).ok()?, nanos))
    }

    /// The length as a time between the stop signal and SIGKILL, 0 s to [`MAX_GRACE`]; the error says so.
    pub fn grace(self) -> Result<Duration, &'static str> {
        self.get().filter(|grace| *grace <= MAX_GRACE).ok_or("it must be 0 s to 1 h")
    }
}

/// What to run, as it arrives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DraftCommand {
    /// An argument vector or a script; `None` if neither was given.
    pub form: Option<DraftForm>,
    /// What precedes it.
    pub entrypoint: Choice<EntrypointKind>,
    /// The program, for [`EntrypointKind::Path`].
    pub entrypoint_path: String,
}

/// The two forms of a command, as they arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DraftForm {
    /// An exact argument vector.
    Argv(Vec<String>),
    /// A script.
    Script {
        /// The text.
        text: String,
        /// The shell; empty means bash where the image has it, else sh.
        shell: String,
    },
}

/// Kinds of entrypoint, as they arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntrypointKind {
    /// Nothing precedes the command.
    None,
    /// The image's own entrypoint does.
    Image,
    /// A given program does.
    Path,
}

/// Amounts, as they arrive; 0 means the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DraftResources {
    /// Thousandths of a core.
    pub cpu_millis: i64,
    /// Bytes.
    pub memory_bytes: i64,
    /// Whole graphics processors.
    pub gpus: i32,
}

/// A demand on a node's label, as it arrives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DraftConstraint {
    /// Key of the label.
    pub key: String,
    /// How it is compared.
    pub operator: Choice<Operator>,
    /// The value compared with.
    pub value: String,
}

/// Indices of an array job, as they arrive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DraftArray {
    /// First index.
    pub first: u32,
    /// Last index, itself included.
    pub last: u32,
    /// Most tasks at the same time; 0 means without limit.
    pub max_running: u32,
}

/// A mount, as it arrives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DraftMount {
    /// Which kind.
    pub kind: Choice<MountKind>,
    /// Host path or volume name.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// Forbids writing.
    pub read_only: bool,
}

/// Kinds of mounts, as they arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountKind {
    /// A path of the host.
    Bind,
    /// A Docker volume.
    Volume,
    /// Memory.
    Tmpfs,
}

#[cfg(test)]
mod tests;
