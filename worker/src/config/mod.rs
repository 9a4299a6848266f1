//! What the operator said: flags, environment, file, defaults, in this order of strength.
//!
//! Owns reading and checking all of it before anything starts; nothing else in the worker reads the environment.

mod flags;
mod values;

pub use flags::{Flags, GuardFlags, Part};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dockmgr_core::spec::{LabelKey, LabelValue};
use dockmgr_support::channel::{Address, Credentials};
use dockmgr_support::metrics;
use dockmgr_support::secret::ApiToken;
use dockmgr_support::telemetry::Format;
use dockmgr_support::traces;
use serde::Deserialize;

use crate::capacity::Overrides;
use crate::guard::Mode;
use crate::images::Limits;
use crate::spool::Watermark;

/// Where the worker keeps its data unless told otherwise.
const DEFAULT_DATA: &str = "/var/lib/dockmgr/worker";
/// Where `dev` and a coordinator on the same machine listen.
const DEFAULT_COORDINATOR: &str = "http://127.0.0.1:7443";
/// Where the kernel names this boot of the host.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Largest configuration file read.
const FILE_LIMIT: u64 = 1024 * 1024;

/// Why the worker cannot be configured; all of these are usage errors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration file cannot be read.
    #[error("read the configuration file '{}'", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The configuration file is not one.
    #[error("the configuration file '{}' is wrong: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Where and what.
        problem: String,
    },
    /// A value is not usable.
    #[error("{name}: {problem}")]
    Value {
        /// The setting.
        name: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The numbers cannot be shown as asked for.
    #[error(transparent)]
    Metrics(#[from] metrics::SettingsError),
    /// Spans cannot be sent as asked for.
    #[error(transparent)]
    Traces(#[from] traces::Error),
}

/// Everything the worker needs to know, checked.
#[derive(Debug)]
pub struct Config {
    /// The coordinators, tried in turn.
    pub coordinators: Vec<Address>,
    /// Data folder.
    pub data: PathBuf,
    /// Name for people.
    pub name: String,
    /// The operator's labels.
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// What was said instead of what is detected.
    pub capacity: Overrides,
    /// Socket of the Docker daemon.
    pub docker: String,
    /// Which runtime.
    pub runtime: RuntimeChoice,
    /// Host folders that jobs may mount from.
    pub allow_mounts: Vec<PathBuf>,
    /// TLS material and token.
    pub credentials: Credentials,
    /// Image clean-up.
    pub images: Limits,
    /// Room wanted on disks.
    pub watermark: Watermark,
    /// Folder of Docker's own configuration, and the home folder, for registry credentials.
    pub docker_config: (Option<String>, Option<String>),
    /// Who sees to it that there is a guard.
    pub guard: Mode,
    /// Where numbers are shown, if at all.
    pub metrics: Option<metrics::Settings>,
    /// Collector that gets spans, if any.
    pub traces: Option<Address>,
    /// File with the boot id of the host.
    pub boot_id_file: PathBuf,
    /// How log lines look.
    pub log_format: Format,
    /// Which log lines there are.
    pub log_level: String,
}

/// Which container runtime is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeChoice {
    /// A Docker daemon.
    Docker,
    /// A model of one in memory; runs nothing.
    Fake,
}

/// The configuration file. Every key is optional; unknown ones are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names are the keys of the file")]
struct File {
    coordinator: Option<Vec<String>>,
    data: Option<PathBuf>,
    name: Option<String>,
    labels: BTreeMap<String, String>,
    cpus: Option<f64>,
    memory: Option<String>,
    docker: Option<String>,
    runtime: Option<RuntimeChoice>,
    guard: Option<Mode>,
    allow_mounts: Vec<PathBuf>,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    token_file: Option<PathBuf>,
    log_level: Option<String>,
    log_format: Option<String>,
    metrics_listen: Option<String>,
    metrics_token_file: Option<PathBuf>,
    otlp_endpoint: Option<String>,
    images: ImagesFile,
    disk: DiskFile,
}

/// `[images]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ImagesFile {
    keep_for: Option<String>,
    budget: Option<String>,
}

/// `[disk]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DiskFile {
    free_percent: Option<u8>,
    free: Option<String>,
}

