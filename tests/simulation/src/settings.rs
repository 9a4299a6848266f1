//! What a seed decides about its world before anything happens.

use std::time::Duration;

use dockmgr_core::cluster::Config;

use crate::random::Random;

/// The shape of one world.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact about the world of its own")]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    /// One coordinator on a store of its own, instead of three on a shared one.
    pub(crate) embedded: bool,
    pub(crate) coordinators: usize,
    pub(crate) workers: usize,
    pub(crate) clients: usize,
    /// Jobs each client submits.
    pub(crate) jobs: u64,
    /// How long things go wrong.
    pub(crate) active: Duration,
    pub(crate) config: Config,
    /// Clock rates of machines differ by more than the design assumes: an attempt may overlap its successor, and then
    /// must be flagged.
    pub(crate) clocks_differ: bool,
    /// Most writes of one transaction.
    pub(crate) max_ops: usize,
    /// Losing contact is all that goes wrong: every other fault would also explain an attempt that is not ended in time.
    pub(crate) contact_only: bool,
    /// Guards run beside the workers.
    pub(crate) guards: bool,
    /// A worker that stays away when everything else is well again.
    pub(crate) gone: bool,
    pub(crate) watchers: usize,
    /// Which wall clocks the machines have; nothing may depend on it.
    pub(crate) walls: u64,
    /// Deletions a leader remembers for watchers.
    pub(crate) deletions_kept: usize,
}

impl Settings {
    pub(crate) fn of(seed: u64) -> Self {
        let mut random = Random::new(seed, 2);
        let embedded = random.chance(200);
        let mut config = Config {
            request_keep: Duration::from_secs(3600),
            // Wall clocks jump by months here; nothing may be forgotten by age.
            finished_keep: Duration::from_secs(3_200_000_000),
            placements_per_step: if random.chance(500) { 2 } else { 512 },
            ..Config::default()
        };
        if random.chance(850) {
            (config.suspect_after, config.fence_after, config.lost_after) =
                (Duration::from_secs(5), Duration::from_secs(20), Duration::from_secs(30));
        }
        let contact_only = random.chance(200);
        Self {
            seed,
            contact_only,
            embedded,
            coordinators: if embedded { 1 } else { 3 },
            workers: random.index(7) + 1,
            clients: random.index(5) + 1,
            jobs: random.between(1, 5),
            active: random.millis(30_000, 150_000),
            config,
            clocks_differ: random.chance(80),
            max_ops: random.index(12) + 1,
            guards: random.chance(if contact_only { 300 } else { 600 }),
            gone: random.chance(100),
            watchers: random.index(3),
            walls: 0,
            deletions_kept: random.index(4) + 1,
        }
    }
}
