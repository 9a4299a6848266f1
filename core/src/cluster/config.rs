//! The numbers the cluster decides by, and how the times of losing a worker must fit together.
//!
//! ```text
//! last word of a worker --suspect_after--> no new work, its attempts are unknown
//!                       --fence_after----> its worker ends `retry` and `fail` attempts itself: stop, grace, kill
//!                       --lost_after-----> the leader ends them as lost; `retry` ones are tried elsewhere
//! ```
//! The worker counts from when it *sent* the last heartbeat that was acknowledged, the leader from when it *received*
//! that one or a later one, so the worker always gives up first as long as clock rates differ by less than 5 %.

use std::time::Duration;

/// Tasks a stored chunk holds: an array of a million tasks is about four thousand records, each far below 1 MiB. Part
/// of the stored form, so no setting.
pub const CHUNK_TASKS: u32 = 256;

/// Time a fenced attempt has between the stop signal and SIGKILL.
pub const FENCE_GRACE: Duration = Duration::from_secs(5);
/// Time SIGKILL may take to end a fenced attempt.
pub const FENCE_KILL: Duration = Duration::from_secs(2);
/// Part of `lost_after`, in percent, within which a fence must be over: clock rates may differ by the rest.
const FENCE_SHARE: u128 = 95;
/// Heartbeats faster than this only cost.
const SHORTEST_HEARTBEAT: Duration = Duration::from_millis(100);
/// A worker heard more seldom than this is not watched at all.
const LONGEST_HEARTBEAT: Duration = Duration::from_secs(60);

/// The numbers the cluster decides by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How often workers send a heartbeat.
    pub heartbeat: Duration,
    /// A worker not heard for so long is silent: 15 lost heartbeats, so that a restart of a coordinator disturbs nobody.
    pub suspect_after: Duration,
    /// A worker without contact for so long ends its `retry` and `fail` attempts itself. Eight times the suspicion: a
    /// coordinator may be upgraded or its host rebooted meanwhile, and nothing is killed.
    pub fence_after: Duration,
    /// A worker not heard for so long is given up: its `retry` and `fail` attempts end as lost.
    pub lost_after: Duration,
    /// How often a task is tried again after causes that are the infrastructure's.
    pub infra_retries: u32,
    /// Wait before the first new attempt; doubled for each further one.
    pub backoff_base: Duration,
    /// Longest wait before a new attempt.
    pub backoff_cap: Duration,
    /// Most tasks that may be queued: twice the size designed for.
    pub queue_limit: u64,
    /// How long an idempotency key is kept at least: a client may repeat a call for a day (G1).
    pub request_keep: Duration,
    /// How long an ended job is kept.
    pub finished_keep: Duration,
    /// How many attempts of a task are kept.
    pub max_attempts_kept: usize,
    /// Most placements of one step: about 15 ms of work with ten thousand nodes, so that no event holds up the others
    /// for long; the rest follows at once.
    pub placements_per_step: usize,
    /// Most ended jobs forgotten in one step.
    pub forgotten_per_step: usize,
    /// How often ended jobs are looked through for old ones; retention has a grain of days.
    pub retention_check: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(2),
            suspect_after: Duration::from_secs(30),
            fence_after: Duration::from_secs(240),
            lost_after: Duration::from_secs(300),
            infra_retries: 3,
            backoff_base: Duration::from_secs(1),
            backoff_cap: Duration::from_mins(1),
            queue_limit: 2_000_000,
            request_keep: Duration::from_hours(24),
            finished_keep: Duration::from_hours(7 * 24),
            max_attempts_kept: 16,
            placements_per_step: 512,
            forgotten_per_step: 256,
            retention_check: Duration::from_mins(10),
        }
    }
}

/// Why the times of losing a worker do not fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimesError {
    /// The heartbeat is too fast or too slow.
    #[error("heartbeat {0:?} must be between {SHORTEST_HEARTBEAT:?} and {LONGEST_HEARTBEAT:?}")]
    Heartbeat(Duration),
    /// One lost heartbeat would make a worker silent.
    #[error("suspect-after {suspect:?} must be at least twice the heartbeat ({heartbeat:?})")]
    Suspect {
        /// The heartbeat.
        heartbeat: Duration,
        /// The suspicion.
        suspect: Duration,
    },
    /// Workers would end attempts before they are suspected.
    #[error("fence-after {fence:?} must be longer than suspect-after ({suspect:?})")]
    Fence {
        /// The suspicion.
        suspect: Duration,
        /// The fence.
        fence: Duration,
    },
    /// Attempts might be replaced while they still run.
    #[error(
        "lost-after {lost:?} is too short for fence-after {fence:?}: the fence, {FENCE_GRACE:?} of grace and \
         {FENCE_KILL:?} for SIGKILL must be over after {FENCE_SHARE} % of it, so give at least {least:?}"
    )]
    Lost {
        /// The fence.
        fence: Duration,
        /// When the worker is given up.
        lost: Duration,
        /// The shortest that would do, in whole seconds.
        least: Duration,
    },
}

