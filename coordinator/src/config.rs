//! Settings of the coordinator: flags, environment, file, defaults, in this order; checked before anything binds.
//!
//! Owns reading and checking. Nothing else in the crate looks at the environment or at the command line.

mod advertise;
mod command;
mod etcd;
mod file;
mod log_store;
mod retention;
mod sealing;
mod timing;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use dockmgr_core::cluster;
use dockmgr_core::retention::Limits;
use dockmgr_core::spec::ImageRef;
use dockmgr_support::channel::Address;
use dockmgr_support::metrics;
use dockmgr_support::secret::{self, ApiToken};
use dockmgr_support::telemetry::Format;
use dockmgr_support::traces;

use crate::export::Target;
use crate::logs::{SealedAt, Sealing};
use crate::store::{self, EtcdConfig, RedbConfig};

pub use command::{Command, CommandLine};

/// Where `dev` and the command line expect a coordinator.
const DEFAULT_LISTEN: &str = "127.0.0.1:7443";
/// The image of jobs that name none: small, everywhere, has bash.
const DEFAULT_IMAGE: &str = "debian:stable-slim";

/// Connections in all: two of each of a thousand workers and as many callers.
const MAX_CONNECTIONS: usize = 4096;
/// Connections from one address: the workers behind one address translation, or the command lines of one busy host.
const MAX_PER_ADDRESS: usize = 64;
/// Fewer would not serve one worker and its user.
const MIN_CONNECTIONS: usize = 4;
/// More than a process can have files.
const MOST_CONNECTIONS: usize = 1_000_000;

