//! A file that holds one attempt's log, or a part of it: opening after a crash, appending, reading from any offset.
//!
//! Owns the file operations the worker's spool and the coordinator's log store have in common; the rules and the byte
//! form are `core::log`'s. All calls block and belong on a blocking thread. When bytes are made durable, who may read
//! and what is kept is the callers' business.
//!
//! A log may go on in a further file. Positions then count as if the files were one: the header of the first, and the
//! frames of all.
//!
//! Invariant: frames before [`LogFile::len`] are whole and never change.

mod cursor;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::frame::{self, Corrupt};
use dockmgr_core::log::{Accept, Checkpoints, Conflict, Entry, Offsets, Progress, Scanner};

pub use cursor::{Cursor, fetch};

/// Bytes read from a file at once.
const READ: usize = 1024 * 1024;

/// Why a log file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("{action} log file {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Bytes that were whole when they were written are not any more.
    #[error("read log at byte {position}")]
    Corrupt {
        /// Where in the file.
        position: u64,
        /// What is wrong.
        #[source]
        source: Corrupt,
    },
}

/// What is known about an open file: how long its good part is and what that holds.
#[derive(Debug, Clone, Default)]
pub struct LogFile {
    /// Position of the file's first byte; beyond 0 where the log began in earlier files.
    start: u64,
    len: u64,
    progress: Progress,
    checkpoints: Checkpoints,
}

/// What opening found.
#[derive(Debug)]
pub struct Opened {
    /// The file, readable and writable.
    pub file: File,
    /// Its state.
    pub log: LogFile,
    /// Bytes cut off its end because a crash interrupted their writing.
    pub cut: u64,
    /// Set if bytes were wrong, not merely cut short; they were moved to a file beside it that ends in `.corrupt`.
    pub corrupt: Option<Corrupt>,
}

/// How an append ended; everything before the outcome was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// All entries are held now.
    All,
    /// An entry was too early: the sender must go on from here.
    Missing(Offsets),
    /// An entry contradicts what is held.
    Conflict(Conflict),
}

impl LogFile {
    /// Opens `path`, which is created if it is not there, and makes it end with its last whole entry.
    ///
    /// `visit` sees every entry in order.
    pub fn open(path: &Path, attempt: AttemptId, visit: impl FnMut(&Entry)) -> Result<Opened, Error> {
        Self::open_after(Self::default(), path, attempt, visit)
    }