impl Config {
    /// Puts flags (which carry the environment), file and defaults together, and checks all of it.
    pub fn new(flags: Flags) -> Result<Self, Error> {
        let file = flags.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let text = |flag: Option<String>, file: Option<String>, default: &str| {
            flag.or(file).unwrap_or_else(|| default.to_owned())
        };
        let said = Some(flags.coordinator).filter(|coordinators| !coordinators.is_empty());
        let coordinators = said.or(file.coordinator).unwrap_or_else(|| vec![DEFAULT_COORDINATOR.to_owned()]);
        let mut labels = file.labels.into_iter().collect::<Vec<_>>();
        labels.extend(values::pairs(&flags.label)?);
        let credentials = Credentials {
            ca: flags.ca.or(file.ca),
            cert: flags.cert.or(file.cert),
            key: flags.key.or(file.key),
            token: flags.token_file.or(file.token_file).as_deref().map(token).transpose()?,
        };
        if credentials.cert.is_some() != credentials.key.is_some() {
            return Err(values::wrong(
                "cert",
                "a certificate and its key belong together: give both or none",
            ));
        }
        let allow_mounts = if flags.allow_mount.is_empty() { file.allow_mounts } else { flags.allow_mount };
        let runtime = flags.runtime.or(file.runtime).unwrap_or(RuntimeChoice::Docker);
        Ok(Self {
            coordinators: values::addresses(&coordinators)?,
            data: flags.data.or(file.data).unwrap_or_else(|| PathBuf::from(DEFAULT_DATA)),
            name: values::name(flags.name.or(file.name))?,
            labels: values::labels(labels)?,
            capacity: Overrides {
                cpu_millis: flags.cpus.or(file.cpus).map(values::cpu_millis).transpose()?,
                memory: flags.memory.or(file.memory).map(|size| values::size("memory", &size)).transpose()?,
            },
            docker: values::socket(&text(flags.docker, file.docker, crate::runtime::docker::DEFAULT_SOCKET))?,
            guard: guard_mode(flags.guard.or(file.guard), runtime)?,
            runtime,
            metrics: metrics::Settings::new(
                flags.metrics_listen.or(file.metrics_listen).as_deref(),
                flags.metrics_token_file.or(file.metrics_token_file).as_deref(),
            )?,
            traces: traces::endpoint(flags.otlp_endpoint.or(file.otlp_endpoint).as_deref())?,
            allow_mounts: values::folders(allow_mounts)?,
            credentials,
            images: image_limits(&file.images)?,
            watermark: watermark(&file.disk)?,
            docker_config: (flags.docker_config, flags.home),
            boot_id_file: flags.boot_id_file.unwrap_or_else(|| PathBuf::from(BOOT_ID)),
            log_format: values::log_format(flags.log_format.or(file.log_format))?,
            log_level: text(flags.log_level, file.log_level, "info"),
        })
    }
}

/// Who runs the guard. Only root can kill what belongs to root's daemon.
fn guard_mode(said: Option<Mode>, runtime: RuntimeChoice) -> Result<Mode, Error> {
    let root = rustix::process::geteuid().is_root();
    match (said, runtime) {
        (Some(Mode::On), _) if !root => Err(values::wrong(
            "guard",
            "on needs root; run `dockmgr-worker guard --stay` as root and say external here",
        )),
        (Some(mode), _) => Ok(mode),
        (None, RuntimeChoice::Fake) => Ok(Mode::Off),
        (None, RuntimeChoice::Docker) => Ok(if root { Mode::On } else { Mode::External }),
    }
}

fn image_limits(file: &ImagesFile) -> Result<Limits, Error> {
    let default = Limits::default();
    let keep_for = file.keep_for.as_deref().map(|text| values::duration("images.keep_for", text));
    let budget = file.budget.as_deref().map(|text| values::size("images.budget", text));
    Ok(Limits {
        keep_for: keep_for.transpose()?.unwrap_or(default.keep_for),
        budget: budget.transpose()?.unwrap_or(default.budget),
    })
}

fn watermark(file: &DiskFile) -> Result<Watermark, Error> {
    let default = Watermark::default();
    let enough = file.free.as_deref().map(|text| values::size("disk.free", text)).transpose()?;
    let percent = file.free_percent.unwrap_or(default.percent);
    if percent > 90 {
        return Err(values::wrong("disk.free_percent", "it is 0 to 90"));
    }
    Ok(Watermark { percent, enough: enough.unwrap_or(default.enough) })
}

fn read(path: &Path) -> Result<File, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    let problem = |problem: String| Error::File { path: path.to_owned(), problem };
    if !metadata.is_file() || metadata.len() > FILE_LIMIT {
        return Err(problem(format!("it must be a plain file of at most {FILE_LIMIT} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    toml::from_str(&text).map_err(|error| problem(error.to_string()))
}

fn token(path: &Path) -> Result<ApiToken, Error> {
    let chain = |error| dockmgr_support::error_chain::Chain(&error).to_string();
    ApiToken::read(path).map_err(|error| Error::Value { name: "token-file", problem: chain(error) })
}

#[cfg(test)]
mod tests;