impl Config {
    /// Checks that the times fit together, so that a worker has always given up before the leader replaces.
    ///
    /// # Errors
    /// [`TimesError`], naming the first one that does not fit.
    pub fn check(&self) -> Result<(), TimesError> {
        let Self { heartbeat, suspect_after: suspect, fence_after: fence, lost_after: lost, .. } = *self;
        if !(SHORTEST_HEARTBEAT..=LONGEST_HEARTBEAT).contains(&heartbeat) {
            return Err(TimesError::Heartbeat(heartbeat));
        }
        if suspect < heartbeat * 2 {
            return Err(TimesError::Suspect { heartbeat, suspect });
        }
        if fence <= suspect {
            return Err(TimesError::Fence { suspect, fence });
        }
        let over = fence.as_millis() + FENCE_GRACE.as_millis() + FENCE_KILL.as_millis();
        if over * 100 > lost.as_millis() * FENCE_SHARE {
            let least = (over * 100).div_ceil(FENCE_SHARE * 1000);
            let least = Duration::from_secs(u64::try_from(least).unwrap_or(u64::MAX));
            return Err(TimesError::Lost { fence, lost, least });
        }
        Ok(())
    }

    /// The wait before a new attempt after `failures` (from 1) of a kind: doubled each time, capped, and spread by a
    /// quarter either way so that what failed together does not return together. `noise` is any number.
    pub fn backoff(&self, failures: u32, noise: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let plain = self.backoff_base.saturating_mul(1 << doublings).min(self.backoff_cap);
        let per_mille = 750 + u32::try_from(noise % 501).expect("a remainder of 501 fits");
        plain.saturating_mul(per_mille) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_stays_within_a_quarter_and_is_capped() {
        let config = Config::default();
        for noise in [0, 250, 500, u64::MAX] {
            for (failures, plain) in [(1, 1000), (2, 2000), (3, 4000), (7, 60_000), (1000, 60_000)] {
                let millis = config.backoff(failures, noise).as_millis();
                assert!((plain * 3 / 4..=plain * 5 / 4).contains(&millis), "{failures} {noise}: {millis}");
            }
        }
    }

    #[test]
    fn times_fit_together_only_if_every_fence_is_over_before_anything_is_replaced() {
        let times = |heartbeat, suspect, fence, lost| Config {
            heartbeat: Duration::from_secs(heartbeat),
            suspect_after: Duration::from_secs(suspect),
            fence_after: Duration::from_secs(fence),
            lost_after: Duration::from_secs(lost),
            ..Config::default()
        };
        assert_eq!(Config::default().check(), Ok(()));
        for (heartbeat, suspect, fence, lost) in [(2, 5, 20, 30), (2, 4, 5, 13), (60, 120, 121, 135)] {
            assert_eq!(times(heartbeat, suspect, fence, lost).check(), Ok(()), "{suspect} {fence} {lost}");
        }
        for (heartbeat, suspect, fence, lost, word) in [
            (0, 5, 20, 30, "heartbeat 0ns"),
            (61, 200, 240, 300, "heartbeat 61s"),
            (2, 3, 20, 30, "suspect-after 3s"),
            (2, 20, 20, 30, "fence-after 20s"),
            (2, 5, 20, 28, "at least 29s"),
            (2, 5, 20, 20, "lost-after 20s"),
            (2, 5, 20, 0, "lost-after 0ns"),
        ] {
            let error = times(heartbeat, suspect, fence, lost).check().expect_err("refused").to_string();
            assert!(error.contains(word), "{error}");
        }
        let least = TimesError::Lost {
            fence: Duration::from_secs(20),
            lost: Duration::ZERO,
            least: Duration::from_secs(29),
        };
        assert_eq!(times(2, 5, 20, 0).check(), Err(least), "and that would do:");
        assert_eq!(times(2, 5, 20, 29).check(), Ok(()));
    }
}
