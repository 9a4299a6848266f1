//! Running seeds: one world each, many worlds at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::faults::{self, Fault};
use crate::settings::Settings;
use crate::sometimes::Counts;
use crate::world::{Ended, World};

/// One seed is run twice out of so many, and must do the same.
const TWICE_EVERY: u64 = 50;

/// What many seeds came to.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    pub(crate) seeds: u64,
    pub(crate) events: u64,
    pub(crate) twice: u64,
    pub(crate) sometimes: Counts,
    /// The smallest seed that failed.
    pub(crate) failed: Option<u64>,
    /// A seed that did two different things.
    pub(crate) undetermined: Option<u64>,
}

/// Runs a seed.
pub(crate) fn seed(seed: u64, traced: bool) -> Ended {
    let settings = Settings::of(seed);
    let faults = faults::plan(seed, settings.active);
    World::new(settings, faults, traced).run()
}

/// Runs a seed with other faults.
pub(crate) fn with_faults(seed: u64, faults: Vec<Fault>, traced: bool) -> Ended {
    World::new(Settings::of(seed), faults, traced).run()
}

/// Runs `count` seeds from `first` on, on all processors; stops at a failure.
pub(crate) fn many(first: u64, count: u64, prepare: impl Fn() + Sync) -> Sum {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let sum = Mutex::new(Sum::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                prepare();
                let mut own = Sum::default();
                while !stop.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        break;
                    }
                    if !one(first.wrapping_add(at), at, &mut own) {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
                let mut sum = sum.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                sum.add(&own);
            });
        }
    });
    sum.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Runs one seed of many; `false` if it failed.
fn one(number: u64, at: u64, sum: &mut Sum) -> bool {
    let ended = seed(number, false);
    sum.seeds += 1;
    sum.events += ended.events;
    sum.sometimes.add_seed(&ended.sometimes);
    if ended.violation.is_some() {
        sum.failed = Some(sum.failed.map_or(number, |other| other.min(number)));
        return false;
    }
    if at.is_multiple_of(TWICE_EVERY) {
        sum.twice += 1;
        if seed(number, false).hash != ended.hash {
            sum.undetermined = Some(number);
            return false;
        }
    }
    true
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.events += other.events;
        self.twice += other.twice;
        self.sometimes.merge(&other.sometimes);
        self.failed = self.failed.into_iter().chain(other.failed).min();
        self.undetermined = self.undetermined.or(other.undetermined);
    }
}
