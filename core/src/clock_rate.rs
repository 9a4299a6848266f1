//! Whether this machine's clock runs as fast as the leader's.
//!
//! Owns the rule. Fences and replacements are counted on two clocks, and are safe only while their rates differ by less
//! than [`TOLERATED_PERMILLE`]; so a worker compares its clock with the leader's by the answers to its heartbeats. Pure:
//! a worker's session feeds it, its health asks it.
//!
//! ```text
//!   offset = leader's clock - own clock at the send of the heartbeat = constant + delay (never negative) + drift
//! ```
//! The least offset of each third of the window has the least delay in it, so a paused leader or a slow network does not
//! look like a drift.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::BootTime;

/// Highest difference of two rates that is taken, in thousandths.
pub const TOLERATED_PERMILLE: i64 = 50;
/// Rates are compared over at least this: delays of a second change the result by less than the tolerance.
const SPAN: Duration = Duration::from_secs(60);
/// Older answers are dropped.
const WINDOW: Duration = Duration::from_secs(75);
/// Answers kept: ten a second for the whole window.
const SAMPLES: usize = 750;

/// Answers of one leader to heartbeats, newest last.
#[derive(Debug, Clone, Default)]
pub struct ClockRate {
    samples: VecDeque<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    sent: BootTime,
    leader: Duration,
}

impl Sample {
    /// Leader's clock minus ours, in nanoseconds.
    fn offset(self) -> i128 {
        i128::try_from(self.leader.as_nanos()).unwrap_or(i128::MAX / 2) - i128::from(self.sent.0)
    }
}

impl ClockRate {
    /// Forgets everything: the next answers come from another clock.
    pub fn reset(&mut self) {
        self.samples.clear();
    }

    /// Takes an answer in: our clock when the heartbeat was sent, the leader's when it answered.
    pub fn note(&mut self, sent: BootTime, leader: Duration) {
        if self.samples.back().is_some_and(|last| sent <= last.sent) {
            return;
        }
        self.samples.push_back(Sample { sent, leader });
        while self.samples.len() > SAMPLES
            || self.samples.front().is_some_and(|first| sent.since(first.sent) > WINDOW)
        {
            self.samples.pop_front();
        }
    }

    /// How much faster the leader's clock runs than ours, in thousandths; `None` before a minute of answers.
    pub fn permille(&self) -> Option<i64> {
        let (first, last) = (self.samples.front()?.sent, self.samples.back()?.sent);
        let span = last.since(first);
        if span < SPAN {
            return None;
        }
        let third = span / 3;
        let least = |part: &dyn Fn(&Sample) -> bool| {
            self.samples.iter().filter(|sample| part(sample)).min_by_key(|sample| sample.offset()).copied()
        };
        let early = least(&|sample| sample.sent <= first + third)?;
        let late = least(&|sample| sample.sent >= last - third)?;
        let between =
            i128::try_from(late.sent.since(early.sent).as_nanos()).ok().filter(|nanos| *nanos > 0)?;
        i64::try_from((late.offset() - early.offset()) * 1000 / between).ok()
    }

    /// The difference if it is not tolerable, in thousandths.
    pub fn off(&self) -> Option<i64> {
        self.permille().filter(|permille| permille.abs() > TOLERATED_PERMILLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Heartbeats every two seconds of our clock for `seconds`; `leader` gives its clock and the delay by ours, in ms.
    fn rate(seconds: u64, leader: impl Fn(u64) -> u64) -> ClockRate {
        let mut rate = ClockRate::default();
        for at in (0..=seconds).step_by(2) {
            rate.note(BootTime(at * 1_000_000_000), Duration::from_millis(5_000_000 + leader(at * 1000)));
        }
        rate
    }

    #[test]
    fn c2_a_clock_that_is_a_fifth_too_fast_or_too_slow_is_found_within_a_minute() {
        assert_eq!(rate(58, |own| own * 6 / 5).off(), None, "not yet a minute");
        assert_eq!(rate(60, |own| own * 6 / 5).off(), Some(200));
        assert_eq!(rate(60, |own| own * 4 / 5).off(), Some(-200));
        assert_eq!(rate(600, |own| own * 94 / 100).off(), Some(-60));
    }

    #[test]
    fn tolerable_drift_and_any_delay_of_the_leader_are_no_reason() {
        assert_eq!(rate(60, |own| own * 104 / 100).off(), None);
        // A leader that was paused for twenty seconds answers everything of that time at its end.
        let paused = |from: u64| {
            move |own: u64| if (from..from + 20_000).contains(&own) { from + 20_000 } else { own }
        };
        for from in (0..60_000).step_by(2_000) {
            assert_eq!(rate(60, paused(from)).off(), None, "paused from {from} ms");
        }
    }

    #[test]
    fn another_leader_and_old_answers_start_afresh() {
        let mut rate = rate(60, |own| own * 2);
        assert!(rate.off().is_some());
        rate.reset();
        assert_eq!(rate.permille(), None);
        rate.note(BootTime(5), Duration::from_secs(1));
        rate.note(BootTime(5), Duration::from_secs(9));
        rate.note(BootTime(4), Duration::from_secs(9));
        assert_eq!(rate.samples.len(), 1, "one answer a heartbeat, in order");
    }
}
