//! Output of one stream without a gap, as a scan looks at it: many lines at once, with the times of its records.

use std::ops::Range;

use memchr::{memchr, memrchr};

use crate::log::{Record, Stream};
use crate::time::WallTime;

/// Records of one stream that follow each other.
#[derive(Debug, Clone, Copy)]
pub struct Stretch<'a> {
    /// The stream.
    pub stream: Stream,
    /// Where in the stream it begins.
    pub offset: u64,
    /// What was written.
    pub bytes: &'a [u8],
    /// Where in the bytes each record begins, and its time; the first at 0.
    pub records: &'a [(usize, WallTime)],
}

/// Room in which records are joined.
#[derive(Debug, Default)]
pub(super) struct Joined {
    bytes: Vec<u8>,
    records: Vec<(usize, WallTime)>,
}

impl Joined {
    /// The records of a stream, joined; `None` if there are none.
    pub(super) fn fill(&mut self, stream: Stream, records: &[Record]) -> Option<Stretch<'_>> {
        self.bytes.clear();
        self.records.clear();
        let mut offset = None;
        for record in records.iter().filter(|record| record.stream == stream) {
            offset.get_or_insert(record.offset);
            self.records.push((self.bytes.len(), record.time));
            self.bytes.extend_from_slice(&record.bytes);
        }
        Some(Stretch { stream, offset: offset?, bytes: &self.bytes, records: &self.records })
    }
}

impl Stretch<'_> {
    /// The lines that begin and end in it.
    pub(super) fn whole_lines(&self, begins_within: bool) -> Range<usize> {
        let end = memrchr(b'\n', self.bytes).map_or(0, |at| at + 1);
        let start = if begins_within { memchr(b'\n', self.bytes).map_or(0, |at| at + 1) } else { 0 };
        start..end
    }

    /// When the byte at a place was seen. `record` is the one of an earlier place, and then that of this one: places that
    /// come in order and close together cost next to nothing.
    pub(super) fn time_at(&self, at: usize, record: &mut usize) -> WallTime {
        let mut step = 1;
        while self.records.get(*record + step).is_some_and(|(start, _)| *start <= at) {
            *record += step;
            step *= 2;
        }
        let nearby = self.records.get(*record..).unwrap_or_default();
        let nearby = &nearby[..step.min(nearby.len())];
        *record += nearby.partition_point(|(start, _)| *start <= at).saturating_sub(1);
        self.records.get(*record).map_or(WallTime(0), |(_, time)| *time)
    }

    /// The times of a part.
    pub(super) fn times_of(&self, part: Range<usize>) -> impl Iterator<Item = WallTime> {
        self.pieces(part).map(|(_, time)| time)
    }

    /// A part, record by record.
    pub(super) fn pieces(&self, part: Range<usize>) -> impl Iterator<Item = (Range<usize>, WallTime)> {
        let first = self.record_at(part.start);
        (first..self.records.len()).map_while(move |index| {
            let (start, time) = self.records[index];
            let end = self.records.get(index + 1).map_or(self.bytes.len(), |(next, _)| *next);
            let piece = start.max(part.start)..end.min(part.end);
            (piece.start < part.end).then_some((piece, time))
        })
    }

    /// The record that has the byte at a place.
    fn record_at(&self, at: usize) -> usize {
        self.records.partition_point(|(start, _)| *start <= at).saturating_sub(1)
    }
}
