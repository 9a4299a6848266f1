//! A frame decompressed: sections, when each piece of their output was seen, and the output itself.
//!
//! ```text
//!   raw      count of sections | sections | for each section: count of records
//!            | for each record: length and stream | for each record: time | for each section: stdout, stderr
//! ```
//!
//! Alike next to alike compresses best; and a stream without gaps is searched at memory speed.

mod builder;
mod run;

use bytes::Bytes;
use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::frame::MAX_PAYLOAD;
use dockmgr_core::log::{Entry, Offsets, Record, Stream};
use dockmgr_core::time::WallTime;

pub(crate) use builder::Builder;
pub use run::Run;

use crate::fields::Fields;
use crate::{Corrupt, Section, limits, section};

/// A checked frame in memory: its raw bytes, at most [`limits::FRAME_RAW`], and of the most hostile one six times as much
/// for its tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    parts: Vec<Part>,
}

/// One section with its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) section: Section,
    pieces: Vec<Piece>,
    stdout: Bytes,
    stderr: Bytes,
}

/// One record without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    stream: Stream,
    len: u32,
    time: WallTime,
}

impl Frame {
    /// The stretches of output, a section's stdout before its stderr, empty ones left out.
    pub fn runs(&self) -> impl Iterator<Item = Run> {
        let both = |part| Stream::ALL.into_iter().map(move |stream| Run::of(part, stream));
        self.parts.iter().enumerate().flat_map(both).filter(|run| !run.bytes.is_empty())
    }

    /// What was kept, in the order in which it was kept. Neighbouring records of a stream and a time are one, and no
    /// record is longer than those of a log file.
    pub fn entries(&self) -> impl Iterator<Item = (AttemptId, Entry)> {
        self.parts.iter().flat_map(|part| part.entries().map(|entry| (part.section.attempt, entry)))
    }

    /// What was kept of one attempt, in the order in which it was kept.
    pub fn entries_of(&self, attempt: AttemptId) -> impl Iterator<Item = Entry> {
        self.parts.iter().filter(move |part| part.section.attempt == attempt).flat_map(Part::entries)
    }

    /// The sections, in order.
    pub fn sections(&self) -> impl Iterator<Item = &Section> {
        self.parts.iter().map(|part| &part.section)
    }

    /// What it is made of, to be put into other frames.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Earliest and latest time of any output.
    pub(crate) fn times(&self) -> Option<(WallTime, WallTime)> {
        let times = || self.parts.iter().flat_map(|part| part.pieces.iter().map(|piece| piece.time));
        Some((times().min()?, times().max()?))
    }

    /// Reads the raw bytes of a frame.
    pub(crate) fn parse(raw: &Bytes) -> Result<Self, Corrupt> {
        let mut fields = Fields(raw);
        let mut sections: Vec<Section> = Vec::new();
        for _ in 0..fields.len(limits::SECTIONS)? {
            let before = sections.last().map(|section| section.attempt);
            sections.push(section::take(&mut fields, before)?);
        }
        let counts = sections.iter().map(|_| fields.len(raw.len())).collect::<Result<Vec<_>, _>>()?;
        let pieces = take_pieces(&mut fields, &counts)?;
        let mut output = raw.slice_ref(fields.0);
        let mut parts = Vec::with_capacity(sections.len());
        for (section, pieces) in sections.into_iter().zip(pieces) {
            let stdout = split(&mut output, &section, &pieces, Stream::Stdout)?;
            let stderr = split(&mut output, &section, &pieces, Stream::Stderr)?;
            parts.push(Part { section, pieces, stdout, stderr });
        }
        if output.is_empty() { Ok(Self { parts }) } else { Err(Corrupt::Form) }
    }
}

impl Part {
    fn bytes(&self, stream: Stream) -> &Bytes {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        let mut done = Offsets::default();
        let records = self.pieces.iter().map(move |piece| {
            let start = done.of(piece.stream);
            done.set(piece.stream, start + u64::from(piece.len));
            let from = usize::try_from(start).expect("a place in a buffer");
            let bytes = self.bytes(piece.stream).slice(from..from + piece.len as usize);
            let offset = self.section.from.of(piece.stream) + start;
            Entry::Data(Record { stream: piece.stream, offset, time: piece.time, bytes })
        });
        records.chain(self.section.end.clone().map(Entry::End))
    }
}

/// Reads the lengths and then the times of the records of all sections.
fn take_pieces(fields: &mut Fields<'_>, counts: &[usize]) -> Result<Vec<Vec<Piece>>, Corrupt> {
    let mut all = Vec::with_capacity(counts.len());
    for count in counts {
        // A byte of length, of time and of output at least are still to come for each record.
        if *count > fields.0.len() / 3 {
            return Err(Corrupt::Length);
        }
        let mut pieces = Vec::with_capacity(*count);
        for _ in 0..*count {
            let coded = fields.short()?;
            let stream = if coded & 1 == 0 { Stream::Stdout } else { Stream::Stderr };
            let len = coded >> 1;
            if len == 0 || len as usize > MAX_PAYLOAD {
                return Err(Corrupt::Length);
            }
            pieces.push(Piece { stream, len, time: WallTime(0) });
        }
        all.push(pieces);
    }
    let mut before = 0;
    for piece in all.iter_mut().flatten() {
        before = fields.step(before)?;
        piece.time = WallTime(before.cast_signed());
    }
    Ok(all)
}

/// Takes a section's part of a stream from the output that is left.
fn split(output: &mut Bytes, section: &Section, pieces: &[Piece], stream: Stream) -> Result<Bytes, Corrupt> {
    let lens = pieces.iter().filter(|piece| piece.stream == stream).map(|piece| u64::from(piece.len));
    let len = section.to.of(stream) - section.from.of(stream);
    if len != lens.sum::<u64>() {
        return Err(Corrupt::Form);
    }
    let len = usize::try_from(len).ok().filter(|len| *len <= output.len()).ok_or(Corrupt::Form)?;
    Ok(output.split_to(len))
}

#[cfg(test)]
mod tests;
