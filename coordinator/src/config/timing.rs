//! The times: how often workers are heard, when they are suspected, fenced and given up, how long jobs are kept.

use std::time::Duration;

use dockmgr_core::cluster;
use serde::Deserialize;

use super::{Error, setting};
use crate::store::Compaction;

/// The times that have a flag.
#[derive(Debug, Default, clap::Args)]
#[expect(clippy::struct_field_names, reason = "the names are the flags")]
pub(super) struct Flags {
    /// A worker not heard for so long gets no new work; its attempts are unknown [default: 30s].
    #[arg(long, env = "DOCKMGR_SUSPECT_AFTER", value_name = "TIME")]
    suspect_after: Option<String>,
    /// A worker without contact for so long ends attempts that may be replaced [default: 240s].
    #[arg(long, env = "DOCKMGR_FENCE_AFTER", value_name = "TIME")]
    fence_after: Option<String>,
    /// A worker not heard for so long is given up: its attempts end as lost and are tried elsewhere [default: 300s].
    #[arg(long, env = "DOCKMGR_LOST_AFTER", value_name = "TIME")]
    lost_after: Option<String>,
}

/// Times of the settings file as text, such as `2s` or `7d`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TimingText {
    heartbeat: Option<String>,
    suspect_after: Option<String>,
    fence_after: Option<String>,
    lost_after: Option<String>,
    keep_finished: Option<String>,
}

/// Puts flags, file and defaults together and checks that the times fit together.
pub(super) fn checked(flags: Flags, file: TimingText) -> Result<cluster::Config, Error> {
    let usual = cluster::Config::default();
    let config = cluster::Config {
        heartbeat: read("timing.heartbeat", None, file.heartbeat, usual.heartbeat)?,
        suspect_after: read("suspect-after", flags.suspect_after, file.suspect_after, usual.suspect_after)?,
        fence_after: read("fence-after", flags.fence_after, file.fence_after, usual.fence_after)?,
        lost_after: read("lost-after", flags.lost_after, file.lost_after, usual.lost_after)?,
        finished_keep: read("timing.keep_finished", None, file.keep_finished, usual.finished_keep)?,
        ..usual
    };
    config.check().map_err(|error| setting("timing", error.to_string()))?;
    Ok(config)
}

/// How often etcd is told to forget, and what it keeps; `None` for `off`.
pub(super) fn compaction(every: Option<String>, keep: Option<u64>) -> Result<Option<Compaction>, Error> {
    let usual = Compaction::default();
    if every.as_deref() == Some("off") {
        return Ok(None);
    }
    let every = read("--etcd-compact-every", None, every, usual.every)?;
    Ok(Some(Compaction { every, keep: keep.unwrap_or(usual.keep) }))
}

pub(super) fn read(
    name: &'static str,
    flag: Option<String>,
    file: Option<String>,
    usual: Duration,
) -> Result<Duration, Error> {
    let Some(text) = flag.or(file) else { return Ok(usual) };
    duration(&text).ok_or_else(|| {
        setting(name, format!("'{}' is not a time such as 2s, 5m or 7d", text.escape_default()))
    })
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
