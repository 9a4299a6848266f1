//! JSON lines in a file that is rotated by size: each line once, whatever was killed when.
//!
//! ```text
//!   closed --write--> reads back what may lie behind the cursor, cuts a torn last line --> open
//!   open --write--> append, sync            --restart, or an error--> closed
//!   full --write--> FILE.2 becomes FILE.3, FILE.1 FILE.2, FILE FILE.1; a new FILE
//! ```
//!
//! What was written after the cursor was last stored comes again after a crash. That is never more than [`DUE`] and one
//! batch, so the last [`READ_BACK`] bytes of the files tell which lines are there already, and those are not written twice.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use dockmgr_core::export::{Document, DocumentId, ecs};

use super::Error;

/// Bytes after which the cursor must be stored.
const DUE: u64 = 8 << 20;
/// Bytes read back at the start: more than [`DUE`] and the lines of a batch, which JSON may make eight times as long.
const READ_BACK: u64 = 64 << 20;

/// A file that takes documents.
#[derive(Debug)]
pub(super) struct FileSink {
    path: PathBuf,
    rotate: u64,
    keep: u32,
    open: Option<Open>,
    /// Written since the cursor was stored.
    unstored: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    len: u64,
    /// Lines that are there and may come again.
    there: BTreeSet<DocumentId>,
}

impl FileSink {
    /// A sink that writes to `path`, puts it aside at `rotate` bytes and keeps `keep` such files.
    pub(super) fn new(path: PathBuf, rotate: u64, keep: u32) -> Self {
        Self { path, rotate, keep, open: None, unstored: 0 }
    }

    /// Appends what is not there yet; it is durable afterwards. Blocks.
    pub(super) fn write(&mut self, documents: &[Document]) -> Result<(), Error> {
        let written = self.append(documents);
        if written.is_err() {
            // What the file holds is open: it is read back before the next try.
            self.open = None;
        }
        written
    }

    /// Documents may come again from now on.
    pub(super) fn restart(&mut self) {
        self.open = None;
    }

    /// Whether the cursor must be stored before more is written.
    pub(super) fn is_due(&self) -> bool {
        self.unstored >= DUE
    }

    /// The cursor was stored.
    pub(super) fn stored(&mut self) {
        self.unstored = 0;
    }

    fn append(&mut self, documents: &[Document]) -> Result<(), Error> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.reopen()?,
        };
        let mut lines = Vec::new();
        for document in documents.iter().filter(|document| !open.there.remove(&document.id)) {
            ecs::write(document, &mut lines);
            lines.push(b'\n');
        }
        if open.len > 0 && open.len + lines.len() as u64 > self.rotate {
            self.put_aside()?;
            open = Open { file: self.create()?, len: 0, there: open.there };
        }
        open.file
            .write_all(&lines)
            .and_then(|()| open.file.sync_data())
            .map_err(Error::io("write", &self.path))?;
        open.len += lines.len() as u64;
        self.unstored += lines.len() as u64;
        self.open = Some(open);
        Ok(())
    }

    /// Opens the file as it was left, and learns which lines of it may come again.
    fn reopen(&self) -> Result<Open, Error> {
        let file = self.create()?;
        let failed = |source| Error::io("read", &self.path)(source);
        let (mut there, mut read) = (BTreeSet::new(), 0);
        let own = read_end(&self.path, READ_BACK).map_err(failed)?;
        let torn = own.len() - own.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let len = file.metadata().map_err(failed)?.len() - torn as u64;
        file.set_len(len).and_then(|()| file.sync_data()).map_err(Error::io("cut", &self.path))?;
        collect(&own[..own.len() - torn], &mut there);
        read += own.len() as u64;
        for number in 1..=self.keep {
            if read >= READ_BACK {
                break;
            }
            match read_end(&self.aside(number), READ_BACK - read) {
                Ok(bytes) => {
                    collect(&bytes, &mut there);
                    read += bytes.len() as u64;
                }
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                Err(error) => return Err(Error::io("read", &self.aside(number))(error)),
            }
        }
        Ok(Open { file, len, there })
    }

    /// Opens the file, which is made if it is not there, with a durable name.
    fn create(&self) -> Result<File, Error> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let opened = OpenOptions::new().create(true).append(true).open(&self.path);
        let file = opened.map_err(Error::io("open", &self.path))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io("sync", folder))?;
        Ok(file)
    }

    fn put_aside(&self) -> Result<(), Error> {
        if self.keep == 0 {
            return fs::remove_file(&self.path).map_err(Error::io("remove", &self.path));
        }
        for number in (1..self.keep).rev() {
            let from = self.aside(number);
            match fs::rename(&from, self.aside(number + 1)) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                renamed => renamed.map_err(Error::io("rename", &from))?,
            }
        }
        fs::rename(&self.path, self.aside(1)).map_err(Error::io("rename", &self.path))
    }

    fn aside(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

/// The last `most` bytes of a file.
fn read_end(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The ids in lines of ours; what else there is, is nobody's repeat.
fn collect(lines: &[u8], there: &mut BTreeSet<DocumentId>) {
    for line in lines.split(|byte| *byte == b'\n') {
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(line) else { continue };
        let id = value.pointer("/event/id").and_then(serde_json::Value::as_str);
        there.extend(id.and_then(|id| id.parse::<DocumentId>().ok()));
    }
}

#[cfg(test)]
mod tests;
