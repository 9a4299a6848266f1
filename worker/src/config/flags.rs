//! The command line and the environment.

use std::path::PathBuf;

use super::{BOOT_ID, DEFAULT_DATA, RuntimeChoice};
use crate::guard::{Mode, Options};

/// Runs attempts of a dockmgr cluster on this machine's Docker daemon.
#[derive(Debug, Default, clap::Parser)]
#[command(name = "dockmgr-worker", version, max_term_width = 100)]
pub struct Flags {
    /// Another part of the program.
    #[command(subcommand)]
    pub part: Option<Part>,
    /// Addresses of the coordinators, tried in turn.
    #[arg(long, value_name = "URL", value_delimiter = ',', env = "DOCKMGR_WORKER_COORDINATOR")]
    pub coordinator: Vec<String>,
    /// Folder for identity, journal and output on its way [default: /var/lib/dockmgr/worker].
    #[arg(long, value_name = "DIR", env = "DOCKMGR_WORKER_DATA")]
    pub data: Option<PathBuf>,
    /// Name of the node for people [default: the host's name].
    #[arg(long, env = "DOCKMGR_WORKER_NAME")]
    pub name: Option<String>,
    /// Label for constraints; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", env = "DOCKMGR_WORKER_LABEL", value_delimiter = ',')]
    pub label: Vec<String>,
    /// Cores for attempts, fractions allowed [default: all].
    #[arg(long, value_name = "N", env = "DOCKMGR_WORKER_CPUS")]
    pub cpus: Option<f64>,
    /// Memory for attempts, such as 4GiB [default: all but a tenth].
    #[arg(long, value_name = "SIZE", env = "DOCKMGR_WORKER_MEMORY")]
    pub memory: Option<String>,
    /// Socket of the Docker daemon [default: /var/run/docker.sock].
    #[arg(long, value_name = "SOCKET", env = "DOCKMGR_WORKER_DOCKER")]
    pub docker: Option<String>,
    /// What runs containers; `fake` is a model in memory that runs nothing.
    #[arg(long, value_enum, env = "DOCKMGR_WORKER_RUNTIME")]
    pub runtime: Option<RuntimeChoice>,
    /// Host folder that jobs may mount from; may be repeated. Without it no job may mount host paths.
    #[arg(long, value_name = "DIR", env = "DOCKMGR_WORKER_ALLOW_MOUNT", value_delimiter = ',')]
    pub allow_mount: Vec<PathBuf>,
    /// Authority that signed the coordinator's certificate.
    #[arg(long, value_name = "FILE", env = "DOCKMGR_WORKER_CA")]
    pub ca: Option<PathBuf>,
    /// Client certificate.
    #[arg(long, value_name = "FILE", env = "DOCKMGR_WORKER_CERT")]
    pub cert: Option<PathBuf>,
    /// Key of the client certificate.
    #[arg(long, value_name = "FILE", env = "DOCKMGR_WORKER_KEY")]
    pub key: Option<PathBuf>,
    /// File with the API token, readable by its owner only.
    #[arg(long, value_name = "FILE", env = "DOCKMGR_WORKER_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Configuration file in TOML; flags and environment are stronger.
    #[arg(long, value_name = "FILE", env = "DOCKMGR_WORKER_CONFIG")]
    pub config: Option<PathBuf>,
    /// Which log lines: error, warn, info, debug, trace, or a filter such as info,h2=warn [default: info].
    #[arg(long, value_name = "LEVEL", env = "DOCKMGR_WORKER_LOG_LEVEL")]
    pub log_level: Option<String>,
    /// How log lines look: text or json [default: text].
    #[arg(long, value_name = "FORMAT", env = "DOCKMGR_WORKER_LOG_FORMAT")]
    pub log_format: Option<String>,
    /// Address to show numbers for Prometheus on, at /metrics; off unless given.
    #[arg(long, value_name = "ADDR", env = "DOCKMGR_WORKER_METRICS_LISTEN")]
    pub metrics_listen: Option<String>,
    /// File with a token that readers of the numbers must send; needed off loopback. Not the API's: it travels in the clear.
    #[arg(long, value_name = "FILE", env = "DOCKMGR_WORKER_METRICS_TOKEN_FILE")]
    pub metrics_token_file: Option<PathBuf>,
    /// OpenTelemetry collector (OTLP over gRPC) that gets the spans of attempts; off unless given.
    #[arg(long, value_name = "URL", env = "DOCKMGR_WORKER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// Who runs the guard, which kills the containers of a dead or hung worker before they are replaced: the worker itself
    /// (on, as root), somebody else (external), or nobody (off) [default: on as root, else external; off with --runtime fake].
    #[arg(long, value_enum, env = "DOCKMGR_WORKER_GUARD")]
    pub guard: Option<Mode>,
    /// File with the boot id of the host; tests put one of their own in its place to play a reboot.
    #[arg(long, hide = true, value_name = "FILE", env = "DOCKMGR_WORKER_BOOT_ID_FILE")]
    pub boot_id_file: Option<PathBuf>,
    /// Folder of Docker's own configuration, for registry credentials.
    #[arg(long, hide = true, env = "DOCKER_CONFIG")]
    pub docker_config: Option<String>,
    /// Home folder, where Docker's configuration is otherwise.
    #[arg(long, hide = true, env = "HOME")]
    pub home: Option<String>,
}

/// Parts of the program that run by themselves.
#[derive(Debug, clap::Subcommand)]
pub enum Part {
    /// Kills the containers of a worker that lost its leader and cannot do it itself. Needs root.
    Guard(GuardFlags),
}

/// The guard's command line.
#[derive(Debug, clap::Args)]
pub struct GuardFlags {
    /// The worker's data folder.
    #[arg(long, value_name = "DIR", env = "DOCKMGR_WORKER_DATA", default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// Go on when there is no worker and nothing to guard: for a supervisor that would only start it again.
    #[arg(long)]
    stay: bool,
    /// File with the boot id of the host; the worker's own.
    #[arg(long, hide = true, value_name = "FILE", default_value = BOOT_ID)]
    boot_id_file: PathBuf,
}

impl From<GuardFlags> for Options {
    fn from(flags: GuardFlags) -> Self {
        let GuardFlags { data, stay, boot_id_file } = flags;
        Self { data, boot_id_file, stay }
    }
}
