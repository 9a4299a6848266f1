//! Looks through the records of an attempt for lines that match, whole blocks at a time.
//!
//! ```text
//!   records of one stream -> block: | end of a line | whole lines, sifted at once | begin of a line |
//!                                     one by one      only those with a match       one by one
//! ```
//!
//! Invariant: what is shown is what [`Query::matches`] says of each line that [`LineSplitter`] cuts, no more and no less.

use std::ops::Range;
use std::sync::Arc;

use memchr::{memchr, memchr_iter, memrchr};

use super::lines::{Line, LineSplitter, MAX_LINE};
use super::query::Query;
use super::sieve::Sieve;
use crate::log::{Record, Stream};
use crate::time::WallTime;

/// A query made ready for the lines of one stream. Making it costs as much as looking through some hundred KiB.
#[derive(Debug)]
pub struct Finder {
    query: Query,
    sieve: Option<Sieve>,
}

/// Which lines are asked for by the time at which they begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// From this time on.
    pub since: Option<WallTime>,
    /// Before this time.
    pub until: Option<WallTime>,
}

/// A scan of one attempt. Holds at most one unfinished line of each stream, and a block.
#[derive(Debug)]
pub struct Scan {
    stdout: Arc<Finder>,
    stderr: Arc<Finder>,
    times: Times,
    lines: LineSplitter,
    block: Block,
}

/// Records of one stream that follow each other, joined.
#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    /// Where in the stream it begins.
    offset: u64,
    /// Where in the block each record begins, and its time.
    records: Vec<(usize, WallTime)>,
}

impl Scan {
    /// Begins a scan: what is asked of the lines of each stream, and of their times.
    pub fn new(stdout: Arc<Finder>, stderr: Arc<Finder>, times: Times) -> Self {
        Self { stdout, stderr, times, lines: LineSplitter::default(), block: Block::default() }
    }

