//! The settings file.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::retention::RetentionText;
use super::sealing::SealingText;
use super::timing::TimingText;
use super::{Error, StoreKind, setting};

/// Largest settings file that is read: a real one has a few hundred bytes.
const MAX_BYTES: u64 = 1 << 20;

/// What may stand in the file; unknown keys are refused.
#[derive(Debug, Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are the keys of the file")]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) listen: Option<String>,
    pub(super) advertise: Option<String>,
    pub(super) data: Option<PathBuf>,
    pub(super) logs: Option<PathBuf>,
    pub(super) log_store: Option<String>,
    pub(super) store: Option<StoreKind>,
    pub(super) etcd: Option<Vec<String>>,
    pub(super) etcd_prefix: Option<String>,
    pub(super) etcd_ca: Option<PathBuf>,
    pub(super) etcd_cert: Option<PathBuf>,
    pub(super) etcd_key: Option<PathBuf>,
    pub(super) etcd_user: Option<String>,
    pub(super) etcd_password_file: Option<PathBuf>,
    pub(super) etcd_compact_every: Option<String>,
    pub(super) etcd_keep_revisions: Option<u64>,
    pub(super) tls_cert: Option<PathBuf>,
    pub(super) tls_key: Option<PathBuf>,
    pub(super) client_ca: Option<PathBuf>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) web_host: Vec<String>,
    pub(super) insecure_bind: bool,
    pub(super) max_connections: Option<usize>,
    pub(super) max_connections_per_ip: Option<usize>,
    pub(super) default_image: Option<String>,
    pub(super) metrics_listen: Option<String>,
    pub(super) metrics_token_file: Option<PathBuf>,
    pub(super) otlp_endpoint: Option<String>,
    pub(super) export: Option<Vec<String>>,
    pub(super) timing: TimingText,
    pub(super) sealing: SealingText,
    pub(super) retention: RetentionText,
}

/// Reads the settings file.
pub(super) fn read(path: &Path) -> Result<File, Error> {
    let failed = |source| Error::Read { what: "settings file", path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(setting(
            "--config",
            format!("'{}' is not a plain file of at most 1 MiB", path.display()),
        ));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    toml::from_str(&text).map_err(|source| Error::File { path: path.to_owned(), source: Box::new(source) })
}
