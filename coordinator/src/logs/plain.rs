//! All plain output of one attempt from its begin, for what reads it as a whole: sealing, and comparing.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};

use dockmgr_core::ids::{AttemptId, Epoch};
use dockmgr_core::log::{Checkpoints, Entry, Offsets, Progress};
use dockmgr_support::log_file::{Cursor, fetch};

use super::Error;
use super::parts::Parts;
use super::writer::Writer;

/// Bytes read at once.
const READ: usize = 1024 * 1024;

/// Reads entry by entry. Blocks.
#[derive(Debug)]
pub(super) struct PlainOutput {
    parts: Parts,
    files: Vec<(Epoch, File)>,
    cursor: Cursor,
    ready: VecDeque<Entry>,
}

impl PlainOutput {
    /// Opens the files of `attempt`, which are not changed.
    pub(super) fn open(root: &Path, attempt: AttemptId, writer: Writer) -> Result<Self, Error> {
        let (parts, files) = Parts::read_only(root, attempt, writer)?;
        let cursor = Cursor::new(&Checkpoints::default(), Offsets::default());
        Ok(Self { parts, files, cursor, ready: VecDeque::new() })
    }

    /// What the files hold.
    pub(super) fn progress(&self) -> &Progress {
        self.parts.log.progress()
    }

    /// The files that were read, with the epochs of their writers.
    pub(super) fn files(&self) -> Vec<(Epoch, PathBuf)> {
        self.parts.files().map(|part| (part.epoch, part.path.clone())).collect()
    }

    /// The next entry; `None` behind the last.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Ok(Some(entry));
            }
            let position = self.cursor.fed_to();
            let Some((part, place, left)) = self.parts.locate(position) else { return Ok(None) };
            let file = self.files.iter().find(|(epoch, _)| *epoch == part.epoch).map(|(_, file)| file);
            let file =
                file.ok_or_else(|| Error::io("open", &part.path)(std::io::ErrorKind::NotFound.into()))?;
            let bytes = fetch(file, place, place + left, READ).map_err(Error::io("read", &part.path))?;
            self.ready.extend(self.cursor.feed(&bytes).map_err(Error::File)?);
        }
    }
}