    /// Like [`LogFile::open`], for a file in which the log `before` goes on.
    pub fn open_after(
        before: Self,
        path: &Path,
        attempt: AttemptId,
        visit: impl FnMut(&Entry),
    ) -> Result<Opened, Error> {
        let failed = |action| move |source| Error::Io { action, path: path.to_owned(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed("open"))?;
        let size = file.metadata().map_err(failed("inspect"))?.len();
        let (mut log, corrupt) = scan(before, &file, size, attempt, None, visit).map_err(failed("read"))?;
        let good = log.place(log.len);
        if corrupt.is_some() {
            keep_aside(&file, path, good).map_err(failed("set aside"))?;
        }
        let cut = size - good;
        if cut > 0 {
            file.set_len(good).map_err(failed("cut"))?;
        }
        if good == 0 {
            let header = frame::header(attempt);
            file.write_all_at(&header, 0).map_err(failed("begin"))?;
            log.len = log.start + header.len() as u64;
        }
        Ok(Opened { file, log, cut, corrupt })
    }

    /// Reads a file that another process may be writing to, in which the log `before` goes on, up to where its streams
    /// stand at `until`, or to its last whole entry. Changes nothing on the disk.
    pub fn read_after(
        before: Self,
        path: &Path,
        attempt: AttemptId,
        until: Option<Offsets>,
    ) -> Result<(File, Self), Error> {
        let failed = |action| move |source| Error::Io { action, path: path.to_owned(), source };
        let file = File::open(path).map_err(failed("open"))?;
        let size = file.metadata().map_err(failed("inspect"))?.len();
        // What is wrong at its end, or not whole yet, is its writer's to mend.
        let (mut log, _unfinished) =
            scan(before, &file, size, attempt, until, |_| ()).map_err(failed("read"))?;
        log.len = log.len.max(log.start + frame::HEADER_LEN as u64);
        Ok((file, log))
    }

    /// Appends what is new of `entries`, in one write. `noted` sees what was appended.
    ///
    /// After an error the state is as before and the append may be tried again.
    pub fn append(
        &mut self,
        file: &File,
        entries: Vec<Entry>,
        mut noted: impl FnMut(&Entry),
    ) -> io::Result<Appended> {
        let mut progress = self.progress.clone();
        let mut frames = Vec::with_capacity(entries.iter().map(|entry| entry.payload_len() + 64).sum());
        let mut new = Vec::with_capacity(entries.len());
        let mut outcome = Appended::All;
        for entry in entries {
            match progress.accept(entry) {
                Accept::Append(entry) => {
                    frame::encode(&entry, &mut frames);
                    progress.advance(&entry);
                    new.push((frames.len() as u64, progress.offsets, entry));
                }
                Accept::Duplicate => {}
                Accept::Missing(from) => {
                    outcome = Appended::Missing(from);
                    break;
                }
                Accept::Conflict(conflict) => {
                    outcome = Appended::Conflict(conflict);
                    break;
                }
            }
        }
        let place = self.place(self.len);
        if let Err(error) = file.write_all_at(&frames, place) {
            // Best effort: a part that stays is overwritten by the next append, or cut off at the next open.
            if let Err(second) = file.set_len(place) {
                tracing::debug!(error = %second, "could not take back a partial write");
            }
            return Err(error);
        }
        for (end, offsets, entry) in &new {
            self.checkpoints.note(self.len + end, *offsets);
            noted(entry);
        }
        self.len += frames.len() as u64;
        self.progress = progress;
        Ok(outcome)
    }

    /// Length of the good part of the log in bytes, earlier files included.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Where in the file a position lies that is not in an earlier one.
    pub fn place(&self, position: u64) -> u64 {
        position - self.start
    }

    /// Whether no entry was appended yet.
    pub fn is_empty(&self) -> bool {
        self.len <= frame::HEADER_LEN as u64
    }

    /// What the file holds.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Places to start reading at.
    pub fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }
}

/// Reads the file in which the log `before` goes on, from its start to the first byte that is not a whole entry in order,
/// or to where the streams stand at `until`.
fn scan(
    before: LogFile,
    file: &File,
    size: u64,
    attempt: AttemptId,
    until: Option<Offsets>,
    mut visit: impl FnMut(&Entry),
) -> io::Result<(LogFile, Option<Corrupt>)> {
    let mut log = before;
    // The header of a further file takes no room among the positions.
    log.start = log.len.saturating_sub(frame::HEADER_LEN as u64);
    log.len = log.start;
    let mut scanner = Scanner::from_start(attempt);
    let mut chunk = vec![0; READ.min(usize::try_from(size).unwrap_or(READ))];
    loop {
        if until == Some(log.progress.offsets) {
            return Ok((log, None));
        }
        match scanner.next_entry() {
            Ok(Some(entry)) => {
                if log.progress.accept(entry.clone()) != Accept::Append(entry.clone()) {
                    return Ok((log, Some(Corrupt::Order)));
                }
                visit(&entry);
                log.progress.advance(&entry);
                log.len = log.start + scanner.position();
                log.checkpoints.note(log.len, log.progress.offsets);
            }
            Ok(None) => {
                log.len = log.start + scanner.position();
                let left = size.saturating_sub(scanner.fed_to());
                let take = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let read = file.read_at(&mut chunk[..take], scanner.fed_to())?;
                if read == 0 {
                    return Ok((log, None));
                }
                scanner.push(&chunk[..read]);
            }
            Err(corrupt) => return Ok((log, Some(corrupt))),
        }
    }
}

/// Copies the bytes from `from` on to a file beside it, so that cutting them destroys no evidence.
fn keep_aside(file: &File, path: &Path, from: u64) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".corrupt");
    let aside = File::create(aside)?;
    let mut chunk = vec![0; READ];
    let mut copied = 0;
    loop {
        let read = file.read_at(&mut chunk, from + copied)?;
        if read == 0 {
            return aside.sync_all();
        }
        aside.write_all_at(&chunk[..read], copied)?;
        copied += read as u64;
    }
}

#[cfg(test)]
mod tests;
