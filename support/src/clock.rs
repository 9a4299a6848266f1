//! The only place that reads the machine's clocks.
//!
//! Owns reading; decides nothing. `CLOCK_BOOTTIME` counts the time a machine was suspended, which tokio's `Instant` does not.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since boot, suspend included.
pub fn boot_nanos() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// Milliseconds since 1970-01-01 UTC; negative before it. Shown and recorded, never compared by a decision.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
pub fn wall_millis() -> i64 {
    let signed = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => signed(after),
        Err(before) => -signed(before.duration()),
    }
}
