//! The kept output of one attempt.
//!
//! ```text
//!   unopened --first use--> open         (scanned, torn tail cut, synced: all of it is durable)
//!   open --first append--> open          (with a file of this process)
//!   open --delete_job--> deleted         (appends and readers hear Error::Deleted)
//!   open --the term ends--> retired      (appends hear Error::NotLeading; reading goes on)
//! ```

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dockmgr_core::ids::{AttemptId, Epoch};
use dockmgr_core::log::{Checkpoint, Entry, Offsets, Progress};
use dockmgr_support::log_file::{Appended, Cursor, fetch};
use tokio::sync::watch;

use super::error::run;
use super::segments::Segments;
use super::store::Shared;
use super::writer::Writer;
use super::{Error, layout};

/// Unsynced bytes of one attempt at which the syncer is woken early.
const SYNC_BYTES: u64 = 4 * 1024 * 1024;

/// One attempt's log. At most one exists for an attempt at a time; users share it.
#[derive(Debug)]
pub(crate) struct AttemptLog {
    attempt: AttemptId,
    writer: Writer,
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
    segments: Segments,
    /// Bytes of the log that were synced.
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
    Retired,
}

impl AttemptLog {
    pub(super) fn new(attempt: AttemptId, writer: Writer) -> Self {
        let held = Held {
            state: State::Unopened,
            segments: Segments::default(),
            synced: 0,
            queued: false,
            new_name: false,
        };
        Self {
            attempt,
            writer,
            held: Mutex::new(held),
            written: watch::Sender::new(Written::default()),
            durable: watch::Sender::new(Progress::default()),
        }
    }

    /// Reads what is on the disk, if that was not done yet or another coordinator may have added to it. Afterwards the
    /// watches tell the truth.
    pub(super) async fn recover(self: &Arc<Self>, shared: &Arc<Shared>) -> Result<(), Error> {
        if self.lock().is_settled(self.writer) {
            return Ok(());
        }
        let (this, shared) = (Arc::clone(self), Arc::clone(shared));
        run(move || {
            let mut held = this.lock();
            if held.is_settled(this.writer) { Ok(()) } else { this.look(&mut held, &shared) }
        })
        .await
    }

    /// Whether another coordinator may still add to what was read.
    pub(super) fn may_grow_elsewhere(&self) -> bool {
        !self.lock().is_settled(self.writer)
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
        Cursor::new(self.lock().segments.log.checkpoints(), from)
    }

    pub(super) fn checkpoints(&self) -> Vec<Checkpoint> {
        self.lock().segments.log.checkpoints().as_slice().to_vec()
    }

    /// Reads up to `most` bytes at `position`, of the first `len` of the log. Blocks.
    pub(super) fn fetch(
        &self,
        shared: &Shared,
        position: u64,
        len: u64,
        most: usize,
    ) -> Result<Vec<u8>, Error> {
        let located = {
            let held = self.lock();
            held.segments.locate(position).map(|(segment, place, left)| {
                (segment.path.clone(), segment.epoch, place, left.min(len.saturating_sub(position)))
            })
        };
        let Some((path, epoch, place, left)) = located else { return Ok(Vec::new()) };
        let file = self.file(shared, &path, epoch)?;
        fetch(&file, place, place + left, most).map_err(Error::io("read", &path))
    }

    /// Syncs what was written so far and tells the durable watch. Blocks.
    pub(super) fn sync(&self, shared: &Shared) -> Result<(), Error> {
        let (len, progress, own) = {
            let mut held = self.lock();
            held.queued = false;
            let own = held.segments.own().map(|own| (own.path.clone(), own.epoch));
            if held.state == State::Deleted {
                return Ok(());
            }
            (held.segments.log.len(), held.segments.log.progress().clone(), own)
        };
        let Some((path, epoch)) = own else { return Ok(()) };
        // Appends go on during the sync; what they add is the next sync's.
        self.file(shared, &path, epoch)?.sync_data().map_err(Error::io("sync", &path))?;
        let mut held = self.lock();
        held.synced = held.synced.max(len);
        held.new_name = false;
        drop(held);
        self.durable.send_replace(progress);
        Ok(())
    }

    /// Folders whose entries must be synced before this log is durable.
    pub(super) fn new_folders(&self, folders: &mut BTreeSet<PathBuf>) {
        let held = self.lock();
        if held.new_name
            && let Some(own) = held.segments.own()
        {
            folders.extend(folders_of(&own.path));
        }
    }

    /// Marks the log deleted and wakes everyone who uses it.
    pub(super) fn delete(&self) {
        self.lock().state = State::Deleted;
        self.written.send_modify(|written| written.deleted = true);
    }

