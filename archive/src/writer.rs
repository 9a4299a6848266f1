//! Writing a segment.
//!
//! ```text
//!   Writer --attempt--> AttemptWriter --push ...--> (dropped) --attempt--> ... --finish--> Finished
//! ```

use std::collections::BTreeSet;
use std::io::Write;

use bytes::Bytes;
use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::frame::MAX_PAYLOAD;
use dockmgr_core::log::{Accept, Entry, Offsets, Progress, Record};
use zstd::bulk::{Compressor, compress};

use crate::directory::Directory;
use crate::footer::{Footer, MAGIC};
use crate::frame::Builder;
use crate::prefix::{FRAME_MAGIC, INDEX_MAGIC, Prefix};
use crate::{Corrupt, Error, Frame, FrameEntry, Part, limits, section};

/// zstd's own default: a level more costs twice the time for a twentieth of the bytes.
const LEVEL: i32 = 3;
/// What all ends may take of a directory; the most sections there may be take less than the other half.
pub(crate) const ENDS: usize = limits::DIRECTORY_RAW / 2;

/// A segment that is being written. After an error of kind [`Error::Io`] it is worth nothing.
pub struct Writer<W> {
    pub(crate) out: W,
    pub(crate) frame: Builder,
    pub(crate) directory: Directory,
    pub(crate) filters: Vec<u8>,
    pub(crate) begun: BTreeSet<AttemptId>,
    pub(crate) sections: usize,
    /// About what the ends take in the directory so far.
    pub(crate) ends: usize,
    pub(crate) output: u64,
    compressor: Compressor<'static>,
}

/// A segment that was written.
#[derive(Debug)]
pub struct Finished<W> {
    /// What it was written to; flushed, not synced.
    pub out: W,
    /// Its bytes.
    pub len: u64,
    /// What its directory says.
    pub frames: Vec<FrameEntry>,
}

impl<W: Write> Writer<W> {
    /// Begins a segment at the place where `out` is.
    pub fn new(mut out: W) -> Result<Self, Error> {
        out.write_all(&MAGIC).map_err(Error::io("write the begin"))?;
        Ok(Self {
            out,
            frame: Builder::default(),
            directory: Directory::starting_at(MAGIC.len() as u64),
            filters: Vec::new(),
            begun: BTreeSet::new(),
            sections: 0,
            ends: 0,
            output: 0,
            compressor: Compressor::new(LEVEL).map_err(Error::io("set up the compression"))?,
        })
    }

