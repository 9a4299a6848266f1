//! Which line comes next when several sources give lines, each in its own order. Pure.

use std::collections::{BTreeMap, VecDeque};

use super::Shown;

/// Lines that wait for their turn, by job.
#[derive(Debug, Default)]
pub(super) struct Order {
    sources: BTreeMap<u64, Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Shown>,
    /// All that was there has come: what comes later is newer than what others have kept.
    is_live: bool,
}

impl Order {
    /// Waits for the first lines of a source, too.
    pub(super) fn add(&mut self, job: u64) {
        self.sources.entry(job).or_default();
    }

    /// Takes the next lines of a source.
    pub(super) fn give(&mut self, job: u64, lines: Vec<Shown>) {
        self.sources.entry(job).or_default().lines.extend(lines);
    }

    /// Nothing more comes of a source that has given all its lines.
    pub(super) fn end(&mut self, job: u64) {
        self.sources.remove(&job);
    }

    /// Waits no longer for sources that have nothing.
    pub(super) fn settle(&mut self) {
        self.sources
            .values_mut()
            .filter(|source| source.lines.is_empty())
            .for_each(|source| source.is_live = true);
    }

    /// The oldest line, unless a source that has none yet may have an older one.
    pub(super) fn next(&mut self) -> Option<Shown> {
        if self.is_waiting() {
            return None;
        }
        let oldest = |source: &&mut Waiting| source.lines.front().map(|line| line.time);
        let source =
            self.sources.values_mut().filter(|source| !source.lines.is_empty()).min_by_key(oldest)?;
        source.lines.pop_front()
    }

    /// Whether there is a source whose first lines have not come.
    pub(super) fn is_waiting(&self) -> bool {
        self.sources.values().any(|source| source.lines.is_empty() && !source.is_live)
    }

    /// Whether a source has no lines left.
    pub(super) fn is_dry(&self, job: u64) -> bool {
        self.sources.get(&job).is_none_or(|source| source.lines.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use dockmgr_core::log::Stream;
    use dockmgr_core::time::WallTime;

    use super::*;

    fn lines(job: u64, times: &[i64]) -> Vec<Shown> {
        let line = |time: &i64| Shown {
            job,
            task: 0,
            stream: Stream::Stdout,
            time: WallTime(*time),
            bytes: Vec::new(),
            marked: Vec::new(),
        };
        times.iter().map(line).collect()
    }

    fn given(order: &mut Order) -> Vec<(i64, u64)> {
        std::iter::from_fn(|| order.next()).map(|line| (line.time.0, line.job)).collect()
    }

    #[test]
    fn the_oldest_line_comes_first_once_every_source_has_one() {
        let mut order = Order::default();
        order.add(1);
        order.add(2);
        order.give(1, lines(1, &[1, 4]));
        assert_eq!(given(&mut order), []);
        order.give(2, lines(2, &[2, 3]));
        assert_eq!(given(&mut order), [(1, 1), (2, 2), (3, 2)]);
        assert!(order.is_dry(2) && !order.is_dry(1) && order.is_waiting());
        order.end(2);
        assert_eq!(given(&mut order), [(4, 1)]);
    }

    #[test]
    fn nobody_waits_for_a_source_that_is_live() {
        let mut order = Order::default();
        order.add(1);
        order.add(2);
        order.give(1, lines(1, &[5]));
        order.settle();
        assert_eq!(given(&mut order), [(5, 1)]);
        order.give(2, lines(2, &[4]));
        assert_eq!(given(&mut order), [], "the other one had lines when all settled");
        order.settle();
        assert_eq!(given(&mut order), [(4, 2)]);
        order.give(1, lines(1, &[6]));
        assert_eq!(given(&mut order), [(6, 1)]);
    }
}
