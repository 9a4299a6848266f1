//! The journal file: opening, replaying, appending, rewriting. All calls block.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use dockmgr_core::ids::AttemptId;

use super::{Durability, Entry, Error, Record, codec};
use crate::data_dir::sync_folder_of;

/// First bytes of the file: name and version of the format.
const MAGIC: &[u8; 8] = b"DMJRNL01";
/// Bytes before each payload: length and checksum.
const FRAME_HEAD: usize = 8;
/// Longest payload: a spec has at most 512 KiB, base64 makes it a third longer.
const MAX_PAYLOAD: usize = 2 * 1024 * 1024;
/// Below this size a rewrite saves nothing worth its flush.
const REWRITE_FROM: u64 = 1024 * 1024;
/// The file is rewritten when it is this many times what its live entries need.
const REWRITE_RATIO: u64 = 4;

/// An open journal.
#[derive(Debug)]
pub struct JournalFile {
    path: PathBuf,
    file: File,
    length: u64,
    /// Size right after the last rewrite.
    rewritten: u64,
    entries: BTreeMap<AttemptId, Entry>,
}

impl JournalFile {
    /// Opens or makes the journal and replays it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(Error::Io { what: "read", path: path.to_owned(), source }),
        };
        let mut entries = BTreeMap::new();
        let length = replay(path, &bytes, &mut entries)?;
        let mut journal =
            Self { path: path.to_owned(), file: open_for_append(path)?, length, rewritten: length, entries };
        journal.cut(length)?;
        if length == 0 {
            journal.file.write_all(MAGIC).map_err(journal.failed("write"))?;
            journal.length = MAGIC.len() as u64;
            journal.sync()?;
            sync_folder_of(path).map_err(journal.failed("sync the folder of"))?;
        }
        Ok(journal)
    }

    /// Every attempt that is not forgotten.
    pub fn entries(&self) -> &BTreeMap<AttemptId, Entry> {
        &self.entries
    }

    /// Writes records in order with one flush if any of them asks for it.
    ///
    /// After an error the journal must not be used any more: what is on disk is no longer known.
    pub fn append(&mut self, records: Vec<Record>) -> Result<(), Error> {
        let mut bytes = Vec::new();
        let mut durability = Durability::Process;
        for record in records {
            durability = durability.max(record.change.durability());
            bytes.extend(frame(&record));
            follow(&mut self.entries, record);
        }
        self.file.write_all(&bytes).map_err(self.failed("write"))?;
        self.length += bytes.len() as u64;
        if durability == Durability::Disk {
            self.sync()?;
        }
        if self.length > REWRITE_FROM && self.length > self.rewritten.saturating_mul(REWRITE_RATIO) {
            self.rewrite()?;
        }
        Ok(())
    }

    /// Replaces the file by one that holds only what is live.
    fn rewrite(&mut self) -> Result<(), Error> {
        let mut bytes = MAGIC.to_vec();
        for (attempt, entry) in &self.entries {
            for change in entry.changes() {
                bytes.extend(frame(&Record { attempt: *attempt, change }));
            }
        }
        crate::data_dir::replace_file(&self.path, &bytes).map_err(self.failed("rewrite"))?;
        self.file = open_for_append(&self.path)?;
        self.length = bytes.len() as u64;
        self.rewritten = self.length;
        self.file.seek(SeekFrom::End(0)).map_err(self.failed("rewrite"))?;
        Ok(())
    }

    fn cut(&mut self, length: u64) -> Result<(), Error> {
        self.file.set_len(length).map_err(self.failed("cut"))?;
        self.file.seek(SeekFrom::Start(length)).map_err(self.failed("cut"))?;
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(self.failed("flush"))
    }

    fn failed(&self, what: &'static str) -> impl FnOnce(std::io::Error) -> Error + use<> {
        let path = self.path.clone();
        move |source| Error::Io { what, path, source }
    }
}

