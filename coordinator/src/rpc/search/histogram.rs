//! Hits counted in equal spans of time, whose length grows until few enough are in use.

use std::collections::BTreeMap;

use dockmgr_core::search::{Line, severity};
use dockmgr_core::time::WallTime;
use dockmgr_proto::convert;
use dockmgr_proto::v1;

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

/// Kinds of hits at most: six severities and none.
const KINDS: usize = 7;

/// By what the hits of a span are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    Not,
    ByLevel,
    ByStream,
}

/// Hits of one span by kind; a kind is the number that its severity or stream has in the API.
pub(super) type Counts = [u64; KINDS];

/// Counts over time.
#[derive(Debug)]
pub(super) struct Histogram {
    /// Most spans from the first to the last that has hits.
    most: usize,
    /// Index of the length in [`WIDTHS`].
    width: usize,
    /// Hits by number of the span, counted from 1970.
    counts: BTreeMap<i64, Counts>,
    split: Split,
}

impl Histogram {
    /// Counts in at most `most` spans.
    pub(super) fn new(most: usize, split: Split) -> Self {
        Self { most, width: 0, counts: BTreeMap::new(), split }
    }

    /// Counts a hit.
    pub(super) fn add(&mut self, line: Line<'_>) {
        let span = line.time.0.div_euclid(WIDTHS[self.width]);
        self.counts.entry(span).or_default()[self.split.kind(line)] += 1;
        self.shorten();
    }

    /// Adds the counts of another and leaves it empty.
    pub(super) fn merge(&mut self, other: &mut Self) {
        while self.width < other.width {
            self.widen();
        }
        let factor = WIDTHS[self.width] / WIDTHS[other.width];
        self.join(std::mem::take(&mut other.counts), factor);
        self.shorten();
    }

    /// Widens the spans until few enough are in use.
    fn shorten(&mut self) {
        while self.is_too_long() && self.width + 1 < WIDTHS.len() {
            self.widen();
        }
    }

    fn widen(&mut self) {
        let factor = WIDTHS[self.width + 1] / WIDTHS[self.width];
        self.width += 1;
        let counts = std::mem::take(&mut self.counts);
        self.join(counts, factor);
    }

    /// Adds counts of spans of which `factor` make one of these.
    fn join(&mut self, counts: BTreeMap<i64, Counts>, factor: i64) {
        for (span, counts) in counts {
            let joined = self.counts.entry(span.div_euclid(factor)).or_default();
            joined.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
    }

    /// Length of a span in milliseconds.
    pub(super) fn width_millis(&self) -> i64 {
        WIDTHS[self.width]
    }

    /// Each span that has hits, oldest first.
    pub(super) fn spans(&self) -> impl Iterator<Item = v1::SearchBucket> {
        let width = self.width_millis();
        self.counts.iter().map(move |(span, counts)| v1::SearchBucket {
            start_time: Some(convert::time::wall_to_wire(WallTime(span.saturating_mul(width)))),
            hits: counts.iter().sum(),
            parts: self.split.parts(counts),
        })
    }

    fn is_too_long(&self) -> bool {
        let (first, last) = (self.counts.first_key_value(), self.counts.last_key_value());
        let (Some((first, _)), Some((last, _))) = (first, last) else { return false };
        usize::try_from(last.saturating_sub(*first)).map_or(true, |spans| spans >= self.most)
    }
}

impl Split {
    fn kind(self, line: Line<'_>) -> usize {
        let number = match self {
            Self::Not => 0,
            Self::ByLevel => convert::log::severity_to_wire(severity(line.bytes)) as i32,
            Self::ByStream => convert::log::stream_to_wire(line.stream) as i32,
        };
        usize::try_from(number).unwrap_or(0).min(KINDS - 1)
    }

    fn parts(self, counts: &Counts) -> Vec<v1::SearchPart> {
        let kinds = (0..).zip(counts).filter(|(_, hits)| **hits > 0);
        let part = |(kind, hits): (i32, &u64)| match self {
            Self::Not => None,
            Self::ByLevel => Some(v1::SearchPart { severity: kind, hits: *hits, ..Default::default() }),
            Self::ByStream => Some(v1::SearchPart { stream: kind, hits: *hits, ..Default::default() }),
        };
        kinds.filter_map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use dockmgr_core::log::Stream;

    use super::*;

    fn line(time: i64, stream: Stream, bytes: &[u8]) -> Line<'_> {
        Line { stream, number: 1, offset: 0, time: WallTime(time), bytes }
    }

    fn spans(histogram: &Histogram) -> Vec<(i64, u64)> {
        let start = |bucket: &v1::SearchBucket| bucket.start_time.map_or(0, |time| time.seconds);
        histogram.spans().map(|bucket| (start(&bucket), bucket.hits)).collect()
    }

    #[test]
    fn hits_of_a_span_are_told_apart_by_level_or_stream() {
        let lines = [
            line(1, Stream::Stdout, b"ERROR: no"),
            line(1, Stream::Stderr, b"level=error"),
            line(1, Stream::Stderr, b"who knows"),
        ];
        let parts = |split| {
            let mut histogram = Histogram::new(4, split);
            for line in lines {
                histogram.add(line);
            }
            let parts = histogram.spans().flat_map(|bucket| bucket.parts);
            parts.map(|part| (part.severity, part.stream, part.hits)).collect::<Vec<_>>()
        };
        assert_eq!(parts(Split::Not), []);
        assert_eq!(parts(Split::ByLevel), [(0, 0, 1), (v1::LogSeverity::Error as i32, 0, 2)]);
        assert_eq!(parts(Split::ByStream), [(0, 1, 1), (0, 2, 2)]);
    }

    #[test]
    fn each_length_divides_the_next() {
        assert!(WIDTHS.windows(2).all(|pair| pair[1] > pair[0] && pair[1] % pair[0] == 0));
    }

    #[test]
    fn hits_are_counted_where_they_are_in_spans_that_grow() {
        let mut histogram = Histogram::new(4, Split::ByStream);
        for time in [1_700, 1_200, 4_999, -1] {
            histogram.add(line(time, Stream::Stdout, b""));
        }
        assert_eq!(histogram.width_millis(), 5_000);
        assert_eq!(spans(&histogram), [(-5, 1), (0, 3)]);
        let mut other = Histogram::new(4, Split::ByStream);
        other.add(line(7_001, Stream::Stdout, b""));
        histogram.merge(&mut other);
        assert_eq!(spans(&histogram), [(-5, 1), (0, 3), (5, 1)]);
        other.merge(&mut histogram);
        assert_eq!((spans(&histogram), spans(&other)), (vec![], vec![(-5, 1), (0, 3), (5, 1)]));
        for extreme in [i64::MIN, i64::MAX, 0] {
            histogram.add(line(extreme, Stream::Stdout, b""));
        }
        assert_eq!(spans(&histogram).into_iter().map(|(_, hits)| hits).sum::<u64>(), 3);
    }
}