    /// Adds records and shows each line that is whole now and matches; of one stream in order. Records of a stream must
    /// follow each other.
    pub fn push(&mut self, records: &[Record], mut show: impl FnMut(Line<'_>)) {
        for stream in Stream::ALL {
            let finder = Arc::clone(self.finder(stream));
            if finder.query.is_never() || !self.block.fill(stream, records) {
                continue;
            }
            let block = std::mem::take(&mut self.block);
            self.look(stream, &finder, &block, &mut show);
            self.block = block;
        }
    }

    /// Shows the last lines that have no newline, if they match.
    pub fn finish(self, mut show: impl FnMut(Line<'_>)) {
        let Self { stdout, stderr, times, lines, .. } = self;
        lines.finish(|line| {
            let finder = match line.stream {
                Stream::Stdout => &stdout,
                Stream::Stderr => &stderr,
            };
            finder.judge(times, line, &mut show);
        });
    }

    fn finder(&self, stream: Stream) -> &Arc<Finder> {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
    }

    fn look(&mut self, stream: Stream, finder: &Finder, block: &Block, show: &mut impl FnMut(Line<'_>)) {
        let whole = block.whole_lines(self.lines.is_within_line(stream));
        let Some(sieve) = finder.sieve.as_ref().filter(|_| has_short_lines(&block.bytes[whole.clone()]))
        else {
            return self.look_at_each(stream, finder, block, 0..block.bytes.len(), show);
        };
        self.look_at_each(stream, finder, block, 0..whole.start, show);
        let lines = if self.times.may_cover(block.times(whole.clone())) {
            self.sift(stream, finder, sieve, (block, whole.clone()), show)
        } else {
            count_lines(&block.bytes[whole.clone()])
        };
        self.lines.skip(stream, lines);
        self.look_at_each(stream, finder, block, whole.end..block.bytes.len(), show);
    }

    /// Looks at a part of a block line by line.
    fn look_at_each(
        &mut self,
        stream: Stream,
        finder: &Finder,
        block: &Block,
        part: Range<usize>,
        show: &mut impl FnMut(Line<'_>),
    ) {
        let times = self.times;
        for (piece, time) in block.pieces(part) {
            let offset = block.offset + piece.start as u64;
            self.lines.push_part(stream, offset, time, &block.bytes[piece], &mut |line| {
                finder.judge(times, line, show);
            });
        }
    }

    /// Looks at those of the whole lines of a block that may match; how many lines there are.
    fn sift(
        &self,
        stream: Stream,
        finder: &Finder,
        sieve: &Sieve,
        (block, whole): (&Block, Range<usize>),
        show: &mut impl FnMut(Line<'_>),
    ) -> u64 {
        let text = &block.bytes[..whole.end];
        let before = self.lines.ended(stream);
        let (mut from, mut lines) = (whole.start, 0);
        while from < text.len() {
            let Some(at) = sieve.find(text, from).filter(|at| *at < text.len()) else { break };
            let start = memrchr(b'\n', &text[from..at]).map_or(from, |newline| from + newline + 1);
            let end = memchr(b'\n', &text[at..]).map_or(text.len(), |newline| at + newline);
            lines += count_lines(&text[from..start]) + 1;
            let line = Line {
                stream,
                number: before + lines,
                offset: block.offset + start as u64,
                time: block.time_at(start),
                bytes: &text[start..end],
            };
            if sieve.is_exact {
                if self.times.covers(line.time) {
                    show(line);
                }
            } else {
                finder.judge(self.times, line, show);
            }
            from = end + 1;
        }
        lines + text.get(from..).map_or(0, count_lines)
    }
}

impl Finder {
    /// Makes a query ready for the lines of a stream.
    pub fn new(query: &Query, stream: Stream) -> Self {
        let query = query.of_stream(stream);
        Self { sieve: Sieve::of(&query.root), query }
    }

    fn judge(&self, times: Times, line: Line<'_>, show: &mut impl FnMut(Line<'_>)) {
        if times.covers(line.time) && self.query.matches(line.stream, line.bytes) {
            show(line);
        }
    }
}

impl Times {
    /// Whether a line that begins at this time is asked for.
    pub fn covers(self, time: WallTime) -> bool {
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time < until)
    }

    /// Whether one of these times may be asked for.
    fn may_cover(self, times: impl Iterator<Item = WallTime>) -> bool {
        self == Self::default() || { times }.any(|time| self.covers(time))
    }
}

impl Block {
    /// Joins the records of a stream; false if there are none.
    fn fill(&mut self, stream: Stream, records: &[Record]) -> bool {
        self.bytes.clear();
        self.records.clear();
        for record in records.iter().filter(|record| record.stream == stream) {
            if self.records.is_empty() {
                self.offset = record.offset;
            }
            self.records.push((self.bytes.len(), record.time));
            self.bytes.extend_from_slice(&record.bytes);
        }
        !self.bytes.is_empty()
    }

    /// The lines that begin and end in the block.
    fn whole_lines(&self, begins_within: bool) -> Range<usize> {
        let end = memrchr(b'\n', &self.bytes).map_or(0, |at| at + 1);
        let start = if begins_within { memchr(b'\n', &self.bytes).map_or(0, |at| at + 1) } else { 0 };
        start..end
    }

    /// The record that has the byte at a place.
    fn record_at(&self, at: usize) -> usize {
        self.records.partition_point(|(start, _)| *start <= at).saturating_sub(1)
    }

    fn time_at(&self, at: usize) -> WallTime {
        self.records.get(self.record_at(at)).map_or(WallTime(0), |(_, time)| *time)
    }

    /// The times of a part.
    fn times(&self, part: Range<usize>) -> impl Iterator<Item = WallTime> {
        self.pieces(part).map(|(_, time)| time)
    }

    /// A part, record by record.
    fn pieces(&self, part: Range<usize>) -> impl Iterator<Item = (Range<usize>, WallTime)> {
        let first = self.record_at(part.start);
        (first..self.records.len()).map_while(move |index| {
            let (start, time) = self.records[index];
            let end = self.records.get(index + 1).map_or(self.bytes.len(), |(next, _)| *next);
            let piece = start.max(part.start)..end.min(part.end);
            (piece.start < part.end).then_some((piece, time))
        })
    }
}

fn count_lines(text: &[u8]) -> u64 {
    memchr_iter(b'\n', text).count() as u64
}

/// Whether surely no line is longer than what is looked at whole: such a line covers a stretch of half its length.
fn has_short_lines(text: &[u8]) -> bool {
    text.chunks(MAX_LINE / 2).all(|stretch| memchr(b'\n', stretch).is_some())
}