fn open_for_append(path: &Path) -> Result<File, Error> {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    opened.map_err(|source| Error::Io { what: "open", path: path.to_owned(), source })
}

fn frame(record: &Record) -> Vec<u8> {
    let payload = codec::encode(record);
    let mut frame = Vec::with_capacity(FRAME_HEAD + payload.len());
    let length = u32::try_from(payload.len()).expect("specs are bounded far below 4 GiB");
    frame.extend(length.to_le_bytes());
    frame.extend(crc32fast::hash(&payload).to_le_bytes());
    frame.extend(payload);
    frame
}

/// Reads all frames; gives the length of the sound part.
fn replay(path: &Path, bytes: &[u8], entries: &mut BTreeMap<AttemptId, Entry>) -> Result<u64, Error> {
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        // A crash inside the very first write leaves a beginning of the magic.
        return if MAGIC.starts_with(bytes) { Ok(0) } else { Err(Error::NotAJournal(path.to_owned())) };
    };
    loop {
        let offset = (bytes.len() - rest.len()) as u64;
        let corrupt = |problem: String| Error::Corrupt { path: path.to_owned(), offset, problem };
        match next_frame(rest) {
            Frame::Whole { payload, after } => {
                follow(entries, codec::decode(payload).map_err(|problem| corrupt(problem.to_string()))?);
                rest = after;
            }
            Frame::Torn => return Ok(offset),
            Frame::Broken(problem) => return Err(corrupt(problem.to_owned())),
        }
    }
}

/// What stands at the beginning of some bytes.
enum Frame<'a> {
    Whole {
        payload: &'a [u8],
        after: &'a [u8],
    },
    /// The end of the file, whole or in the middle of a frame.
    Torn,
    Broken(&'static str),
}

fn next_frame(bytes: &[u8]) -> Frame<'_> {
    // A loss of power may leave a tail of zeros where the file had grown before its content arrived.
    if bytes.len() < FRAME_HEAD || bytes.iter().all(|byte| *byte == 0) {
        return Frame::Torn;
    }
    let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let length = usize::try_from(number(0)).unwrap_or(usize::MAX);
    if length > MAX_PAYLOAD {
        return Frame::Broken("a record is longer than any can be");
    }
    let Some(payload) = bytes.get(FRAME_HEAD..FRAME_HEAD + length) else {
        // Behind a tail that a crash cut off there is nothing.
        let damaged = (1..bytes.len()).any(|at| holds_record(&bytes[at..]));
        return if damaged { Frame::Broken("a length is damaged: records follow it") } else { Frame::Torn };
    };
    let after = &bytes[FRAME_HEAD + length..];
    if crc32fast::hash(payload) == number(4) {
        return Frame::Whole { payload, after };
    }
    if after.is_empty() { Frame::Torn } else { Frame::Broken("a checksum does not match") }
}

/// Whether a whole record stands at the beginning of some bytes.
fn holds_record(bytes: &[u8]) -> bool {
    let Some((head, rest)) = bytes.split_first_chunk::<FRAME_HEAD>() else { return false };
    let [l0, l1, l2, l3, c0, c1, c2, c3] = *head;
    let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    let payload = if length == 0 { None } else { rest.get(..length) };
    payload.is_some_and(|payload| crc32fast::hash(payload) == u32::from_le_bytes([c0, c1, c2, c3]))
}

/// Applies one record to the entries. A record of an attempt that is not there has lost its meaning and is passed over.
fn follow(entries: &mut BTreeMap<AttemptId, Entry>, record: Record) {
    match (entries.get_mut(&record.attempt), record.change) {
        (None, super::Change::Intent(start)) => {
            entries.insert(record.attempt, Entry::new(start));
        }
        (None, _) => {}
        (Some(entry), change) => {
            if !entry.apply(change) {
                entries.remove(&record.attempt);
            }
        }
    }
}

#[cfg(test)]
mod tests;
