//! The kept output of one attempt.
//!
//! ```text
//!   unopened --first use, file there--> open      (scanned, torn tail cut, synced: all of it is durable)
//!   unopened --first append, no file--> open      (created)
//!   open --delete_job--> deleted                  (appends and readers hear Error::Deleted)
//! ```

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::{Checkpoint, Entry, Offsets, Progress};
use dockmgr_support::log_file::{Appended, Cursor, LogFile};
use tokio::sync::watch;

use super::error::run;
use super::store::Shared;
use super::{Error, layout};

/// Unsynced bytes of one attempt at which the syncer is woken early.
const SYNC_BYTES: u64 = 4 * 1024 * 1024;

/// One attempt's log. At most one exists for an attempt at a time; users share it.
#[derive(Debug)]
pub(crate) struct AttemptLog {
    attempt: AttemptId,
    path: PathBuf,
    held: Mutex<Held>,
    written: watch::Sender<Written>,
    durable: watch::Sender<Progress>,
}

/// What readers may read.
#[derive(Debug, Clone, Default)]
pub(super) struct Written {
    pub(super) len: u64,
    pub(super) progress: Progress,
    pub(super) deleted: bool,
}

#[derive(Debug)]
struct Held {
    state: State,
    log: LogFile,
    /// Bytes of the file that were synced.
    synced: u64,
    /// Whether the syncer knows that there is something to sync.
    queued: bool,
    /// Whether the folder entry of the file may not be durable.
    new_name: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unopened,
    Open,
    Deleted,
}

impl AttemptLog {
    pub(super) fn new(root: &Path, attempt: AttemptId) -> Self {
        let held = Held {
            state: State::Unopened,
            log: LogFile::default(),
            synced: 0,
            queued: false,
            new_name: false,
        };
        Self {
            attempt,
            path: layout::file(root, attempt),
            held: Mutex::new(held),
            written: watch::Sender::new(Written::default()),
            durable: watch::Sender::new(Progress::default()),
        }
    }

    /// Reads what is on the disk, if it was not yet. Afterwards the watches tell the truth.
    pub(super) async fn recover(self: &Arc<Self>, shared: &Arc<Shared>) -> Result<(), Error> {
        if self.lock().state == State::Open {
            return Ok(());
        }
        let (this, shared) = (Arc::clone(self), Arc::clone(shared));
        run(move || {
            let mut held = this.lock();
            if held.state == State::Unopened && this.path.exists() {
                this.open(&mut held, &shared)?;
            }
            Ok(())
        })
        .await
    }

    /// Appends what is new; `Ok` means written, the durable watch says when it is synced. Repeats are skipped.
    pub(super) async fn append(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        entries: Vec<Entry>,
    ) -> Result<(), Error> {
        let (this, shared) = (Arc::clone(self), Arc::clone(shared));
        run(move || this.append_now(&shared, entries)).await
    }

    /// What is synced to the disk, told anew whenever it grows.
    pub(crate) fn durable(&self) -> watch::Receiver<Progress> {
        self.durable.subscribe()
    }

    /// What is kept, synced or not.
    pub(crate) fn progress(&self) -> Progress {
        self.written.borrow().progress.clone()
    }

    pub(super) fn written(&self) -> watch::Receiver<Written> {
        self.written.subscribe()
    }

    pub(super) fn cursor(&self, from: Offsets) -> Cursor {
        Cursor::new(self.lock().log.checkpoints(), from)
    }

    pub(super) fn checkpoints(&self) -> Vec<Checkpoint> {
        self.lock().log.checkpoints().as_slice().to_vec()
    }

    /// The open file, opened again if it was closed meanwhile. Blocks.
    pub(super) fn file(&self, shared: &Shared) -> Result<Arc<File>, Error> {
        if let Some(file) = shared.files.get(self.attempt) {
            return Ok(file);
        }
        let opened = OpenOptions::new().read(true).write(true).open(&self.path);
        let file = Arc::new(opened.map_err(Error::io("open", &self.path))?);
        shared.files.put(self.attempt, Arc::clone(&file));
        Ok(file)
    }

