//! Time as the decisions see it: a monotonic instant to decide by, a wall time to show.
//!
//! Owns the two newtypes. No decision may depend on [`WallTime`] (guarantee G10): it is recorded and shown, never
//! compared. Both come in from the shells; nothing here reads a clock.

use std::ops::{Add, Sub};
use std::time::Duration;

/// Nanoseconds since the host booted, suspend included (`CLOCK_BOOTTIME`). Meaningful inside one process only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BootTime(pub u64);

impl BootTime {
    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for BootTime {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for BootTime {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Milliseconds since 1970-01-01 UTC, for records and people; negative before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WallTime(pub i64);

/// The two clocks, read together by a shell at the moment an event happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// What decisions compare.
    pub boot: BootTime,
    /// What records show.
    pub wall: WallTime,
}
