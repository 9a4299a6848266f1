//! True time of the world and the clocks of its machines, which begin somewhere and run fast or slow.

use std::time::Duration;

use dockmgr_core::time::{BootTime, Now, WallTime};

use crate::random::Random;

/// Half a year in milliseconds: how far a wall clock may be off.
const WALL_SPREAD: u64 = 15_768_000_000;

/// True time since the world began, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Instant(pub(crate) u64);

impl Instant {
    pub(crate) fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)))
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Time since the world began, as the container daemons' model counts it.
    pub(crate) fn elapsed(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

impl std::fmt::Display for Instant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000_000, self.0 / 1000 % 1_000_000)
    }
}

/// The clock of one machine.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    /// When it was booted.
    zero: Instant,
    /// What it showed then.
    offset: u64,
    /// How fast it runs, in millionths.
    rate: u64,
    walls: Random,
}

impl Clock {
    pub(crate) fn new(offset: Duration, rate: u64, walls: Random) -> Self {
        let offset = u64::try_from(offset.as_nanos()).unwrap_or(0);
        Self { zero: Instant::default(), offset, rate, walls }
    }

    /// The machine is booted: its clock begins near nothing.
    pub(crate) fn boot(&mut self, at: Instant) {
        self.zero = at;
        self.offset = 1_000_000_000;
    }

    /// What it shows.
    pub(crate) fn at(&self, now: Instant) -> BootTime {
        let passed = u128::from(now.0 - self.zero.0.min(now.0)) * u128::from(self.rate) / 1_000_000;
        BootTime(self.offset + u64::try_from(passed).unwrap_or(u64::MAX / 2))
    }

    /// When it will show `time`, rounded up.
    pub(crate) fn when(&self, time: BootTime) -> Instant {
        let passed = u128::from(time.0.saturating_sub(self.offset)) * 1_000_000 / u128::from(self.rate) + 1;
        Instant(self.zero.0.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX / 2)))
    }

    /// True time that passes while it counts `wait`.
    pub(crate) fn stretch(&self, wait: Duration) -> Duration {
        let nanos = wait.as_nanos() * 1_000_000 / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 2))
    }

    /// Both clocks. The wall clock is set anew before each look: no decision may rest on it.
    pub(crate) fn now(&mut self, now: Instant) -> Now {
        let off = i64::try_from(self.walls.below(2 * WALL_SPREAD)).unwrap_or(0);
        let wall = 1_700_000_000_000 + off - i64::try_from(WALL_SPREAD).unwrap_or(0);
        Now { boot: self.at(now), wall: WallTime(wall) }
    }
}
