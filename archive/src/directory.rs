//! The list of a segment's frames.
//!
//! ```text
//!   directory  count | for each frame: stored, raw, lines | 0, or 1 and its earliest time and the way to its latest
//!              | length and crc32 of its filter | count of sections | sections
//! ```

use std::collections::HashSet;

use dockmgr_core::log::Stream;
use dockmgr_core::time::WallTime;
use memchr::memchr_iter;

use crate::fields::{self, Fields};
use crate::prefix::PREFIX_LEN;
use crate::{Corrupt, Filter, Frame, Section, limits, section, token};

/// What the directory tells of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameEntry {
    /// Bytes of its body as stored.
    pub stored: u32,
    /// Bytes of its body decompressed: its output and its tables.
    pub raw: u32,
    /// Lines of all its runs; a part of a line counts as one.
    pub lines: u64,
    /// Earliest and latest time of its output; `None` if it has none.
    pub times: Option<(WallTime, WallTime)>,
    /// Whose output it holds, in order.
    pub sections: Vec<Section>,
    /// Where its prefix is in the segment.
    pub(crate) position: u64,
    /// Where its filter is among the filters.
    pub(crate) filter_position: u64,
    pub(crate) filter_len: u32,
    pub(crate) filter_crc: u32,
}

impl FrameEntry {
    /// Whether any of its output can be of a time from `since` on and before `until`.
    pub fn overlaps(&self, since: Option<WallTime>, until: Option<WallTime>) -> bool {
        self.times.is_some_and(|(first, last)| {
            since.is_none_or(|since| since <= last) && until.is_none_or(|until| first < until)
        })
    }

    /// Bytes of output in it.
    pub fn output(&self) -> u64 {
        self.sections.iter().map(Section::output).sum()
    }

    /// Where the frame ends.
    pub(crate) fn end(&self) -> u64 {
        self.position + PREFIX_LEN as u64 + u64::from(self.stored)
    }
}

/// The entries of frames that follow each other from `position` on.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) frames: Vec<FrameEntry>,
    /// Behind the last frame.
    pub(crate) position: u64,
    /// Bytes of all filters.
    pub(crate) filters: u64,
}

impl Directory {
    pub(crate) fn starting_at(position: u64) -> Self {
        Self { frames: Vec::new(), position, filters: 0 }
    }

    /// Adds the next frame and says what its filter is.
    pub(crate) fn add(&mut self, frame: &Frame, stored: u32, raw: u32) -> Filter {
        let mut lines = 0;
        let mut tokens = HashSet::default();
        for run in frame.runs() {
            lines += memchr_iter(b'\n', &run.bytes).count() + usize::from(run.bytes.last() != Some(&b'\n'));
            tokens.extend(token::all(&run.bytes));
        }
        let filter = Filter::of(&tokens, stored as usize);
        self.push(FrameEntry {
            stored,
            raw,
            lines: lines as u64,
            times: frame.times(),
            sections: frame.sections().cloned().collect(),
            position: 0,
            filter_position: 0,
            filter_len: u32::try_from(filter.as_bytes().len()).expect("at most limits::FILTER and one"),
            filter_crc: crc32fast::hash(filter.as_bytes()),
        });
        filter
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        fields::put_len(&mut out, self.frames.len());
        for entry in &self.frames {
            fields::put(&mut out, entry.stored.into());
            fields::put(&mut out, entry.raw.into());
            fields::put(&mut out, entry.lines);
            fields::put(&mut out, entry.times.is_some().into());
            if let Some((first, last)) = entry.times {
                fields::put_step(&mut out, 0, first.0.cast_unsigned());
                fields::put_step(&mut out, first.0.cast_unsigned(), last.0.cast_unsigned());
            }
            fields::put(&mut out, entry.filter_len.into());
            out.extend_from_slice(&entry.filter_crc.to_le_bytes());
            fields::put_len(&mut out, entry.sections.len());
            let mut before = None;
            for section in &entry.sections {
                section::put(&mut out, section, before);
                before = Some(section.attempt);
            }
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8], position: u64) -> Result<Self, Corrupt> {
        let mut fields = Fields(bytes);
        let mut directory = Self::starting_at(position);
        let mut sections = 0;
        for _ in 0..fields.len(limits::FRAMES)? {
            let entry = take_entry(&mut fields, limits::SECTIONS - sections)?;
            sections += entry.sections.len();
            directory.push(entry);
        }
        if fields.0.is_empty() { Ok(directory) } else { Err(Corrupt::Form) }
    }

    /// Adds an entry behind the others, wherever its frame was before.
    pub(crate) fn push(&mut self, mut entry: FrameEntry) {
        entry.position = self.position;
        entry.filter_position = self.filters;
        self.position = entry.end();
        self.filters += u64::from(entry.filter_len);
        self.frames.push(entry);
    }
}

/// Reads what is told of a frame, with as many sections as may still come.
fn take_entry(fields: &mut Fields<'_>, most: usize) -> Result<FrameEntry, Corrupt> {
    let within = |number: u32, most: usize| {
        if number as usize <= most { Ok(number) } else { Err(Corrupt::Length) }
    };
    let stored = within(fields.short()?, limits::FRAME_STORED)?;
    let raw = within(fields.short()?, limits::FRAME_RAW)?;
    let lines = fields.number()?;
    let times = match fields.number()? {
        0 => None,
        1 => {
            let first = fields.step(0)?;
            let last = fields.step(first)?;
            Some((WallTime(first.cast_signed()), WallTime(last.cast_signed())))
        }
        _ => return Err(Corrupt::Form),
    };
    let filter_len = within(fields.short()?, limits::FILTER + 1)?;
    let filter_crc = fields.fixed()?;
    let mut sections: Vec<Section> = Vec::new();
    for _ in 0..fields.len(most)? {
        let before = sections.last().map(|section| section.attempt);
        let section = section::take(fields, before)?;
        // What a frame holds is bounded, and so are the sums made of it.
        let len = |stream| section.to.of(stream) - section.from.of(stream);
        if Stream::ALL.into_iter().any(|stream| len(stream) > limits::FRAME_RAW as u64) {
            return Err(Corrupt::Length);
        }
        sections.push(section);
    }
    Ok(FrameEntry {
        stored,
        raw,
        lines,
        times,
        sections,
        position: 0,
        filter_position: 0,
        filter_len,
        filter_crc,
    })
}
