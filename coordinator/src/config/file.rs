//! The settings file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::{Error, StoreKind, setting};

/// Largest settings file that is read: a real one has a few hundred bytes.
const MAX_BYTES: u64 = 1 << 20;

/// What may stand in the file; unknown keys are refused.
#[derive(Debug, Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are the keys of the file")]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) listen: Option<String>,
    pub(super) data: Option<PathBuf>,
    pub(super) store: Option<StoreKind>,
    pub(super) etcd: Option<Vec<String>>,
    pub(super) etcd_prefix: Option<String>,
    pub(super) etcd_ca: Option<PathBuf>,
    pub(super) etcd_cert: Option<PathBuf>,
    pub(super) etcd_key: Option<PathBuf>,
    pub(super) tls_cert: Option<PathBuf>,
    pub(super) tls_key: Option<PathBuf>,
    pub(super) client_ca: Option<PathBuf>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) insecure_bind: bool,
    pub(super) default_image: Option<String>,
    pub(super) timing: TimingText,
}

/// Times as text, such as `2s` or `7d`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TimingText {
    heartbeat: Option<String>,
    suspect_after: Option<String>,
    keep_finished: Option<String>,
}

/// Times, checked against each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    pub(super) heartbeat: Duration,
    pub(super) suspect_after: Duration,
    pub(super) keep_finished: Duration,
}

impl TimingText {
    /// Fills in the defaults and checks that the times fit together.
    pub(super) fn checked(self) -> Result<Timing, Error> {
        let read = |name, text: Option<String>, default: Duration| match text {
            None => Ok(default),
            Some(text) => duration(&text).ok_or_else(|| {
                setting(name, format!("'{}' is not a time such as 2s, 5m or 7d", text.escape_default()))
            }),
        };
        let timing = Timing {
            heartbeat: read("timing.heartbeat", self.heartbeat, Duration::from_secs(2))?,
            suspect_after: read("timing.suspect_after", self.suspect_after, Duration::from_secs(30))?,
            keep_finished: read("timing.keep_finished", self.keep_finished, Duration::from_secs(7 * 86_400))?,
        };
        if timing.heartbeat < Duration::from_millis(100) || timing.heartbeat > Duration::from_secs(60) {
            return Err(setting("timing.heartbeat", "must be between 100ms and 60s"));
        }
        if timing.suspect_after < timing.heartbeat * 2 {
            return Err(setting("timing.suspect_after", "must be at least twice timing.heartbeat"));
        }
        Ok(timing)
    }
}

/// Reads a number and a unit: `ms`, `s`, `m`, `h` or `d`.
fn duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).filter(|&ms| ms > 0).map(Duration::from_millis)
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
