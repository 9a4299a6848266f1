//! Looks through the records of an attempt for lines that match, whole blocks at a time.
//!
//! ```text
//!   records of one stream -> stretch: | end of a line | whole lines, sifted at once | begin of a line |
//!                                       one by one      only those with a match       one by one
//! ```
//!
//! Invariant: what is shown is what [`Query::matches`] says of each line that [`LineSplitter`] cuts, no more and no less.

use std::ops::Range;
use std::sync::Arc;

use memchr::{memchr, memchr_iter};

use super::lines::{Line, LineSplitter, MAX_LINE};
use super::query::Query;
use super::sieve::Sieve;
use super::stretch::{Joined, Stretch};
use crate::log::{Record, Stream};
use crate::time::WallTime;

/// Whole lines that are sifted at a time, in bytes: so many that beginning costs nothing beside it, so few that they stay in
/// the processor's nearest memory until they are shown.
const BLOCK: usize = 64 * 1024;

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

/// A scan of one attempt. Holds at most one unfinished line of each stream, and the records that are looked at.
#[derive(Debug)]
pub struct Scan {
    stdout: Arc<Finder>,
    stderr: Arc<Finder>,
    times: Times,
    lines: LineSplitter,
    joined: Joined,
}

impl Scan {
    /// Begins a scan: what is asked of the lines of each stream, and of their times.
    pub fn new(stdout: Arc<Finder>, stderr: Arc<Finder>, times: Times) -> Self {
        Self { stdout, stderr, times, lines: LineSplitter::default(), joined: Joined::default() }
    }

    /// Takes note of whole lines of a stream that are left out before the next ones, so that these have their numbers.
    pub fn skip(&mut self, stream: Stream, lines: u64) {
        self.lines.skip(stream, lines);
    }

    /// Adds records and shows each line that is whole now and matches; of one stream in order. Records of a stream must
    /// follow each other.
    pub fn push(&mut self, records: &[Record], mut show: impl FnMut(Line<'_>)) {
        for stream in Stream::ALL {
            if self.finder(stream).is_never() {
                continue;
            }
            let mut joined = std::mem::take(&mut self.joined);
            if let Some(stretch) = joined.fill(stream, records) {
                self.push_stretch(&stretch, &mut show);
            }
            self.joined = joined;
        }
    }

    /// Adds a stretch and shows each line that is whole now and matches, in order. Stretches of a stream must follow each
    /// other.
    pub fn push_stretch(&mut self, stretch: &Stretch<'_>, mut show: impl FnMut(Line<'_>)) {
        let finder = Arc::clone(self.finder(stretch.stream));
        if !finder.is_never() {
            self.look(&finder, stretch, &mut show);
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

    fn look(&mut self, finder: &Finder, stretch: &Stretch<'_>, show: &mut impl FnMut(Line<'_>)) {
        let stream = stretch.stream;
        let whole = stretch.whole_lines(self.lines.is_within_line(stream));
        let Some(sieve) = finder.sieve.as_ref().filter(|_| has_short_lines(&stretch.bytes[whole.clone()]))
        else {
            return self.look_at_each(finder, stretch, 0..stretch.bytes.len(), show);
        };
        self.look_at_each(finder, stretch, 0..whole.start, show);
        let lines = if self.times.may_cover(stretch.times_of(whole.clone())) {
            self.sift(finder, sieve, (stretch, whole.clone()), show)
        } else {
            count_lines(&stretch.bytes[whole.clone()])
        };
        self.lines.skip(stream, lines);
        self.look_at_each(finder, stretch, whole.end..stretch.bytes.len(), show);
    }

    /// Looks at a part of a stretch line by line.
    fn look_at_each(
        &mut self,
        finder: &Finder,
        stretch: &Stretch<'_>,
        part: Range<usize>,
        show: &mut impl FnMut(Line<'_>),
    ) {
        let times = self.times;
        for (piece, time) in stretch.pieces(part) {
            let offset = stretch.offset + piece.start as u64;
            self.lines.push_part(stretch.stream, offset, time, &stretch.bytes[piece], &mut |line| {
                finder.judge(times, line, show);
            });
        }
    }

    /// Looks at those of the whole lines of a stretch that may match; how many lines there are.
    fn sift(
        &self,
        finder: &Finder,
        sieve: &Sieve,
        (stretch, whole): (&Stretch<'_>, Range<usize>),
        show: &mut impl FnMut(Line<'_>),
    ) -> u64 {
        let text = &stretch.bytes[..whole.end];
        let before = self.lines.ended(stretch.stream);
        let (mut from, mut lines, mut record) = (whole.start, 0, 0);
        let mut hits = Vec::new();
        while from < text.len() {
            let block = from..block_end(text, from);
            sieve.lines(&text[block.clone()], &mut hits);
            for hit in hits.drain(..).map(|hit| block.start + hit.start..block.start + hit.end) {
                lines += count_lines(&text[from..hit.start]) + 1;
                let line = Line {
                    stream: stretch.stream,
                    number: before + lines,
                    offset: stretch.offset + hit.start as u64,
                    time: stretch.time_at(hit.start, &mut record),
                    bytes: &text[hit.clone()],
                };
                from = hit.end + 1;
                if !sieve.is_exact {
                    finder.judge(self.times, line, show);
                } else if self.times.covers(line.time) {
                    show(line);
                }
            }
            lines += text.get(from..block.end).map_or(0, count_lines);
            from = block.end;
        }
        lines
    }
}

impl Finder {
    /// Makes a query ready for the lines of a stream.
    pub fn new(query: &Query, stream: Stream) -> Self {
        let query = query.of_stream(stream);
        Self { sieve: Sieve::of(&query.root), query }
    }

    /// Whether no line of the stream can match.
    pub fn is_never(&self) -> bool {
        self.query.is_never()
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

/// End of the block of whole lines that begins at `from`.
fn block_end(text: &[u8], from: usize) -> usize {
    let due = (from + BLOCK).min(text.len());
    memchr(b'\n', &text[due..]).map_or(text.len(), |newline| due + newline + 1)
}

fn count_lines(text: &[u8]) -> u64 {
    memchr_iter(b'\n', text).count() as u64
}

/// Whether surely no line is longer than what is looked at whole: such a line covers a stretch of half its length.
fn has_short_lines(text: &[u8]) -> bool {
    text.chunks(MAX_LINE / 2).all(|stretch| memchr(b'\n', stretch).is_some())
}
