//! The spooled output of one attempt.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::{Entry, Offsets, Progress, Stream};
use dockmgr_support::log_file::{Appended, LogFile};
use tokio::sync::watch;

use super::{Error, SpoolCursor};

/// Output of one attempt that is on this machine. Clones share the file.
#[derive(Debug, Clone)]
pub struct AttemptSpool {
    inner: Arc<Inner>,
}

/// How much of an attempt's output is spooled.
#[derive(Debug, Clone, Default)]
pub struct Captured {
    /// Offsets and, once declared, the end.
    pub progress: Progress,
    /// Bytes of the spool file.
    pub(super) len: u64,
}

#[derive(Debug)]
struct Inner {
    attempt: AttemptId,
    path: PathBuf,
    held: Mutex<Held>,
    captured: watch::Sender<Captured>,
}

#[derive(Debug)]
struct Held {
    log: LogFile,
    /// Open while the attempt may still write; a finished one waiting for its upload keeps no descriptor.
    file: Option<File>,
    checksums: Checksums,
}

/// Running CRC-32 of each stream's bytes.
#[derive(Debug, Clone, Default)]
struct Checksums {
    stdout: crc32fast::Hasher,
    stderr: crc32fast::Hasher,
}

impl AttemptSpool {
    /// Opens the spool in `folder`, creating it or cutting the tail a crash left unfinished. Blocks.
    pub(super) fn open(folder: &Path, attempt: AttemptId) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(|source| io_error("create", folder, source))?;
        let path = folder.join("log");
        let mut checksums = Checksums::default();
        let opened = LogFile::open(&path, attempt, |entry| checksums.note(entry)).map_err(Error::File)?;
        if opened.cut > 0 {
            let reason = opened.corrupt.map(tracing::field::display);
            tracing::warn!(%attempt, bytes = opened.cut, reason, "cut the tail of a spooled log");
        }
        let captured = Captured { progress: opened.log.progress().clone(), len: opened.log.len() };
        let file = if captured.progress.is_ended() { None } else { Some(opened.file) };
        let held = Mutex::new(Held { log: opened.log, file, checksums });
        let inner = Inner { attempt, path, held, captured: watch::Sender::new(captured) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whose output it is.
    pub fn attempt(&self) -> AttemptId {
        self.inner.attempt
    }

    /// Appends what is new of `entries`; what is spooled already is skipped, so a capture may repeat itself.
    ///
    /// An end is on the disk, and all bytes before it, when this returns. Dropping the future does not undo the append;
    /// the same entries can be given again.
    pub async fn append(&self, entries: Vec<Entry>) -> Result<(), Error> {
        let this = self.clone();
        run(move || this.append_now(entries)).await
    }

    /// What is spooled right now.
    pub fn captured(&self) -> Progress {
        self.inner.captured.borrow().progress.clone()
    }

    /// Tells of everything that is appended.
    pub fn watch(&self) -> watch::Receiver<Captured> {
        self.inner.captured.subscribe()
    }

    /// Bytes of output that still fit under `cap`, both streams together.
    pub fn remaining(&self, cap: u64) -> u64 {
        cap.saturating_sub(self.captured().offsets.total())
    }

    /// CRC-32 of the first `len` bytes of a stream, to check that a re-read of the runtime's log is the same output;
    /// `None` if fewer are spooled.
    ///
    /// The checksum of all of them is kept; of fewer it is computed from the file.
    pub async fn prefix_crc(&self, stream: Stream, len: u64) -> Result<Option<u32>, Error> {
        {
            let held = self.held();
            let end = held.log.progress().offsets.of(stream);
            if len >= end {
                return Ok((len == end).then(|| held.checksums.of(stream).clone().finalize()));
            }
        }
        let mut cursor = self.cursor(only(stream, 0));
        let mut crc = crc32fast::Hasher::new();
        let mut left = len;
        while left > 0 {
            let entries = cursor.read().await?;
            if entries.is_empty() {
                return Ok(None);
            }
            for entry in entries {
                let Entry::Data(record) = entry else { continue };
                let take = record.bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                crc.update(&record.bytes[..take]);
                left -= take as u64;
            }
        }
        Ok(Some(crc.finalize()))
    }

    /// A reader of everything at and behind `from`.
    pub fn cursor(&self, from: Offsets) -> SpoolCursor {
        let cursor = dockmgr_support::log_file::Cursor::new(self.held().log.checkpoints(), from);
        SpoolCursor::new(self.inner.path.clone(), cursor, self.watch())
    }

    /// Bytes the spool takes on the disk.
    pub fn file_len(&self) -> u64 {
        self.inner.captured.borrow().len
    }

    fn append_now(&self, entries: Vec<Entry>) -> Result<(), Error> {
        let path = &self.inner.path;
        let mut held = self.held();
        let held = &mut *held;
        let ended = held.log.progress().is_ended();
        let Some(file) = &held.file else {
            // The end is declared and synced; only repeats are left, and the order rule knows them without the file.
            return settle(&judge(held.log.progress(), entries));
        };
        let appended = held.log.append(file, entries, |entry| held.checksums.note(entry));
        let appended = appended.map_err(|source| io_error("append to", path, source))?;
        let ends_now = !ended && held.log.progress().is_ended();
        if ends_now {
            sync(file, path).map_err(|source| io_error("sync", path, source))?;
            held.file = None;
        }
        let captured = Captured { progress: held.log.progress().clone(), len: held.log.len() };
        self.inner.captured.send_replace(captured);
        settle(&appended)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // A panic inside an append leaves `log` at its state before it, which is what the file is overwritten from.
        self.inner.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Checksums {
    fn note(&mut self, entry: &Entry) {
        match entry {
            Entry::Data(record) => match record.stream {
                Stream::Stdout => self.stdout.update(&record.bytes),
                Stream::Stderr => self.stderr.update(&record.bytes),
            },
            Entry::End(_) => {}
        }
    }

    fn of(&self, stream: Stream) -> &crc32fast::Hasher {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
    }
}

/// Position of a reader that wants one stream only.
fn only(stream: Stream, offset: u64) -> Offsets {
    let mut from = Offsets { stdout: u64::MAX, stderr: u64::MAX };
    from.set(stream, offset);
    from
}

/// What appending to a log that takes nothing any more would answer.
fn judge(progress: &Progress, entries: Vec<Entry>) -> Appended {
    use dockmgr_core::log::Accept;
    for entry in entries {
        match progress.accept(entry) {
            Accept::Append(_) | Accept::Duplicate => {}
            Accept::Missing(from) => return Appended::Missing(from),
            Accept::Conflict(conflict) => return Appended::Conflict(conflict),
        }
    }
    Appended::All
}

fn settle(appended: &Appended) -> Result<(), Error> {
    match appended {
        Appended::All => Ok(()),
        Appended::Missing(from) => Err(Error::Missing(*from)),
        Appended::Conflict(conflict) => Err(Error::Conflict(*conflict)),
    }
}

/// Puts the file's bytes and its name on the disk.
fn sync(file: &File, path: &Path) -> io::Result<()> {
    file.sync_data()?;
    for folder in path.ancestors().skip(1).take(2) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

pub(super) fn io_error(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source }
}

/// Runs file work on a blocking thread.
pub(super) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(_) => Err(Error::ShuttingDown),
    }
}
