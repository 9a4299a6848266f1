use proptest::prelude::*;

use super::*;
use crate::time::{BootTime, WallTime};

fn at(seconds: u64) -> Now {
    let wall = WallTime(i64::try_from(seconds * 1000).unwrap_or(i64::MAX));
    Now { boot: BootTime(seconds * 1_000_000_000), wall }
}

fn sample(seconds: u64, cpu: u64, memory: u64) -> Sample {
    Sample { at: at(seconds), cpu: Duration::from_secs(cpu), memory }
}

#[test]
fn processor_time_becomes_cores_and_memory_the_highest() {
    let mut series = Series::default();
    for (seconds, cpu, memory) in [(0, 0, 5), (5, 10, 9), (10, 10, 1), (12, 11, 7)] {
        series.push(sample(seconds, cpu, memory));
    }
    let points: Vec<_> = series.points().iter().map(|p| (p.at.wall.0, p.cpu_millis, p.memory)).collect();
    assert_eq!(points, [(5000, 2000, 9), (10_000, 0, 1), (12_000, 500, 7)]);
}

#[test]
fn samples_that_come_closer_than_the_span_are_one_stretch() {
    let mut series = Series::default();
    for seconds in 0..=20 {
        series.push(sample(seconds, seconds, seconds));
    }
    let ends: Vec<_> = series.points().iter().map(|point| point.at.wall.0 / 1000).collect();
    assert_eq!(ends, [5, 10, 15, 20]);
}

#[test]
fn what_is_old_or_goes_back_changes_nothing() {
    let mut series = Series::default();
    for one in [sample(0, 0, 1), sample(10, 4, 1), sample(9, 9, 9), sample(20, 3, 1)] {
        series.push(one);
    }
    let cpu: Vec<_> = series.points().iter().map(|point| point.cpu_millis).collect();
    assert_eq!(cpu, [400, 0]);
}

#[test]
fn everybody_has_a_turn_and_a_heartbeat_its_bound() {
    let many = |seconds: u64| -> BTreeMap<AttemptId, Sample> {
        (1..=150).filter_map(|job| Some((AttemptId::from_parts(job, 0, 1)?, sample(seconds, 0, 0)))).collect()
    };
    let mut turns = Turns::default();
    let mut jobs = |seconds| -> Vec<u64> {
        turns.next(&many(seconds)).into_iter().map(|(attempt, _)| attempt.job().get()).collect()
    };
    assert_eq!(jobs(0), (1..=64).collect::<Vec<_>>());
    assert_eq!(jobs(2), (65..=128).collect::<Vec<_>>());
    assert_eq!(jobs(4), (129..=150).collect::<Vec<_>>(), "the first ones were told 4 s ago");
    assert_eq!(jobs(6), (1..=64).collect::<Vec<_>>());
    let mut gone = Turns::default();
    gone.next(&many(0));
    gone.next(&BTreeMap::new());
    assert!(gone.told.is_empty(), "what has ended is not remembered");
}

proptest! {
    #[test]
    fn a_series_is_bounded_and_loses_no_processor_time(steps in prop::collection::vec((1u64..40, 0u64..40, 0u64..100), 1..3000)) {
        let mut series = Series::default();
        let (mut seconds, mut cpu, mut highest) = (0, 0, 0);
        series.push(sample(0, 0, 0));
        for (time, used, memory) in steps {
            (seconds, cpu, highest) = (seconds + time, cpu + used, highest.max(memory));
            series.push(sample(seconds, cpu, memory));
        }
        let points = series.points();
        prop_assert!(points.len() <= MOST_POINTS);
        prop_assert_eq!(points.iter().map(|point| point.memory).max(), Some(highest));
        prop_assert_eq!(series.ends.last().map(|last| (last.at, last.cpu)), Some((at(seconds), Duration::from_secs(cpu))));
        prop_assert!(points.windows(2).all(|pair| pair[0].at.boot < pair[1].at.boot));
        let mut before = 0;
        let sum: u64 = points.iter().map(|point| {
            let nanos = point.at.boot.0 - std::mem::replace(&mut before, point.at.boot.0);
            point.cpu_millis * (nanos / 1_000_000_000)
        }).sum();
        // Each stretch is cut to whole thousandths.
        prop_assert!(sum <= cpu * 1000 && cpu * 1000 - sum <= seconds, "{sum} of {cpu} s");
    }
}
