//! The numbers the cluster decides by.

use std::time::Duration;

/// Tasks a stored chunk holds: an array of a million tasks is about four thousand records, each far below 1 MiB. Part
/// of the stored form, so no setting.
pub const CHUNK_TASKS: u32 = 256;

/// The numbers the cluster decides by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// A worker not heard for so long is silent: 15 lost heartbeats, so that a restart of a coordinator disturbs nobody.
    pub suspect_after: Duration,
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
            suspect_after: Duration::from_secs(30),
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

impl Config {
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
}
