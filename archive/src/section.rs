//! A stretch of one attempt's output inside a frame.
//!
//! ```text
//!   section  job, task, attempt | for stdout and for stderr: from, length, newlines | end
//!   end      0 not here | 1 complete | 2, length, the end as `core::log::frame` writes it
//! ```
//!
//! Job, task and attempt are steps from the section before: neighbours of an array take a byte each.

use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::frame::{Decoded, MAX_MARKS, decode, encode};
use dockmgr_core::log::{End, Entry, MAX_REASON, Mark, Offsets, Stream};

use crate::Corrupt;
use crate::fields::{self, Fields};

/// Longest end as written: 64 marks with reasons of 1 KiB.
const LONGEST_END: usize = 128 * 1024;

const NO_END: u64 = 0;
const COMPLETE: u64 = 1;
const MARKED: u64 = 2;

/// Which part of whose output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Whose output.
    pub attempt: AttemptId,
    /// Where the streams stand at its begin.
    pub from: Offsets,
    /// Where they stand behind it.
    pub to: Offsets,
    /// How many newlines are in it, so that lines behind a frame that is not read can be numbered.
    pub newlines: Newlines,
    /// The end of the attempt's output, if it is here.
    pub end: Option<End>,
}

/// A count for each stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Newlines {
    /// Of stdout.
    pub stdout: u64,
    /// Of stderr.
    pub stderr: u64,
}

impl Newlines {
    /// The count of one stream.
    pub fn of(self, stream: Stream) -> u64 {
        match stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        }
    }
}

impl Section {
    /// A section in which nothing is yet.
    pub(crate) fn begin(attempt: AttemptId, from: Offsets) -> Self {
        Self { attempt, from, to: from, newlines: Newlines::default(), end: None }
    }

    /// Bytes of output in it.
    pub fn output(&self) -> u64 {
        self.to.total().saturating_sub(self.from.total())
    }

    /// Whether there is neither output nor an end.
    pub(crate) fn is_empty(&self) -> bool {
        self.from == self.to && self.end.is_none()
    }
}

/// Appends a section that follows one of `before`.
pub(crate) fn put(out: &mut Vec<u8>, section: &Section, before: Option<AttemptId>) {
    let [job, task, number] = before.map_or([0; 3], numbers);
    let now = numbers(section.attempt);
    fields::put_step(out, job, now[0]);
    fields::put_step(out, task, now[1]);
    fields::put_step(out, number, now[2]);
    for stream in Stream::ALL {
        fields::put(out, section.from.of(stream));
        fields::put(out, section.to.of(stream) - section.from.of(stream));
        fields::put(out, section.newlines.of(stream));
    }
    match &section.end {
        None => fields::put(out, NO_END),
        Some(end) if end.is_complete() && end.offsets == section.to => fields::put(out, COMPLETE),
        Some(end) => {
            let mut bytes = Vec::new();
            encode(&Entry::End(end.clone()), &mut bytes);
            fields::put(out, MARKED);
            fields::put_len(out, bytes.len());
            out.extend_from_slice(&bytes);
        }
    }
}

/// Reads a section that follows one of `before`.
pub(crate) fn take(fields: &mut Fields<'_>, before: Option<AttemptId>) -> Result<Section, Corrupt> {
    let [job, task, number] = before.map_or([0; 3], numbers);
    let (job, task, number) = (fields.step(job)?, fields.step(task)?, fields.step(number)?);
    let short = |number: u64| u32::try_from(number).map_err(|_| Corrupt::Form);
    let attempt = AttemptId::from_parts(job, short(task)?, short(number)?).ok_or(Corrupt::Form)?;
    let mut section = Section::begin(attempt, Offsets::default());
    for stream in Stream::ALL {
        let (from, len, newlines) = (fields.number()?, fields.number()?, fields.number()?);
        section.from.set(stream, from);
        section.to.set(stream, from.checked_add(len).ok_or(Corrupt::Form)?);
        match stream {
            Stream::Stdout => section.newlines.stdout = newlines,
            Stream::Stderr => section.newlines.stderr = newlines,
        }
        if newlines > len {
            return Err(Corrupt::Form);
        }
    }
    section.end = match fields.number()? {
        NO_END => None,
        COMPLETE => Some(End::complete(section.to)),
        MARKED => {
            let len = fields.len(LONGEST_END)?;
            match decode(fields.bytes(len)?) {
                Ok(Decoded::Entry { entry: Entry::End(end), len: used }) if used == len => Some(end),
                Ok(Decoded::Entry { .. } | Decoded::Torn) | Err(_) => return Err(Corrupt::Form),
            }
        }
        _ => return Err(Corrupt::Form),
    };
    Ok(section)
}

/// About what an end takes in a frame and in the directory.
pub(crate) fn weight(end: &End) -> usize {
    let of = |mark: &Mark| match mark {
        Mark::Truncated { .. } => 24,
        Mark::Suspect { reason } | Mark::Gap { reason, .. } => 24 + reason.len().min(MAX_REASON),
    };
    let marks = end.marks.iter().take(MAX_MARKS);
    24 + marks.map(of).sum::<usize>()
}

fn numbers(attempt: AttemptId) -> [u64; 3] {
    [attempt.job().get(), attempt.task.index.0.into(), attempt.number.0.into()]
}