/// The flags of a coordinator that serves.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address to serve the API on; one off loopback needs TLS and a token, or --insecure-bind.
    #[arg(long, env = "DOCKMGR_LISTEN", value_name = "ADDR")]
    listen: Option<String>,
    /// URL under which the other coordinators and the workers reach this one; from --listen unless given.
    #[arg(long, env = "DOCKMGR_ADVERTISE", value_name = "URL")]
    advertise: Option<String>,
    /// Folder of the embedded store and, unless --logs says otherwise, of the output of jobs.
    #[arg(long, env = "DOCKMGR_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder of the output of jobs, where it is not DATA/logs; several coordinators must share it.
    #[arg(long, env = "DOCKMGR_LOGS", value_name = "DIR")]
    logs: Option<PathBuf>,
    #[arg(long, env = "DOCKMGR_LOG_STORE", value_name = "PLACE", help = log_store::HELP)]
    log_store: Option<String>,
    /// Where the state is kept.
    #[arg(long, env = "DOCKMGR_STORE", value_enum)]
    store: Option<StoreKind>,
    /// etcd endpoints, for --store etcd.
    #[arg(long, env = "DOCKMGR_ETCD", value_delimiter = ',', value_name = "URL,..")]
    etcd: Option<Vec<String>>,
    /// Keys of this cluster in etcd begin with it.
    #[arg(long, env = "DOCKMGR_ETCD_PREFIX", value_name = "PREFIX")]
    etcd_prefix: Option<String>,
    /// CA of etcd's certificates.
    #[arg(long, env = "DOCKMGR_ETCD_CA", value_name = "FILE")]
    etcd_ca: Option<PathBuf>,
    /// Client certificate for etcd.
    #[arg(long, env = "DOCKMGR_ETCD_CERT", value_name = "FILE")]
    etcd_cert: Option<PathBuf>,
    /// Key of the client certificate for etcd.
    #[arg(long, env = "DOCKMGR_ETCD_KEY", value_name = "FILE")]
    etcd_key: Option<PathBuf>,
    /// Go on from an etcd that is older than this coordinator remembers, or another one: what it does not hold is lost. Give
    /// it for one start.
    #[arg(long)]
    accept_data_loss: bool,
    /// User of etcd to log in as.
    #[arg(long, env = "DOCKMGR_ETCD_USER", value_name = "NAME")]
    etcd_user: Option<String>,
    /// File with the password of the user of etcd; other users must not be able to read it.
    #[arg(long, env = "DOCKMGR_ETCD_PASSWORD_FILE", value_name = "FILE")]
    etcd_password_file: Option<PathBuf>,
    /// How often the leader lets etcd forget old revisions, for every user of that etcd; off where something else does it
    /// [default: 5m].
    #[arg(long, env = "DOCKMGR_ETCD_COMPACT_EVERY", value_name = "TIME")]
    etcd_compact_every: Option<String>,
    /// Newest revisions that are kept then [default: 10000].
    #[arg(long, env = "DOCKMGR_ETCD_KEEP_REVISIONS", value_name = "N")]
    etcd_keep_revisions: Option<u64>,
    /// Certificate of the API.
    #[arg(long, env = "DOCKMGR_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// Its private key; other users must not be able to read it.
    #[arg(long, env = "DOCKMGR_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// CA that client certificates must come from.
    #[arg(long, env = "DOCKMGR_CLIENT_CA", value_name = "FILE")]
    client_ca: Option<PathBuf>,
    /// File with the API token every caller must send.
    #[arg(long, env = "DOCKMGR_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Name by which browsers may call this coordinator, besides localhost, addresses and the host of --advertise; may be
    /// repeated.
    #[arg(long, env = "DOCKMGR_WEB_HOST", value_delimiter = ',', value_name = "NAME")]
    web_host: Vec<String>,
    /// Serve on an address off loopback without TLS or without a token: everybody who reaches it can run containers.
    #[arg(long, env = "DOCKMGR_INSECURE_BIND")]
    insecure_bind: bool,
    /// Connections the API takes in all.
    #[arg(long, env = "DOCKMGR_MAX_CONNECTIONS", value_name = "N")]
    max_connections: Option<usize>,
    /// Connections the API takes from one address; loopback and other coordinators are not counted.
    #[arg(long, env = "DOCKMGR_MAX_CONNECTIONS_PER_IP", value_name = "N")]
    max_connections_per_ip: Option<usize>,
    /// Image of jobs that name none.
    #[arg(long, env = "DOCKMGR_DEFAULT_IMAGE", value_name = "IMAGE")]
    default_image: Option<String>,
    /// Address to show numbers for Prometheus on, at /metrics; off unless given.
    #[arg(long, env = "DOCKMGR_METRICS_LISTEN", value_name = "ADDR")]
    metrics_listen: Option<String>,
    /// File with a token that readers of the numbers must send; needed off loopback. Not the API's: it travels in the clear.
    #[arg(long, env = "DOCKMGR_METRICS_TOKEN_FILE", value_name = "FILE")]
    metrics_token_file: Option<PathBuf>,
    /// OpenTelemetry collector (OTLP over gRPC) that gets the spans of jobs; off unless given.
    #[arg(long, env = "DOCKMGR_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// Ships output to another system: URL of a file, of Elasticsearch or OpenSearch, of an OTLP collector, or of Loki; may be given
    /// several times. docs/guide/export.md has the URLs.
    #[arg(long, env = "DOCKMGR_EXPORT", value_delimiter = ',', value_name = "URL")]
    export: Option<Vec<String>>,
    #[command(flatten)]
    timing: timing::Flags,
    #[command(flatten)]
    sealing: sealing::SealingFlags,
    #[command(flatten)]
    retention: retention::RetentionFlags,
    /// Settings file (TOML).
    #[arg(long, env = "DOCKMGR_COORDINATOR_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// What to log: error, warn, info, debug, or a filter such as info,h2=warn.
    #[arg(long, env = "DOCKMGR_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    pub log_level: String,
    /// How log lines look: text or json.
    #[arg(long, env = "DOCKMGR_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: Format,
}

/// Which store keeps the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// A file of this machine.
    Redb,
    /// An etcd cluster.
    Etcd,
}

/// What the coordinator runs with; every part checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address of the API.
    pub listen: SocketAddr,
    /// What the others are told of it; `None` for what it is bound to.
    pub advertise: Option<Address>,
    /// Folder of the embedded store.
    pub data: PathBuf,
    /// Folder of the output of jobs.
    pub logs: PathBuf,
    /// Where it is kept once it is in segments; `None` for a folder below.
    pub sealed_at: Option<SealedAt>,
    /// When it goes from plain files into segments.
    pub sealing: Sealing,
    /// How much of it may be kept.
    pub limits: Limits,
    /// The store.
    pub store: store::Config,
    /// Certificate and key, and the CA of client certificates.
    pub tls: Option<Tls>,
    /// The token every caller must send.
    pub token: Option<ApiToken>,
    /// Names by which browsers may call, as given.
    pub web_host: Vec<String>,
    /// How many connections the API takes.
    pub connections: Allowed,
    /// Image of jobs that name none.
    pub default_image: ImageRef,
    /// Take an older state of etcd as it is.
    pub accept_data_loss: bool,
    /// How the cluster decides: when workers are suspected, fenced and given up, how long ended jobs are kept.
    pub cluster: cluster::Config,
    /// Where numbers are shown, if at all.
    pub metrics: Option<metrics::Settings>,
    /// Collector that gets spans, if any.
    pub traces: Option<Address>,
    /// Where output is shipped to.
    pub exports: Vec<Target>,
}

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// In all.
    pub total: usize,
    /// From one address that is not loopback.
    pub per_address: usize,
}

