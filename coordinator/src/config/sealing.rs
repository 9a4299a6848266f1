//! When output that has ended goes from plain files into segments.

use serde::Deserialize;

use super::{Error, setting, timing};
use crate::logs::Sealing;

/// Smallest and largest segment that is asked for: a segment holds about a GiB.
const BYTES: std::ops::RangeInclusive<u64> = 1..=768 << 20;

/// What has a flag.
#[derive(Debug, Default, clap::Args)]
pub(super) struct SealingFlags {
    /// Output that has ended is packed at the latest after so long [default: 1m].
    #[arg(long, env = "DOCKMGR_SEAL_AFTER", value_name = "TIME")]
    seal_after: Option<String>,
    /// Bytes of output that are packed at once when so much has ended [default: 67108864].
    #[arg(long, env = "DOCKMGR_SEAL_BYTES", value_name = "N")]
    seal_bytes: Option<u64>,
}

/// The same in the settings file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SealingText {
    after: Option<String>,
    bytes: Option<u64>,
}

/// Puts flags, file and defaults together and checks them.
pub(super) fn checked(flags: SealingFlags, file: SealingText) -> Result<Sealing, Error> {
    let usual = Sealing::default();
    let after = timing::read("--seal-after", flags.seal_after, file.after, usual.after)?;
    let bytes = flags.seal_bytes.or(file.bytes).unwrap_or(usual.bytes);
    if !BYTES.contains(&bytes) {
        return Err(setting(
            "--seal-bytes",
            format!("must be between {} and {}", BYTES.start(), BYTES.end()),
        ));
    }
    Ok(Sealing { bytes, after })
}
