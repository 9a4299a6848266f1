//! How much output may be kept. How long is said by `timing`.

use dockmgr_core::retention::Limits;
use serde::Deserialize;

use super::{Error, setting};

/// What has a flag.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct RetentionFlags {
    /// Bytes that the output of all jobs may take as it is stored; beyond, that of the jobs that ended first is deleted
    /// [default: any number].
    #[arg(long, env = "DOCKMGR_RETENTION_BYTES", value_name = "N")]
    retention_bytes: Option<u64>,
    /// Bytes that the output of one job may take as it is stored; beyond, it is deleted once the job has ended [default: any
    /// number].
    #[arg(long, env = "DOCKMGR_RETENTION_JOB_BYTES", value_name = "N")]
    retention_job_bytes: Option<u64>,
}

/// The same in the settings file.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RetentionText {
    bytes: Option<u64>,
    job_bytes: Option<u64>,
}

/// Puts flags and file together and checks them.
pub(super) fn checked(flags: RetentionFlags, file: RetentionText) -> Result<Limits, Error> {
    let limits = Limits {
        total: flags.retention_bytes.or(file.bytes),
        per_job: flags.retention_job_bytes.or(file.job_bytes),
    };
    for (name, given) in [("--retention-bytes", limits.total), ("--retention-job-bytes", limits.per_job)] {
        if given == Some(0) {
            return Err(setting(name, "must be at least 1: no output would be kept at all"));
        }
    }
    Ok(limits)
}
