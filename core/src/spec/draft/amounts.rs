//! Numbers and times of a spec. Each check returns some value after a violation, so that the walk goes on.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::Resources;
use super::super::limits::{
    DEFAULT_CPU_MILLIS, DEFAULT_GRACE, DEFAULT_LOG_LIMIT, DEFAULT_MEMORY, DEFAULT_PIDS, MAX_CPU_MILLIS,
    MAX_GPUS, MAX_LOG_LIMIT, MAX_PIDS, MAX_PRIORITY, MAX_RETRIES, MAX_TIMEOUT, MIN_CPU_MILLIS, MIN_LOG_LIMIT,
    MIN_MEMORY,
};
use super::super::violation::Violations;
use super::{DraftResources, RawDuration};

/// Checks what one task asks for; 0 means the default.
pub(super) fn resources(found: &mut Violations, draft: DraftResources) -> Resources {
    let cpu = within(draft.cpu_millis, DEFAULT_CPU_MILLIS, MIN_CPU_MILLIS..=MAX_CPU_MILLIS);
    let memory = within(draft.memory_bytes, DEFAULT_MEMORY, MIN_MEMORY..=u64::MAX);
    let gpus = within(draft.gpus.into(), 0, 0..=MAX_GPUS);
    Resources {
        cpu_millis: cpu.unwrap_or_else(|given| {
            let rule = format_args!("{given} is not {MIN_CPU_MILLIS} (0.01 cpu) to {MAX_CPU_MILLIS}");
            wrong(found, "spec.resources.cpu_millis", rule)
        }),
        memory: memory.unwrap_or_else(|given| {
            let rule =
                format_args!("{given} bytes are not enough: Docker needs at least {MIN_MEMORY} (6 MiB)");
            wrong(found, "spec.resources.memory_bytes", rule)
        }),
        gpus: gpus.unwrap_or_else(|given| {
            wrong(found, "spec.resources.gpus", format_args!("{given} is not 0 to {MAX_GPUS}"))
        }),
    }
}

/// Checks the limit of processes; 0 means the default.
pub(super) fn pids_limit(found: &mut Violations, given: i32) -> u32 {
    within(given.into(), DEFAULT_PIDS, 1..=MAX_PIDS).unwrap_or_else(|given| {
        wrong(found, "spec.pids_limit", format_args!("{given} is not 1 to {MAX_PIDS}"))
    })
}

/// Checks the number of retries.
pub(super) fn retries(found: &mut Violations, given: i32) -> u32 {
    within(given.into(), 0, 0..=MAX_RETRIES).unwrap_or_else(|given| {
        wrong(found, "spec.retries", format_args!("{given} is not 0 to {MAX_RETRIES}"))
    })
}

/// Checks the priority.
pub(super) fn priority(found: &mut Violations, given: i32) -> i32 {
    if !(-MAX_PRIORITY..=MAX_PRIORITY).contains(&given) {
        found.add("spec.priority", format_args!("{given} is not -{MAX_PRIORITY} to {MAX_PRIORITY}"));
    }
    given
}

/// Checks the limit of kept output; 0 means the default.
pub(super) fn log_limit(found: &mut Violations, given: i64) -> u64 {
    within(given, DEFAULT_LOG_LIMIT, MIN_LOG_LIMIT..=MAX_LOG_LIMIT).unwrap_or_else(|given| {
        let rule = format_args!("{given} bytes are not {MIN_LOG_LIMIT} (1 KiB) to {MAX_LOG_LIMIT} (16 GiB)");
        wrong(found, "spec.log_limit_bytes", rule)
    })
}

/// Checks the time between the stop signal and SIGKILL; absent means the default.
pub(super) fn grace(found: &mut Violations, given: Option<RawDuration>) -> Duration {
    let grace = given.map_or(Ok(DEFAULT_GRACE), RawDuration::grace);
    found.keep("spec.grace_period", grace).unwrap_or(DEFAULT_GRACE)
}

/// Checks a time-out; absent means without limit.
pub(super) fn time_out(found: &mut Violations, field: &str, given: Option<RawDuration>) -> Option<Duration> {
    let length = given?.get().filter(|length| !length.is_zero() && *length <= MAX_TIMEOUT);
    if length.is_none() {
        found.add(field, "it must be longer than 0 s and at most ten years; leave it out for no limit");
    }
    length
}

/// The given number if it is in `range`, `default` if it is 0; else the number itself as the error.
fn within<T>(given: i64, default: T, range: RangeInclusive<T>) -> Result<T, i64>
where
    T: TryFrom<i64> + PartialOrd,
{
    if given == 0 {
        return Ok(default);
    }
    T::try_from(given).ok().filter(|number| range.contains(number)).ok_or(given)
}

/// Notes a violation and returns zero.
fn wrong<T: Default>(found: &mut Violations, field: &str, rule: fmt::Arguments<'_>) -> T {
    found.add(field, rule);
    T::default()
}
