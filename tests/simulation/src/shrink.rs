//! Making a failing list of faults shorter: leave parts out for as long as it still fails the same way (delta debugging).

use crate::faults::Fault;
use crate::run;

/// Runs tried at most: a long list is not worth waiting for.
const MOST_RUNS: usize = 200;

/// The shortest list found that still violates the same invariant.
pub(crate) fn shrink(seed: u64, mut faults: Vec<Fault>, invariant: &str) -> Vec<Fault> {
    let fails = |faults: &[Fault]| {
        let ended = run::with_faults(seed, faults.to_vec(), false);
        ended.violation.is_some_and(|violation| violation.invariant == invariant)
    };
    let mut runs = 0;
    let mut size = faults.len().div_ceil(2);
    while size > 0 && runs < MOST_RUNS {
        let mut at = 0;
        while at < faults.len() && runs < MOST_RUNS {
            let mut fewer = faults.clone();
            fewer.drain(at..(at + size).min(fewer.len()));
            runs += 1;
            if fails(&fewer) {
                faults = fewer;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    faults
}
