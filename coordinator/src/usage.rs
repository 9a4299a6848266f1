//! What attempts use over time, as heartbeats told it: in memory only, of the leader.
//!
//! Lost with the process. Bounded: where too many attempts are known, the one that was silent longest is forgotten, and where
//! all of them run, the next one is left out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dockmgr_core::ids::{AttemptId, AttemptNumber, TaskId};
use dockmgr_core::samples::{Point, Sample, Series};
use dockmgr_core::time::BootTime;

/// Attempts that are remembered: 10 KiB each at the most.
const MOST_ATTEMPTS: usize = 4096;
/// Without a sample for this long an attempt does not run: its turn comes far more often.
const OVER: Duration = Duration::from_mins(2);

/// See the module. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct UsageBook(Arc<Mutex<BTreeMap<AttemptId, Kept>>>);

#[derive(Debug, Default)]
struct Kept {
    series: Series,
    /// When the last sample came, by our clock.
    heard: BootTime,
}

impl UsageBook {
    /// Takes samples of a heartbeat in.
    pub(crate) fn take(&self, samples: Vec<(AttemptId, Sample)>, now: BootTime) {
        if samples.is_empty() {
            return;
        }
        let mut book = self.lock();
        for (attempt, sample) in samples {
            if !book.contains_key(&attempt) && !has_room(&mut book, now) {
                continue;
            }
            let kept = book.entry(attempt).or_default();
            kept.series.push(sample);
            kept.heard = now;
        }
    }

    /// What an attempt of the task used, the newest that is known if none is named.
    pub(crate) fn of(&self, task: TaskId, number: Option<AttemptNumber>) -> Option<(AttemptId, Vec<Point>)> {
        let book = self.lock();
        let (first, last) = number.map_or((AttemptNumber(0), AttemptNumber(u32::MAX)), |one| (one, one));
        let range = AttemptId { task, number: first }..=AttemptId { task, number: last };
        let (attempt, kept) = book.range(range).next_back()?;
        Some((*attempt, kept.series.points()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AttemptId, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether one more can be taken in; forgets one that is over where it must.
fn has_room(book: &mut BTreeMap<AttemptId, Kept>, now: BootTime) -> bool {
    if book.len() < MOST_ATTEMPTS {
        return true;
    }
    let silent = book.iter().min_by_key(|(_, kept)| kept.heard);
    let over = silent.filter(|(_, kept)| now.since(kept.heard) >= OVER).map(|(attempt, _)| *attempt);
    over.is_some_and(|attempt| book.remove(&attempt).is_some())
}

#[cfg(test)]
mod tests {
    use dockmgr_core::time::Now;

    use super::*;

    fn attempt(job: u64, number: u32) -> AttemptId {
        AttemptId::from_parts(job, 0, number).expect("both are above zero")
    }

    fn sample(seconds: u64) -> Sample {
        let boot = BootTime(seconds * 1_000_000_000);
        Sample { at: Now { boot, ..Now::default() }, cpu: Duration::from_secs(seconds / 2), memory: seconds }
    }

    fn at(seconds: u64) -> BootTime {
        BootTime(seconds * 1_000_000_000)
    }

    #[test]
    fn the_newest_attempt_is_shown_unless_one_is_named() {
        let book = UsageBook::default();
        for seconds in [10, 20] {
            book.take(vec![(attempt(1, 1), sample(seconds)), (attempt(1, 2), sample(seconds))], at(seconds));
        }
        let task = attempt(1, 1).task;
        assert_eq!(book.of(task, None).expect("it is known").0, attempt(1, 2));
        let (found, points) = book.of(task, Some(AttemptNumber(1))).expect("it is known");
        assert_eq!((found, points.len(), points[0].cpu_millis), (attempt(1, 1), 1, 500));
        assert_eq!(book.of(task, Some(AttemptNumber(3))), None);
        assert_eq!(book.of(attempt(2, 1).task, None), None);
    }

    #[test]
    fn it_holds_no_more_than_its_bound_and_forgets_nobody_who_runs() {
        let book = UsageBook::default();
        let last = u64::try_from(MOST_ATTEMPTS).expect("it fits");
        for job in 1..=last + 1 {
            book.take(vec![(attempt(job, 1), sample(job))], at(0));
        }
        let knows = |job| book.of(attempt(job, 1).task, None).is_some();
        assert!(knows(1) && knows(last) && !knows(last + 1), "all of them run");
        book.take((2..=last).map(|job| (attempt(job, 1), sample(9000))).collect(), at(100));
        book.take(vec![(attempt(last + 1, 1), sample(9000))], at(130));
        assert!(!knows(1) && knows(2) && knows(last + 1), "it was silent longest");
        assert_eq!(book.lock().len(), MOST_ATTEMPTS);
    }
}
