//! Cuts the records of an attempt into lines that know where and when they began.
//!
//! A line belongs to one stream and may span records; its time is that of the record with its first byte. One longer than
//! [`MAX_LINE`] is given out in pieces of that size, so that memory stays bounded; where they are cut depends on the line
//! alone, not on its records. Each piece has the time of its own first byte, so that who keeps output in parts can look at
//! one part without the others.

use memchr::memchr;

use crate::log::{Record, Stream};
use crate::time::WallTime;

/// Longest line that is looked at whole, in bytes; the same limit as for lines of mixed output.
pub const MAX_LINE: usize = 64 * 1024;

/// A line, or a piece of one that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// The stream it belongs to.
    pub stream: Stream,
    /// Its number in that stream, from 1, counted from where the splitter began.
    pub number: u64,
    /// Offset of its first byte in the stream.
    pub offset: u64,
    /// When its first byte was seen.
    pub time: WallTime,
    /// Its bytes without the newline.
    pub bytes: &'a [u8],
}

/// Cuts records into lines. Holds at most one unfinished line of each stream.
#[derive(Debug, Default)]
pub struct LineSplitter {
    stdout: Unfinished,
    stderr: Unfinished,
}

#[derive(Debug, Default)]
struct Unfinished {
    held: Vec<u8>,
    /// Whether a piece of the line was given out already.
    cut: bool,
    offset: u64,
    time: WallTime,
    /// Lines that were given out.
    lines: u64,
}

impl LineSplitter {
    /// Adds a record and shows each line that is whole now. Records of a stream must follow each other.
    pub fn push(&mut self, record: &Record, mut show: impl FnMut(Line<'_>)) {
        self.push_part(record.stream, record.offset, record.time, &record.bytes, &mut show);
    }

    /// Adds a part of a record.
    pub(super) fn push_part(
        &mut self,
        stream: Stream,
        offset: u64,
        time: WallTime,
        bytes: &[u8],
        show: &mut impl FnMut(Line<'_>),
    ) {
        self.of_mut(stream).push(stream, offset, time, bytes, show);
    }

    /// Whether a line of the stream has begun and not ended.
    pub(super) fn is_within_line(&self, stream: Stream) -> bool {
        let unfinished = self.of(stream);
        unfinished.cut || !unfinished.held.is_empty()
    }

    /// Lines of the stream that have ended.
    pub(super) fn ended(&self, stream: Stream) -> u64 {
        self.of(stream).lines
    }

    /// Takes note of whole lines of the stream that somebody else has looked at. None may be unfinished.
    pub(super) fn skip(&mut self, stream: Stream, lines: u64) {
        self.of_mut(stream).lines += lines;
    }

    /// Offset of the line of `stream` that is not whole yet; `None` if nothing is held back.
    pub fn unfinished_from(&self, stream: Stream) -> Option<u64> {
        let unfinished = match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        };
        (!unfinished.held.is_empty()).then_some(unfinished.offset)
    }

    /// Shows the last lines that have no newline.
    pub fn finish(mut self, mut show: impl FnMut(Line<'_>)) {
        for (stream, unfinished) in [(Stream::Stdout, &mut self.stdout), (Stream::Stderr, &mut self.stderr)] {
            if !unfinished.held.is_empty() {
                let held = std::mem::take(&mut unfinished.held);
                show(unfinished.line(stream, &held));
            }
        }
    }
}

impl LineSplitter {
    fn of(&self, stream: Stream) -> &Unfinished {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
    }

    fn of_mut(&mut self, stream: Stream) -> &mut Unfinished {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }
}

impl Unfinished {
    fn push(
        &mut self,
        stream: Stream,
        mut offset: u64,
        time: WallTime,
        bytes: &[u8],
        show: &mut impl FnMut(Line<'_>),
    ) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.held.is_empty() {
                (self.offset, self.time) = (offset, time);
            }
            let room = MAX_LINE - self.held.len();
            let within = &rest[..rest.len().min(room)];
            let (taken, ended) = match memchr(b'\n', within) {
                Some(at) => (at + 1, true),
                // A line of exactly the limit is whole if its newline is the next byte.
                None if rest.len() > room && rest[room] == b'\n' => (room + 1, true),
                None if rest.len() > room => (room, false),
                None => {
                    self.held.extend_from_slice(rest);
                    return;
                }
            };
            let part = &rest[..taken - usize::from(ended)];
            self.give(stream, part, ended, show);
            rest = &rest[taken..];
            offset += taken as u64;
        }
    }

    /// Shows what is held and `part` as one line, or as a piece of one that goes on.
    fn give(&mut self, stream: Stream, part: &[u8], ended: bool, show: &mut impl FnMut(Line<'_>)) {
        if self.held.is_empty() {
            show(self.line(stream, part));
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(part);
            show(self.line(stream, &held));
            held.clear();
            self.held = held;
        }
        self.cut = !ended;
        self.lines += u64::from(ended);
    }

    fn line<'a>(&self, stream: Stream, bytes: &'a [u8]) -> Line<'a> {
        Line { stream, number: self.lines + 1, offset: self.offset, time: self.time, bytes }
    }
}

#[cfg(test)]
mod tests;
