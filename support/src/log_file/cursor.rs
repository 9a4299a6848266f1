//! A reader's place in a log file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use dockmgr_core::log::frame::Corrupt;
use dockmgr_core::log::{Accept, Checkpoints, Entry, Offsets, Progress, Scanner};

use super::Error;

/// Reads entries from wanted offsets on. Fetching bytes (blocking) and decoding them are apart, so that an async reader
/// can drop the fetch without losing its place.
#[derive(Debug)]
pub struct Cursor {
    scanner: Scanner,
    /// What the reader has.
    progress: Progress,
}

impl Cursor {
    /// A cursor that gives everything at and behind `from`. `u64::MAX` for a stream means nothing of it is wanted.
    pub fn new(checkpoints: &Checkpoints, from: Offsets) -> Self {
        let start = checkpoints.before(from);
        Self { scanner: Scanner::from_boundary(start.position), progress: Progress::at(from) }
    }

    /// Fetches up to `most` bytes that follow what was fed so far, of the first `len` bytes of the file.
    pub fn fetch(&self, file: &File, len: u64, most: usize) -> io::Result<Vec<u8>> {
        fetch(file, self.fed_to(), len, most)
    }

    /// Where in the file the next fed byte belongs.
    pub fn fed_to(&self) -> u64 {
        self.scanner.fed_to()
    }

    /// Takes fetched bytes and gives the wanted entries that are whole now; a record may be only the later part of one.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Entry>, Error> {
        self.scanner.push(bytes);
        let mut entries = Vec::new();
        loop {
            let position = self.scanner.position();
            let corrupt = |source| Error::Corrupt { position, source };
            let Some(entry) = self.scanner.next_entry().map_err(corrupt)? else {
                return Ok(entries);
            };
            if let Entry::End(end) = &entry {
                // A reader of one stream, or with a token from beyond the end, hears of the end all the same.
                self.progress.end = Some(end.clone());
                entries.push(entry);
                continue;
            }
            match self.progress.accept(entry) {
                Accept::Append(entry) => {
                    self.progress.advance(&entry);
                    entries.push(entry);
                }
                Accept::Duplicate => {}
                Accept::Missing(_) | Accept::Conflict(_) => return Err(corrupt(Corrupt::Order)),
            }
        }
    }

    /// What has been given out.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }
}

/// Reads up to `most` bytes at `position`, of the first `len` bytes of the file.
pub fn fetch(file: &File, position: u64, len: u64, most: usize) -> io::Result<Vec<u8>> {
    let left = usize::try_from(len.saturating_sub(position)).unwrap_or(usize::MAX);
    let mut bytes = vec![0; left.min(most)];
    file.read_exact_at(&mut bytes, position)?;
    Ok(bytes)
}