/// TLS material as PEM.
#[derive(Clone)]
pub struct Tls {
    /// Certificate chain.
    pub cert: Vec<u8>,
    /// Private key.
    pub key: Vec<u8>,
    /// CA of client certificates.
    pub client_ca: Option<Vec<u8>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("client_ca", &self.client_ca.is_some()).finish_non_exhaustive()
    }
}

/// Why the settings cannot be used; the program exits with code 2.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("read {what} '{}'", path.display())]
    Read {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The settings file is not what it should be.
    #[error("use settings file '{}'", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Where and what.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A token file cannot be used.
    #[error(transparent)]
    Token(#[from] secret::Error),
    /// The numbers cannot be shown as asked for.
    #[error(transparent)]
    Metrics(#[from] metrics::SettingsError),
    /// Spans cannot be sent as asked for.
    #[error(transparent)]
    Traces(#[from] traces::Error),
    /// A setting is wrong, or two do not fit together.
    #[error("{setting}: {problem}")]
    Setting {
        /// The flag.
        setting: &'static str,
        /// What is wrong and what to do.
        problem: String,
    },
}

impl Config {
    /// Puts flags, environment, file and defaults together and checks them.
    ///
    /// # Errors
    /// [`Error`], naming the setting.
    pub fn new(mut args: Args) -> Result<Self, Error> {
        let mut file = match &args.config {
            Some(path) => file::read(path)?,
            None => file::File::default(),
        };
        let data = args.data.take().or(file.data.take());
        let data = data.unwrap_or_else(|| PathBuf::from("/var/lib/dockmgr/coordinator"));
        let store = store(&mut args, &mut file, &data)?;
        let listen = listen(args.listen.or(file.listen).as_deref().unwrap_or(DEFAULT_LISTEN))?;
        let tls = tls(
            args.tls_cert.or(file.tls_cert),
            args.tls_key.or(file.tls_key),
            args.client_ca.or(file.client_ca),
        )?;
        let token = args.token_file.or(file.token_file).map(|path| ApiToken::read(&path)).transpose()?;
        let web_host = if args.web_host.is_empty() { file.web_host } else { args.web_host };
        check_exposure(listen, tls.is_some(), token.is_some(), args.insecure_bind || file.insecure_bind)?;
        let connections = connections(
            args.max_connections.or(file.max_connections),
            args.max_connections_per_ip.or(file.max_connections_per_ip),
        )?;
        let logs = args.logs.or(file.logs).unwrap_or_else(|| data.join("logs"));
        let default_image = default_image(args.default_image.or(file.default_image).as_deref())?;
        let advertise = advertise::checked(args.advertise.or(file.advertise), listen, tls.is_some(), &store)?;
        let cluster = timing::checked(args.timing, file.timing)?;
        let sealing = sealing::checked(args.sealing, file.sealing)?;
        let metrics = metrics::Settings::new(
            args.metrics_listen.or(file.metrics_listen).as_deref(),
            args.metrics_token_file.or(file.metrics_token_file).as_deref(),
        )?;
        let exports = exports(args.export.or(file.export).unwrap_or_default())?;
        Ok(Self {
            listen,
            advertise,
            data,
            logs,
            sealed_at: log_store::checked(args.log_store.or(file.log_store))?,
            sealing,
            limits: retention::checked(args.retention, file.retention)?,
            store,
            tls,
            token,
            web_host,
            connections,
            default_image,
            accept_data_loss: args.accept_data_loss,
            cluster,
            metrics,
            traces: traces::endpoint(args.otlp_endpoint.or(file.otlp_endpoint).as_deref())?,
            exports,
        })
    }
}

/// Where the state is kept, with everything that is said about it.
fn store(args: &mut Args, file: &mut file::File, data: &Path) -> Result<store::Config, Error> {
    let kind = args.store.or(file.store).unwrap_or(StoreKind::Redb);
    match (kind, args.etcd.take().or(file.etcd.take())) {
        (StoreKind::Redb, None) => Ok(store::Config::Redb(RedbConfig { folder: data.to_owned() })),
        (StoreKind::Redb, Some(_)) => Err(setting("--etcd", "needs --store etcd")),
        (StoreKind::Etcd, None) => Err(setting("--store", "etcd needs --etcd with its endpoints")),
        (StoreKind::Etcd, Some(endpoints)) => {
            Ok(store::Config::Etcd(etcd::checked(args, file, EtcdConfig::new(endpoints))?))
        }
    }
}

fn default_image(image: Option<&str>) -> Result<ImageRef, Error> {
    ImageRef::parse(image.unwrap_or(DEFAULT_IMAGE))
        .map_err(|error| setting("--default-image", error.to_string()))
}

fn setting(setting: &'static str, problem: impl Into<String>) -> Error {
    Error::Setting { setting, problem: problem.into() }
}

fn listen(text: &str) -> Result<SocketAddr, Error> {
    let text =
        text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(120).flat_map(char::escape_default).collect();
        setting("--listen", format!("'{shown}' is not IP:PORT, for example {DEFAULT_LISTEN} or [::1]:7443"))
    })
}

/// Refuses to expose the API by accident: whoever can call it can run containers.
fn check_exposure(listen: SocketAddr, tls: bool, token: bool, insecure: bool) -> Result<(), Error> {
    if listen.ip().is_loopback() || insecure || (tls && token) {
        return Ok(());
    }
    let missing = match (tls, token) {
        (false, false) => "--tls-cert, --tls-key and --token-file",
        (false, true) => "--tls-cert and --tls-key",
        (true, _) => "--token-file",
    };
    Err(setting(
        "--listen",
        format!(
            "{listen} can be reached from other machines: give {missing}, or --insecure-bind if you mean it"
        ),
    ))
}

fn connections(total: Option<usize>, per_address: Option<usize>) -> Result<Allowed, Error> {
    let (total, per_address) = (total.unwrap_or(MAX_CONNECTIONS), per_address.unwrap_or(MAX_PER_ADDRESS));
    for (name, given) in [("--max-connections", total), ("--max-connections-per-ip", per_address)] {
        if !(MIN_CONNECTIONS..=MOST_CONNECTIONS).contains(&given) {
            return Err(setting(name, format!("must be between {MIN_CONNECTIONS} and {MOST_CONNECTIONS}")));
        }
    }
    Ok(Allowed { total, per_address })
}

/// Reads the exporters; each needs a name of its own, because its place is kept under it.
fn exports(urls: Vec<String>) -> Result<Vec<Target>, Error> {
    let mut targets: Vec<Target> = Vec::new();
    for url in urls {
        let target = Target::parse(&url).map_err(|error| setting("--export", error.to_string()))?;
        if targets.iter().any(|other| other.name == target.name) {
            let name = &target.name;
            return Err(setting(
                "--export",
                format!("two exporters are named '{name}': name one with URL#NAME"),
            ));
        }
        targets.push(target);
    }
    Ok(targets)
}

fn tls(
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
) -> Result<Option<Tls>, Error> {
    let (cert, key) = match (cert, key) {
        (Some(cert), Some(key)) => (cert, key),
        (None, None) if client_ca.is_some() => {
            return Err(setting("--client-ca", "needs --tls-cert and --tls-key"));
        }
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(setting("--tls-cert", "needs --tls-key")),
        (None, Some(_)) => return Err(setting("--tls-key", "needs --tls-cert")),
    };
    if secret::is_world_readable(&key) == Some(true) {
        return Err(setting(
            "--tls-key",
            format!("'{}' can be read by all users: chmod 600 it", key.display()),
        ));
    }
    Ok(Some(Tls {
        cert: read("certificate", cert)?,
        key: read("private key", key)?,
        client_ca: client_ca.map(|path| read("client CA", path)).transpose()?,
    }))
}

fn read(what: &'static str, path: PathBuf) -> Result<Vec<u8>, Error> {
    std::fs::read(&path).map_err(|source| Error::Read { what, path, source })
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