    /// Begins the output of `attempt`, of which everything before `from` is elsewhere. Each attempt once.
    pub fn attempt(&mut self, attempt: AttemptId, from: Offsets) -> Result<AttemptWriter<'_, W>, Error> {
        if self.is_full() {
            return Err(Error::Full);
        }
        if !self.begun.insert(attempt) {
            return Err(Error::Repeated(attempt));
        }
        if self.frame.is_full() {
            self.write_frame(Builder::default())?;
        }
        self.frame.begin(attempt, from);
        Ok(AttemptWriter { writer: self, attempt, progress: Progress::at(from) })
    }

    /// Whether it takes no further attempt: finish it and go on in another one.
    pub fn is_full(&self) -> bool {
        !self.has_room(2, 1)
    }

    /// Whether so many more sections and frames fit beside the frame in hand.
    pub(crate) fn has_room(&self, sections: usize, frames: usize) -> bool {
        self.directory.frames.len() + 1 + frames <= limits::FRAMES
            && self.sections + self.frame.sections() + sections <= limits::SECTIONS
            && self.ends <= ENDS
    }

    /// Bytes of output taken in so far.
    pub fn output(&self) -> u64 {
        self.output
    }

    /// Writes what is left, and the index.
    pub fn finish(mut self) -> Result<Finished<W>, Error> {
        self.write_frame(Builder::default())?;
        let directory = self.directory.encode();
        let stored = compress(&directory, LEVEL).map_err(Error::io("compress the directory"))?;
        let footer = Footer {
            index: self.directory.position,
            filters: len_of(&self.filters)?,
            stored: len_of(&stored)?,
            raw: len_of(&directory)?,
            crc: crc32fast::hash(&stored),
        };
        let prefix =
            Prefix { magic: INDEX_MAGIC, stored: footer.filters, raw: footer.stored, body_crc: 0 }.encode();
        let end = footer.encode();
        for part in [&prefix[..], &self.filters, &stored, &end] {
            self.out.write_all(part).map_err(Error::io("write the index"))?;
        }
        self.out.flush().map_err(Error::io("write the end"))?;
        let len = footer.directory_at() + stored.len() as u64 + end.len() as u64;
        Ok(Finished { out: self.out, len, frames: self.directory.frames })
    }

    /// Writes a frame as it is.
    pub(crate) fn copy(&mut self, prefix: Prefix, body: &[u8], frame: &Frame) -> Result<(), Error> {
        self.count_frame(frame.sections().count())?;
        self.out.write_all(&prefix.encode()).map_err(Error::io("write a frame"))?;
        self.out.write_all(body).map_err(Error::io("write a frame"))?;
        let filter = self.directory.add(frame, prefix.stored, prefix.raw);
        self.filters.extend_from_slice(filter.as_bytes());
        Ok(())
    }

    /// Counts a frame of so many sections, which must not be one too many for a reader.
    pub(crate) fn count_frame(&mut self, sections: usize) -> Result<(), Error> {
        self.sections += sections;
        let fits = self.directory.frames.len() < limits::FRAMES && self.sections <= limits::SECTIONS;
        if fits { Ok(()) } else { Err(Error::Full) }
    }

    /// Writes the frame in hand; `next` takes its place.
    pub(crate) fn write_frame(&mut self, next: Builder) -> Result<(), Error> {
        let frame = std::mem::replace(&mut self.frame, next);
        let Some(raw) = frame.encode() else { return Ok(()) };
        let number = self.directory.frames.len();
        let corrupt = Error::corrupt(Part::Frame(number));
        if raw.len() > limits::FRAME_RAW {
            return Err(corrupt(Corrupt::Length));
        }
        // Read back before it is written: what cannot be read must not replace what can.
        let parsed = Frame::parse(&raw).map_err(corrupt)?;
        let body = Bytes::from(self.compressor.compress(&raw).map_err(Error::io("compress a frame"))?);
        let prefix = Prefix {
            magic: FRAME_MAGIC,
            stored: len_of(&body)?,
            raw: len_of(&raw)?,
            body_crc: crc32fast::hash(&body),
        };
        self.copy(prefix, &body, &parsed)
    }
}

/// Takes one attempt's output; dropping it leaves the attempt as it is.
pub struct AttemptWriter<'w, W: Write> {
    writer: &'w mut Writer<W>,
    attempt: AttemptId,
    progress: Progress,
}

impl<W: Write> AttemptWriter<'_, W> {
    /// Appends what is new of `entry`; what was pushed already is skipped. After [`Error::Full`] the output goes on at
    /// [`AttemptWriter::progress`] in another segment.
    pub fn push(&mut self, entry: Entry) -> Result<(), Error> {
        let entry = match self.progress.accept(entry) {
            Accept::Append(entry) => entry,
            Accept::Duplicate => return Ok(()),
            Accept::Missing(at) => return Err(Error::Missing { attempt: self.attempt, at }),
            Accept::Conflict(source) => return Err(Error::Conflict { attempt: self.attempt, source }),
        };
        match entry {
            Entry::Data(mut record) => {
                while !record.bytes.is_empty() {
                    let later = record.bytes.split_off(record.bytes.len().min(MAX_PAYLOAD));
                    let offset = record.offset + record.bytes.len() as u64;
                    let next = Record { offset, bytes: later, ..record };
                    self.put(Entry::Data(record))?;
                    record = next;
                }
                Ok(())
            }
            Entry::End(_) => self.put(entry),
        }
    }

    /// What the segment has of the attempt, from where it began.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Appends what follows and is no longer than a record of a log file.
    fn put(&mut self, entry: Entry) -> Result<(), Error> {
        // It may be cut in two at an unfinished line.
        if !self.writer.has_room(1, 1) {
            return Err(Error::Full);
        }
        self.progress.advance(&entry);
        match entry {
            Entry::Data(record) => {
                self.writer.output += record.bytes.len() as u64;
                self.writer.frame.add(record.stream, record.time, &record.bytes);
            }
            Entry::End(end) => {
                self.writer.ends += section::weight(&end);
                self.writer.frame.end(end);
            }
        }
        if self.writer.frame.is_full() {
            let next = self.writer.frame.split_unfinished();
            self.writer.write_frame(next)?;
        }
        Ok(())
    }
}

fn len_of(bytes: &[u8]) -> Result<u32, Error> {
    u32::try_from(bytes.len()).map_err(|_| Error::Full)
}
