//! What attempts use over time: a series that gets coarser instead of longer, and which samples a heartbeat carries.
//!
//! A worker samples each running attempt; its heartbeats carry the newest sample of some attempts in turn ([`Turns`]); the
//! leader keeps a [`Series`] of each. None of it is stored: the next leader begins with empty series.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::AttemptId;
use crate::time::Now;

/// Most points of a series: as many as a chart has room for. 240 of them are 10 KiB.
pub const MOST_POINTS: usize = 240;
/// The finest series: 240 points are 20 minutes. Doubled whenever a series is full.
pub const FINEST: Duration = Duration::from_secs(5);
/// Samples in one heartbeat: 50 bytes each. A worker with more running attempts tells each more seldom.
pub const MOST_AT_ONCE: usize = 64;

/// What an attempt used at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When, by the worker's clocks.
    pub at: Now,
    /// Processor time since its start.
    pub cpu: Duration,
    /// Memory in use in bytes, page cache included.
    pub memory: u64,
}

/// What an attempt used in one stretch of time, which ends at `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Its end, by the worker's clocks.
    pub at: Now,
    /// Cores in use on average, in thousandths.
    pub cpu_millis: u64,
    /// Most memory of the samples in it, in bytes.
    pub memory: u64,
}

/// The samples of one attempt, thinned out: processor time is exact over every stretch, memory the highest that was seen.
///
/// ```text
///   |----|----|----|--    every stretch at least `span` long, but for the last, which is still growing
///   |---------|-------    full: each pair becomes one, `span` doubles
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Least length of a stretch that is over.
    span: Duration,
    /// Ends of stretches: processor time until there, highest memory in it. The first has no stretch before it.
    ends: Vec<Sample>,
}

impl Default for Series {
    fn default() -> Self {
        Self { span: FINEST, ends: Vec::new() }
    }
}

impl Series {
    /// Takes a sample in; one that is not newer than the last is ignored.
    pub fn push(&mut self, sample: Sample) {
        let Some(last) = self.ends.last().copied() else {
            self.ends.push(sample);
            return;
        };
        if sample.at.boot <= last.at.boot {
            return;
        }
        // A counter that goes back says nothing new.
        let sample = Sample { cpu: sample.cpu.max(last.cpu), ..sample };
        let begin = self.ends.len().checked_sub(2).and_then(|before| self.ends.get(before));
        let is_growing = begin.is_some_and(|begin| between(begin.at, last.at) < self.span);
        if let (true, Some(last)) = (is_growing, self.ends.last_mut()) {
            *last = Sample { memory: sample.memory.max(last.memory), ..sample };
            return;
        }
        if self.ends.len() > MOST_POINTS {
            self.thin();
        }
        self.ends.push(sample);
    }

    /// The stretches, oldest first; at most [`MOST_POINTS`].
    pub fn points(&self) -> Vec<Point> {
        let stretches = self.ends.iter().zip(self.ends.iter().skip(1));
        let point = |(begin, end): (&Sample, &Sample)| Point {
            at: end.at,
            cpu_millis: share(end.cpu.saturating_sub(begin.cpu), between(begin.at, end.at)),
            memory: end.memory,
        };
        stretches.map(point).collect()
    }

    /// Makes one stretch of each two.
    fn thin(&mut self) {
        let mut ends = Vec::with_capacity(MOST_POINTS + 1);
        let mut rest = self.ends.iter();
        ends.extend(rest.next().copied());
        let rest = rest.as_slice();
        for pair in rest.chunks(2) {
            let memory = pair.iter().map(|end| end.memory).max().unwrap_or(0);
            ends.extend(pair.last().map(|end| Sample { memory, ..*end }));
        }
        self.ends = ends;
        self.span = self.span.saturating_mul(2);
    }
}

/// Whose turn it is to be told.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    /// Told last.
    after: Option<AttemptId>,
    /// What was told last of each attempt that still runs.
    told: BTreeMap<AttemptId, Now>,
}

impl Turns {
    /// The samples of the next heartbeat out of the newest of every attempt: at most [`MOST_AT_ONCE`], each attempt after all
    /// the others had their turn and [`FINEST`] after it was told last.
    pub fn next(&mut self, newest: &BTreeMap<AttemptId, Sample>) -> Vec<(AttemptId, Sample)> {
        self.told.retain(|attempt, _| newest.contains_key(attempt));
        let behind = newest.iter().filter(|(attempt, _)| Some(**attempt) > self.after);
        let before = newest.iter().filter(|(attempt, _)| Some(**attempt) <= self.after);
        let is_due = |(attempt, sample): &(&AttemptId, &Sample)| {
            self.told.get(attempt).is_none_or(|told| between(*told, sample.at) >= FINEST)
        };
        let turn: Vec<(AttemptId, Sample)> = behind
            .chain(before)
            .filter(is_due)
            .take(MOST_AT_ONCE)
            .map(|(attempt, sample)| (*attempt, *sample))
            .collect();
        self.after = turn.last().map(|(attempt, _)| *attempt).or(self.after);
        self.told.extend(turn.iter().map(|(attempt, sample)| (*attempt, sample.at)));
        turn
    }
}

/// From one time to a later one; nothing if it is not later.
fn between(from: Now, to: Now) -> Duration {
    to.boot.since(from.boot)
}

/// Thousandths of a core.
fn share(cpu: Duration, time: Duration) -> u64 {
    let millis = cpu.as_nanos().saturating_mul(1000).checked_div(time.as_nanos()).unwrap_or(0);
    u64::try_from(millis).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
