//! Running seeds: one world each, many worlds at once.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::faults::{self, Fault};
use crate::settings::Settings;
use crate::sometimes::Counts;
use crate::world::{Ended, World};

/// One seed is run again out of so many, and must do the same.
pub(crate) const TWICE_EVERY: u64 = 50;

/// What many seeds came to.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    pub(crate) seeds: u64,
    pub(crate) events: u64,
    pub(crate) twice: u64,
    pub(crate) sometimes: Counts,
    /// Seeds that failed.
    pub(crate) failed: BTreeSet<u64>,
    /// A seed that did two different things.
    pub(crate) undetermined: Option<u64>,
    /// A seed that did something else with other wall clocks.
    pub(crate) by_wall: Option<u64>,
}

/// How to run many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) first: u64,
    pub(crate) seeds: u64,
    pub(crate) threads: usize,
    /// Go on after a failure.
    pub(crate) all: bool,
}

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Progress {
    /// So many seeds were begun before this one.
    Begun(u64),
    /// Something is wrong in this seed.
    Failed(u64),
}

/// Runs a seed.
pub(crate) fn seed(seed: u64, traced: bool) -> Ended {
    let settings = Settings::of(seed);
    let faults = faults::plan(&settings);
    World::new(settings, faults, traced).run()
}

/// Runs a seed with other faults.
pub(crate) fn with_faults(seed: u64, faults: Vec<Fault>, traced: bool) -> Ended {
    World::new(Settings::of(seed), faults, traced).run()
}

/// Runs a seed on machines with other wall clocks.
fn with_other_walls(seed: u64) -> Ended {
    let settings = Settings { walls: 1, ..Settings::of(seed) };
    let faults = faults::plan(&settings);
    World::new(settings, faults, false).run()
}

/// Processors there are.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Runs seeds, each thread prepared first; stops at a failure unless all are wanted. `tell` hears how far it is.
pub(crate) fn many(plan: Plan, prepare: impl Fn() + Sync, tell: impl Fn(Progress) + Sync) -> Sum {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let sum = Mutex::new(Sum::default());
    std::thread::scope(|scope| {
        for _ in 0..plan.threads.max(1) {
            scope.spawn(|| {
                prepare();
                let mut own = Sum::default();
                while !stop.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= plan.seeds {
                        break;
                    }
                    tell(Progress::Begun(at));
                    let number = plan.first.wrapping_add(at);
                    if !one(number, at, &mut own) {
                        tell(Progress::Failed(number));
                        stop.store(!plan.all, Ordering::Relaxed);
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
        sum.failed.insert(number);
        return false;
    }
    if at.is_multiple_of(TWICE_EVERY) {
        sum.twice += 1;
        return does_the_same(number, ended.hash, sum);
    }
    true
}

/// Runs a seed again with other wall clocks: the same must happen, event by event (I17).
fn does_the_same(number: u64, hash: u64, sum: &mut Sum) -> bool {
    if with_other_walls(number).hash == hash {
        return true;
    }
    if seed(number, false).hash == hash {
        sum.by_wall = Some(number);
    } else {
        sum.undetermined = Some(number);
    }
    false
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.events += other.events;
        self.twice += other.twice;
        self.sometimes.merge(&other.sometimes);
        self.failed.extend(&other.failed);
        self.undetermined = self.undetermined.or(other.undetermined);
        self.by_wall = self.by_wall.or(other.by_wall);
    }

    /// The smallest seed in which something is wrong.
    pub(crate) fn first_failure(&self) -> Option<u64> {
        self.failed.first().copied().into_iter().chain(self.undetermined).chain(self.by_wall).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(first: u64, seeds: u64) -> Plan {
        Plan { first, seeds, threads: processors(), all: false }
    }

    #[test]
    fn seeds_that_found_something_find_nothing_any_more() {
        for (number, what) in crate::regressions::SEEDS {
            let violation = seed(number, false).violation;
            assert!(violation.is_none(), "seed {number}, which found {what}: {violation:?}");
        }
    }

    #[test]
    fn a_seed_does_the_same_again_whatever_the_wall_clocks_show() {
        let sum = many(plan(70_000, 50), || {}, |_| {});
        assert_eq!((sum.first_failure(), sum.seeds), (None, 50));
        for number in 70_000..70_010 {
            let ended = seed(number, false);
            assert_eq!(seed(number, false).hash, ended.hash, "seed {number} again");
            assert_eq!(with_other_walls(number).hash, ended.hash, "seed {number} with other wall clocks");
        }
    }

    #[test]
    fn every_counted_path_is_in_the_list() {
        let sum = many(plan(1, 100), || {}, |_| {});
        assert_eq!(sum.sometimes.unknown(), Vec::<&str>::new());
    }
}