    /// Syncs what was written so far and tells the durable watch. Blocks.
    pub(super) fn sync(&self, shared: &Shared) -> Result<(), Error> {
        let (len, progress, new_name) = {
            let mut held = self.lock();
            held.queued = false;
            if held.state != State::Open {
                return Ok(());
            }
            (held.log.len(), held.log.progress().clone(), held.new_name)
        };
        // Appends go on during the sync; what they add is the next sync's.
        self.file(shared)?.sync_data().map_err(Error::io("sync", &self.path))?;
        let mut held = self.lock();
        held.synced = held.synced.max(len);
        if new_name {
            held.new_name = false;
        }
        drop(held);
        self.durable.send_replace(progress);
        Ok(())
    }

    /// Folders whose entries must be synced before this log is durable.
    pub(super) fn new_folders(&self, folders: &mut BTreeSet<PathBuf>) {
        if self.lock().new_name {
            // The file's folder, the job's and the root, which may all be new.
            folders.extend(self.path.ancestors().skip(1).take(3).map(Path::to_owned));
        }
    }

    /// Marks the log deleted and wakes everyone who uses it.
    pub(super) fn delete(&self) {
        self.lock().state = State::Deleted;
        self.written.send_modify(|written| written.deleted = true);
    }

    /// Whether dropping it from memory forgets nothing.
    pub(super) fn is_idle(&self) -> bool {
        let held = self.lock();
        !held.queued && held.synced == held.log.len()
    }

    fn append_now(self: &Arc<Self>, shared: &Arc<Shared>, entries: Vec<Entry>) -> Result<(), Error> {
        shared.check()?;
        let mut held = self.lock();
        match held.state {
            State::Deleted => return Err(Error::Deleted),
            State::Unopened => self.open(&mut held, shared)?,
            State::Open => {}
        }
        let file = self.file(shared)?;
        let before = held.log.len();
        let appended = held.log.append(&file, entries, |_| ()).map_err(Error::io("append to", &self.path))?;
        let grown = held.log.len() - before;
        if grown > 0 {
            shared.usage.fetch_add(grown, Ordering::Relaxed);
            let (len, progress) = (held.log.len(), held.log.progress().clone());
            self.written.send_replace(Written { len, progress, deleted: false });
            if !held.queued {
                held.queued = true;
                shared.queue_sync(Arc::clone(self));
            }
            if held.log.len() - held.synced >= SYNC_BYTES {
                shared.hurry.notify_one();
            }
        }
        match appended {
            Appended::All => Ok(()),
            Appended::Missing(from) => Err(Error::Missing(from)),
            Appended::Conflict(conflict) => Err(Error::Conflict(conflict)),
        }
    }

    /// Opens or creates the file; what it holds afterwards is durable, except the name of a new one.
    fn open(&self, held: &mut Held, shared: &Shared) -> Result<(), Error> {
        let new = !self.path.exists();
        if new && let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        }
        let opened = LogFile::open(&self.path, self.attempt, |_| ()).map_err(Error::File)?;
        if opened.cut > 0 {
            let reason = opened.corrupt.map(tracing::field::display);
            tracing::warn!(attempt = %self.attempt, bytes = opened.cut, reason, "cut the tail of a kept log");
            shared.shrink_usage(opened.cut);
        }
        if !new {
            // After a crash of this process the bytes may be in the page cache only, and a worker is about to hear that
            // they are durable.
            opened.file.sync_data().map_err(Error::io("sync", &self.path))?;
        }
        shared.files.put(self.attempt, Arc::new(opened.file));
        held.state = State::Open;
        held.log = opened.log;
        held.synced = held.log.len();
        held.new_name = true;
        if !new {
            let mut folders = BTreeSet::new();
            folders.extend(self.path.ancestors().skip(1).take(3).map(Path::to_owned));
            for folder in folders {
                File::open(&folder).and_then(|open| open.sync_all()).map_err(Error::io("sync", &folder))?;
            }
            held.new_name = false;
        }
        let (len, progress) = (held.log.len(), held.log.progress().clone());
        self.written.send_replace(Written { len, progress: progress.clone(), deleted: false });
        self.durable.send_replace(progress);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
