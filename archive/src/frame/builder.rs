//! A frame that is being filled.

use bytes::Bytes;
use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::frame::MAX_PAYLOAD;
use dockmgr_core::log::{End, Entry, Offsets, Stream};
use dockmgr_core::time::WallTime;
use memchr::{memchr_iter, memrchr};

use super::{Part, Piece};
use crate::section::{self, weight};
use crate::{LONGEST_LINE, Newlines, Section, fields, limits};

/// What a record counts for beside its bytes, and a section: about what they take.
const PIECE_WEIGHT: usize = 4;
const SECTION_WEIGHT: usize = 32;

/// Sections that are waiting to be written.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    parts: Vec<Growing>,
    weight: usize,
}

/// A section and its output so far.
#[derive(Debug)]
struct Growing {
    section: Section,
    pieces: Vec<Piece>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Builder {
    /// Begins a section; one in which nothing came is forgotten.
    pub(crate) fn begin(&mut self, attempt: AttemptId, from: Offsets) {
        self.parts.pop_if(|last| last.section.is_empty());
        self.parts.push(Growing::begin(attempt, from));
        self.weight += SECTION_WEIGHT;
    }

    /// Appends at most [`MAX_PAYLOAD`] bytes to the last section.
    pub(crate) fn add(&mut self, stream: Stream, time: WallTime, bytes: &[u8]) {
        if let Some(last) = self.parts.last_mut() {
            last.add(stream, time, bytes);
            self.weight += PIECE_WEIGHT + bytes.len();
        }
    }

    /// Ends the attempt of the last section.
    pub(crate) fn end(&mut self, end: End) {
        self.weight += weight(&end);
        if let Some(last) = self.parts.last_mut() {
            last.section.end = Some(end);
        }
    }

    /// Appends what another frame has of an attempt.
    pub(crate) fn append(&mut self, part: &Part) {
        let goes_on = self.parts.last().is_some_and(|last| {
            last.section.attempt == part.section.attempt
                && last.section.to == part.section.from
                && last.section.end.is_none()
        });
        if !goes_on {
            self.begin(part.section.attempt, part.section.from);
        }
        for entry in part.entries() {
            match entry {
                Entry::Data(record) => self.add(record.stream, record.time, &record.bytes),
                Entry::End(end) => self.end(end),
            }
        }
    }

    /// Whether a part can be appended without making the frame larger than others are.
    pub(crate) fn fits(&self, part: &Part) -> bool {
        let output = part.stdout.len() + part.stderr.len();
        let marks = part.section.end.as_ref().map_or(0, weight);
        let more = SECTION_WEIGHT + PIECE_WEIGHT * part.pieces.len() + output + marks;
        self.parts.is_empty() || self.weight + more <= limits::FRAME_TARGET
    }

    /// Whether it is to be written.
    pub(crate) fn is_full(&self) -> bool {
        self.weight >= limits::FRAME_TARGET
    }

    pub(crate) fn sections(&self) -> usize {
        self.parts.len()
    }

    /// Parts the last section's unfinished lines from the rest: the frame that goes on with them.
    pub(crate) fn split_unfinished(&mut self) -> Self {
        let mut later = Self::default();
        if let Some(last) = self.parts.last_mut().filter(|last| last.section.end.is_none()) {
            let unfinished = last.split_unfinished();
            let bytes = unfinished.stdout.len() + unfinished.stderr.len();
            later.weight = SECTION_WEIGHT + PIECE_WEIGHT * unfinished.pieces.len() + bytes;
            later.parts.push(unfinished);
        }
        later
    }

    /// The raw bytes of the frame; `None` if there is nothing to write.
    pub(crate) fn encode(&self) -> Option<Bytes> {
        let parts: Vec<_> = self.parts.iter().filter(|part| !part.section.is_empty()).collect();
        if parts.is_empty() {
            return None;
        }
        let mut out = Vec::with_capacity(self.weight);
        fields::put_len(&mut out, parts.len());
        let mut before = None;
        for part in &parts {
            let count = |bytes| memchr_iter(b'\n', bytes).count() as u64;
            let newlines = Newlines { stdout: count(&part.stdout), stderr: count(&part.stderr) };
            section::put(&mut out, &Section { newlines, ..part.section.clone() }, before);
            before = Some(part.section.attempt);
        }
        for part in &parts {
            fields::put_len(&mut out, part.pieces.len());
        }
        let pieces = || parts.iter().flat_map(|part| &part.pieces);
        for piece in pieces() {
            fields::put(&mut out, u64::from(piece.len) << 1 | u64::from(piece.stream == Stream::Stderr));
        }
        let mut before = 0;
        for piece in pieces() {
            let time = piece.time.0.cast_unsigned();
            fields::put_step(&mut out, before, time);
            before = time;
        }
        for part in &parts {
            out.extend_from_slice(&part.stdout);
            out.extend_from_slice(&part.stderr);
        }
        Some(out.into())
    }
}

impl Growing {
    fn begin(attempt: AttemptId, from: Offsets) -> Self {
        let section = Section::begin(attempt, from);
        Self { section, pieces: Vec::new(), stdout: Vec::new(), stderr: Vec::new() }
    }

    fn add(&mut self, stream: Stream, time: WallTime, bytes: &[u8]) {
        let len = u32::try_from(bytes.len()).expect("at most MAX_PAYLOAD, far below 4 GiB");
        self.bytes(stream).extend_from_slice(bytes);
        self.section.to.set(stream, self.section.to.of(stream) + u64::from(len));
        match self.pieces.last_mut() {
            // Lines of the same millisecond are one record: their bounds say nothing.
            Some(last)
                if last.stream == stream
                    && last.time == time
                    && last.len as usize + bytes.len() <= MAX_PAYLOAD =>
            {
                last.len += len;
            }
            Some(_) | None => self.pieces.push(Piece { stream, len, time }),
        }
    }

    fn bytes(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    /// Takes off what follows the last newline of each stream; of a line that is too long, what follows its last piece
    /// of [`LONGEST_LINE`].
    fn split_unfinished(&mut self) -> Self {
        let mut later = Self::begin(self.section.attempt, self.section.to);
        let mut missing = Offsets::default();
        for stream in Stream::ALL {
            let bytes = self.bytes(stream);
            let whole = memrchr(b'\n', bytes).map_or(0, |at| at + 1);
            // The rest is never empty: a newline alone would be a line of its own.
            let pieces = (bytes.len() - whole).saturating_sub(1) / LONGEST_LINE;
            let rest = bytes.split_off(whole + pieces * LONGEST_LINE);
            missing.set(stream, rest.len() as u64);
            *later.bytes(stream) = rest;
            let from = self.section.to.of(stream) - missing.of(stream);
            self.section.to.set(stream, from);
            later.section.from.set(stream, from);
        }
        for piece in self.pieces.iter_mut().rev() {
            let left = u32::try_from(missing.of(piece.stream)).expect("at most LONGEST_LINE");
            let moved = piece.len.min(left);
            if moved > 0 {
                later.pieces.push(Piece { len: moved, ..*piece });
                piece.len -= moved;
                missing.set(piece.stream, u64::from(left - moved));
            }
        }
        later.pieces.reverse();
        self.pieces.retain(|piece| piece.len > 0);
        later
    }
}
