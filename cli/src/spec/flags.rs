//! The flags that describe a job, the same for `run` and `submit`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use dockmgr_proto::v1;
use serde::Deserialize;

use crate::parse::{self, Pair};

/// What a job is to be. Everything is optional: a job file or the server's defaults fill in the rest.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Job")]
pub(crate) struct SpecFlags {
    /// Job file (TOML, JSON or YAML; - for standard input); flags win over it
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Image to run
    #[arg(short, long)]
    pub(crate) image: Option<String>,
    /// Environment variable; NAME alone copies the caller's value
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<String>,
    /// File with one NAME=VALUE a line
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// Working directory in the container
    #[arg(short, long, value_name = "DIR")]
    pub(crate) workdir: Option<String>,
    /// User in the container: name or uid, perhaps :group
    #[arg(short, long)]
    pub(crate) user: Option<String>,
    /// Program put before the command; `image` keeps the image's own
    #[arg(long, value_name = "PATH|image|none")]
    pub(crate) entrypoint: Option<String>,
    /// Shell for a script; `none` never uses one [default: bash where the image has it, else sh]
    #[arg(long, value_name = "PATH|none")]
    pub(crate) shell: Option<String>,
    /// Name of the job
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Label of the job
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse::label)]
    pub(crate) label: Vec<Pair>,
    /// Processors of each task [default: 1]
    #[arg(long, value_name = "N", value_parser = parse::cpus, allow_hyphen_values = true)]
    pub(crate) cpus: Option<i64>,
    /// Memory of each task [default: 1g]
    #[arg(long, value_name = "SIZE", value_parser = parse::size, allow_hyphen_values = true)]
    pub(crate) memory: Option<i64>,
    /// Whole graphics processors of each task
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) gpus: Option<u16>,
    /// Longest time each task may run
    #[arg(long, value_name = "T", value_parser = parse::positive_duration, allow_hyphen_values = true)]
    pub(crate) timeout: Option<Duration>,
    /// Longest time each task may wait for a place
    #[arg(long, value_name = "T", value_parser = parse::positive_duration, allow_hyphen_values = true)]
    pub(crate) queue_timeout: Option<Duration>,
    /// Tries after a failure of the task's own [default: 0]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) retries: Option<u16>,
    /// Larger runs earlier [default: 0]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) priority: Option<i32>,
    /// Demand on a node's label
    #[arg(long, value_name = "KEY=VALUE|KEY!=VALUE", value_parser = parse::constraint)]
    pub(crate) constraint: Vec<v1::Constraint>,
    /// Runs once for each number, at most N at a time
    #[arg(long, value_name = "FIRST-LAST[%N]", value_parser = parse::array)]
    pub(crate) array: Option<v1::ArraySpec>,
    /// When to pull the image [default: missing]
    #[arg(long, value_enum)]
    pub(crate) pull: Option<Pull>,
    /// Time between the stop signal and SIGKILL [default: 10s]
    #[arg(long, value_name = "T", value_parser = parse::duration, allow_hyphen_values = true)]
    pub(crate) grace: Option<Duration>,
    /// Signal of a stop [default: SIGTERM]
    #[arg(long, value_name = "SIGNAL")]
    pub(crate) stop_signal: Option<String>,
    /// Network of the container [default: outbound]
    #[arg(long, value_enum)]
    pub(crate) network: Option<Network>,
    /// Files and folders mounted into the container.
    #[arg(long, value_name = "MOUNT", help = "Mount: type=bind|volume|tmpfs,source=S,target=T[,readonly]", value_parser = parse::mount)]
    pub(crate) mount: Vec<v1::Mount>,
    /// Makes the container's root file system read-only
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Idempotency key: the same key makes no second job
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Most output kept of an attempt [default: 256m]
    #[arg(long, value_name = "SIZE", value_parser = parse::size, allow_hyphen_values = true)]
    pub(crate) log_limit: Option<i64>,
    /// Exempts the image from clean-up
    #[arg(long)]
    pub(crate) keep_image: bool,
    /// What to do when the worker is lost [default: retry]
    #[arg(long, value_enum)]
    pub(crate) on_lost: Option<OnLost>,
}

/// When to pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pull {
    Always,
    Missing,
    Never,
}

/// Which network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Network {
    Outbound,
    None,
}

/// What to do when the worker is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnLost {
    Retry,
    Wait,
    Fail,
}

impl SpecFlags {
    /// These flags over those of a job file; lists go on, labels and variables of the same name are replaced.
    #[must_use]
    pub(crate) fn over(self, base: Self) -> Self {
        Self {
            file: None,
            image: self.image.or(base.image),
            env: [base.env, self.env].concat(),
            env_file: [base.env_file, self.env_file].concat(),
            workdir: self.workdir.or(base.workdir),
            user: self.user.or(base.user),
            entrypoint: self.entrypoint.or(base.entrypoint),
            shell: self.shell.or(base.shell),
            name: self.name.or(base.name),
            label: [base.label, self.label].concat(),
            cpus: self.cpus.or(base.cpus),
            memory: self.memory.or(base.memory),
            gpus: self.gpus.or(base.gpus),
            timeout: self.timeout.or(base.timeout),
            queue_timeout: self.queue_timeout.or(base.queue_timeout),
            retries: self.retries.or(base.retries),
            priority: self.priority.or(base.priority),
            constraint: [base.constraint, self.constraint].concat(),
            array: self.array.or(base.array),
            pull: self.pull.or(base.pull),
            grace: self.grace.or(base.grace),
            stop_signal: self.stop_signal.or(base.stop_signal),
            network: self.network.or(base.network),
            mount: [base.mount, self.mount].concat(),
            read_only: self.read_only || base.read_only,
            key: self.key.or(base.key),
            log_limit: self.log_limit.or(base.log_limit),
            keep_image: self.keep_image || base.keep_image,
            on_lost: self.on_lost.or(base.on_lost),
        }
    }
}
