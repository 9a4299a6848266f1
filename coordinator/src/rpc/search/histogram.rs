//! Hits counted in equal spans of time, whose length grows until few enough are in use.

use std::collections::BTreeMap;

use dockmgr_core::time::WallTime;

/// Lengths of a span in milliseconds; each divides the next, so that counts can be joined: 1 ms to about 30 s, an hour, a
/// day, a week, and on to ten thousand years, which hold every time there is.
const WIDTHS: [i64; 22] = [
    1,
    10,
    100,
    1_000,
    5_000,
    15_000,
    60_000,
    300_000,
    900_000,
    3_600_000,
    10_800_000,
    21_600_000,
    43_200_000,
    86_400_000,
    604_800_000,
    2_419_200_000,
    9_676_800_000,
    29_030_400_000,
    290_304_000_000,
    2_903_040_000_000,
    29_030_400_000_000,
    290_304_000_000_000,
];

/// Counts over time.
#[derive(Debug)]
pub(super) struct Histogram {
    /// Most spans from the first to the last that has hits.
    most: usize,
    /// Index of the length in [`WIDTHS`].
    width: usize,
    /// Hits by number of the span, counted from 1970.
    counts: BTreeMap<i64, u64>,
}

impl Histogram {
    /// Counts in at most `most` spans.
    pub(super) fn new(most: usize) -> Self {
        Self { most, width: 0, counts: BTreeMap::new() }
    }

    /// Counts a hit.
    pub(super) fn add(&mut self, time: WallTime) {
        *self.counts.entry(time.0.div_euclid(WIDTHS[self.width])).or_default() += 1;
        while self.is_too_long() && self.width + 1 < WIDTHS.len() {
            let factor = WIDTHS[self.width + 1] / WIDTHS[self.width];
            self.width += 1;
            for (span, count) in std::mem::take(&mut self.counts) {
                *self.counts.entry(span.div_euclid(factor)).or_default() += count;
            }
        }
    }

    /// Length of a span in milliseconds.
    pub(super) fn width_millis(&self) -> i64 {
        WIDTHS[self.width]
    }

    /// Begin and hits of each span that has some, oldest first.
    pub(super) fn spans(&self) -> impl Iterator<Item = (WallTime, u64)> {
        let width = self.width_millis();
        self.counts.iter().map(move |(span, count)| (WallTime(span.saturating_mul(width)), *count))
    }

    fn is_too_long(&self) -> bool {
        let (first, last) = (self.counts.first_key_value(), self.counts.last_key_value());
        let (Some((first, _)), Some((last, _))) = (first, last) else { return false };
        usize::try_from(last.saturating_sub(*first)).map_or(true, |spans| spans >= self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_length_divides_the_next() {
        assert!(WIDTHS.windows(2).all(|pair| pair[1] > pair[0] && pair[1] % pair[0] == 0));
    }

    #[test]
    fn hits_are_counted_where_they_are_in_spans_that_grow() {
        let mut histogram = Histogram::new(4);
        for time in [1_700, 1_200, 4_999, -1] {
            histogram.add(WallTime(time));
        }
        assert_eq!(histogram.width_millis(), 5_000);
        assert_eq!(histogram.spans().collect::<Vec<_>>(), [(WallTime(-5_000), 1), (WallTime(0), 3)]);
        for extreme in [i64::MIN, i64::MAX, 0] {
            histogram.add(WallTime(extreme));
        }
        assert_eq!(histogram.spans().map(|(_, hits)| hits).sum::<u64>(), 7);
    }
}