    /// Takes nothing in any more: the term is over.
    pub(super) fn retire(&self) {
        let mut held = self.lock();
        if held.state != State::Deleted {
            held.state = State::Retired;
        }
    }

    /// Whether dropping it from memory forgets nothing.
    pub(super) fn is_idle(&self) -> bool {
        let held = self.lock();
        !held.queued && held.synced == held.segments.log.len()
    }

    fn append_now(self: &Arc<Self>, shared: &Arc<Shared>, entries: Vec<Entry>) -> Result<(), Error> {
        shared.check()?;
        let mut held = self.lock();
        let epoch = match (held.state, self.writer.epoch()) {
            (State::Deleted, _) => return Err(Error::Deleted),
            (State::Retired, _) | (_, None) => return Err(Error::NotLeading),
            (State::Unopened | State::Open, Some(epoch)) => epoch,
        };
        if held.segments.own().is_none() {
            // What an earlier leader wrote up to now comes first.
            self.look(&mut held, shared)?;
        }
        if held.segments.own().is_none() {
            let file = held.segments.begin(&shared.root, self.attempt, epoch)?;
            shared.files.put((self.attempt, epoch), Arc::new(file));
            held.new_name = true;
        }
        let path = held.segments.own().map(|own| own.path.clone()).unwrap_or_default();
        let file = self.file(shared, &path, epoch)?;
        let before = held.segments.log.len();
        let appended = held.segments.log.append(&file, entries, |_| ());
        let appended = appended.map_err(Error::io("append to", &path))?;
        held.segments.grown();
        self.tell_growth(&mut held, shared, before);
        match appended {
            Appended::All => Ok(()),
            Appended::Missing(from) => Err(Error::Missing(from)),
            Appended::Conflict(conflict) => Err(Error::Conflict(conflict)),
        }
    }

    /// Tells readers and the syncer what an append added.
    fn tell_growth(self: &Arc<Self>, held: &mut Held, shared: &Shared, before: u64) {
        let len = held.segments.log.len();
        if len == before {
            return;
        }
        shared.usage.fetch_add(len - before, Ordering::Relaxed);
        let progress = held.segments.log.progress().clone();
        self.written.send_replace(Written { len, progress, deleted: false });
        if !held.queued {
            held.queued = true;
            shared.queue_sync(Arc::clone(self));
        }
        if len - held.synced >= SYNC_BYTES {
            shared.hurry.notify_one();
        }
    }

    /// Reads the files if they changed since the last look; what they hold afterwards is durable.
    fn look(&self, held: &mut Held, shared: &Shared) -> Result<(), Error> {
        if held.state != State::Unopened
            && !held.segments.is_outdated(&shared.root, self.attempt, self.writer)?
        {
            return Ok(());
        }
        let (segments, found) = Segments::open(&shared.root, self.attempt, self.writer)?;
        shared.shrink_usage(found.cut);
        for (epoch, file) in found.open {
            shared.files.put((self.attempt, epoch), Arc::new(file));
        }
        if !segments.log.is_empty() {
            for folder in folders_of(&layout::Name::first(self.attempt).path(&shared.root)) {
                File::open(&folder).and_then(|open| open.sync_all()).map_err(Error::io("sync", &folder))?;
            }
        }
        if held.state == State::Unopened {
            held.state = State::Open;
        }
        held.segments = segments;
        held.synced = held.segments.log.len();
        let (len, progress) = (held.synced, held.segments.log.progress().clone());
        self.written.send_replace(Written { len, progress: progress.clone(), deleted: false });
        self.durable.send_replace(progress);
        Ok(())
    }

    /// An open file, opened again if it was closed meanwhile. Blocks.
    fn file(&self, shared: &Shared, path: &Path, epoch: Epoch) -> Result<Arc<File>, Error> {
        let key = (self.attempt, epoch);
        if let Some(file) = shared.files.get(key) {
            return Ok(file);
        }
        let own = self.writer.epoch() == Some(epoch);
        let opened = OpenOptions::new().read(true).write(own).open(path);
        let file = Arc::new(opened.map_err(Error::io("open", path))?);
        shared.files.put(key, Arc::clone(&file));
        Ok(file)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Whether nobody else can add anything any more to what was read.
    fn is_settled(&self, writer: Writer) -> bool {
        match self.state {
            State::Unopened => false,
            State::Deleted => true,
            State::Open | State::Retired => {
                writer == Writer::Alone
                    || self.segments.own().is_some()
                    || self.segments.log.progress().is_ended()
            }
        }
    }
}

/// A file's folder, the job's and the root, which may all be new.
fn folders_of(path: &Path) -> impl Iterator<Item = PathBuf> + '_ {
    path.ancestors().skip(1).take(3).map(Path::to_owned)
}
