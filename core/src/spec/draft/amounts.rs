//! Numbers and times of a spec.

use std::time::Duration;

use super::super::Resources;
use super::super::limits::{
    DEFAULT_CPU_MILLIS, DEFAULT_GRACE, DEFAULT_LOG_LIMIT, DEFAULT_MEMORY, DEFAULT_PIDS, MAX_CPU_MILLIS,
    MAX_GPUS, MAX_GRACE, MAX_LOG_LIMIT, MAX_PIDS, MAX_PRIORITY, MAX_RETRIES, MAX_TIMEOUT, MIN_CPU_MILLIS,
    MIN_LOG_LIMIT, MIN_MEMORY,
};
use super::super::violation::Violations;
use super::{DraftResources, RawDuration};

/// The checked plain numbers.
pub(super) struct Limits {
    pub(super) pids: u32,
    pub(super) retries: u32,
    pub(super) log: u64,
}

/// The checked times.
pub(super) struct Times {
    pub(super) timeout: Option<Duration>,
    pub(super) queue_timeout: Option<Duration>,
    pub(super) grace: Duration,
}

/// Checks what one task asks for; 0 means the default.
pub(super) fn resources(found: &mut Violations, draft: Option<DraftResources>) -> Resources {
    let draft = draft.unwrap_or_default();
    let cpu_millis = match u64::try_from(draft.cpu_millis) {
        Ok(0) => DEFAULT_CPU_MILLIS,
        Ok(millis @ MIN_CPU_MILLIS..=MAX_CPU_MILLIS) => millis,
        Ok(_) | Err(_) => {
            let given = draft.cpu_millis;
            found.add(
                "spec.resources.cpu_millis",
                format_args!("{given} is not {MIN_CPU_MILLIS} (0.01 cpu) to {MAX_CPU_MILLIS}"),
            );
            0
        }
    };
    let memory = match u64::try_from(draft.memory_bytes) {
        Ok(0) => DEFAULT_MEMORY,
        Ok(bytes @ MIN_MEMORY..) => bytes,
        Ok(_) | Err(_) => {
            let given = draft.memory_bytes;
            found.add(
                "spec.resources.memory_bytes",
                format_args!("{given} bytes are too few: Docker needs at least {MIN_MEMORY} (6 MiB)"),
            );
            0
        }
    };
    let gpus = match u32::try_from(draft.gpus) {
        Ok(gpus @ ..=MAX_GPUS) => gpus,
        Ok(_) | Err(_) => {
            found.add("spec.resources.gpus", format_args!("{} is not 0 to {MAX_GPUS}", draft.gpus));
            0
        }
    };
    Resources { cpu_millis, memory, gpus }
}

/// Checks the plain numbers; 0 means the default where 0 is not allowed.
pub(super) fn limits(found: &mut Violations, pids: i32, retries: i32, priority: i32, log: i64) -> Limits {
    let pids = match u32::try_from(pids) {
        Ok(0) => DEFAULT_PIDS,
        Ok(count @ ..=MAX_PIDS) => count,
        Ok(_) | Err(_) => {
            found.add("spec.pids_limit", format_args!("{pids} is not 1 to {MAX_PIDS}"));
            DEFAULT_PIDS
        }
    };
    let retries = match u32::try_from(retries) {
        Ok(count @ ..=MAX_RETRIES) => count,
        Ok(_) | Err(_) => {
            found.add("spec.retries", format_args!("{retries} is not 0 to {MAX_RETRIES}"));
            0
        }
    };
    if !(-MAX_PRIORITY..=MAX_PRIORITY).contains(&priority) {
        found.add("spec.priority", format_args!("{priority} is not -{MAX_PRIORITY} to {MAX_PRIORITY}"));
    }
    let log = match u64::try_from(log) {
        Ok(0) => DEFAULT_LOG_LIMIT,
        Ok(bytes @ MIN_LOG_LIMIT..=MAX_LOG_LIMIT) => bytes,
        Ok(_) | Err(_) => {
            let words =
                format_args!("{log} bytes are not {MIN_LOG_LIMIT} (1 KiB) to {MAX_LOG_LIMIT} (16 GiB)");
            found.add("spec.log_limit_bytes", words);
            DEFAULT_LOG_LIMIT
        }
    };
    Limits { pids, retries, log }
}

/// Checks the times.
pub(super) fn times(
    found: &mut Violations,
    timeout: Option<RawDuration>,
    queue_timeout: Option<RawDuration>,
    grace: Option<RawDuration>,
) -> Times {
    Times {
        timeout: time_out(found, "spec.timeout", timeout),
        queue_timeout: time_out(found, "spec.queue_timeout", queue_timeout),
        grace: grace.map_or(DEFAULT_GRACE, |raw| {
            found.keep("spec.grace_period", self::grace(raw)).unwrap_or(DEFAULT_GRACE)
        }),
    }
}

/// Checks a time between the stop signal and SIGKILL: 0 to [`MAX_GRACE`]; the error says what would be right.
pub fn grace(raw: RawDuration) -> Result<Duration, &'static str> {
    raw.get().filter(|grace| *grace <= MAX_GRACE).ok_or("it must be 0 s to 1 h")
}

/// Checks a time-out that may be absent.
fn time_out(found: &mut Violations, field: &str, raw: Option<RawDuration>) -> Option<Duration> {
    let length = raw?.get().filter(|length| !length.is_zero() && *length <= MAX_TIMEOUT);
    if length.is_none() {
        found.add(field, "it must be longer than 0 s and at most ten years; leave it out for no limit");
    }
    length
}
