//! The kept output of one attempt.
//!
//! ```text
//!   unopened --first use--> open         (scanned, torn tail cut, synced: all of it is durable)
//!   open --first append--> open          (with a file of this process)
//!   open --delete_job--> deleted         (appends and readers hear Error::Deleted)
//!   open --the term ends--> retired      (appends hear Error::NotLeading; reading goes on)
//!   unopened, open --sealed--> sealed    (a segment has all of it; nothing can be new)
//! ```

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dockmgr_core::ids::{AttemptId, Epoch};
use dockmgr_core::log::{Accept, Checkpoint, Entry, Offsets, Progress};
use dockmgr_support::log_file::{Appended, Cursor, fetch};
use tokio::sync::watch;

use super::error::run;
use super::parts::Parts;
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
    parts: Parts,
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
    Sealed,
}

impl AttemptLog {
    pub(super) fn new(attempt: AttemptId, writer: Writer) -> Self {
        let held = Held {
            state: State::Unopened,
            parts: Parts::default(),
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
        if self.is_known(&self.lock(), shared) {
            return Ok(());
        }
        let (this, shared) = (Arc::clone(self), Arc::clone(shared));
        run(move || {
            let mut held = this.lock();
            if this.is_known(&held, &shared) { Ok(()) } else { this.look(&mut held, &shared) }
        })
        .await
    }

    /// Whose output it is.
    pub(super) fn attempt(&self) -> AttemptId {
        self.attempt
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
        Cursor::new(self.lock().parts.log.checkpoints(), from)
    }

    pub(super) fn checkpoints(&self) -> Vec<Checkpoint> {
        self.lock().parts.log.checkpoints().as_slice().to_vec()
    }

    /// Reads up to `most` bytes at `position`, of the first `len` of the log; fails once that was sealed. Blocks.
    pub(super) fn fetch(
        &self,
        shared: &Shared,
        position: u64,
        len: u64,
        most: usize,
    ) -> Result<Vec<u8>, Error> {
        let located = {
            let held = self.lock();
            if held.state == State::Sealed {
                return Err(Error::Incomplete(self.attempt));
            }
            held.parts.locate(position).map(|(part, place, left)| {
                (part.path.clone(), part.epoch, place, left.min(len.saturating_sub(position)))
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
            let own = held.parts.own().map(|own| (own.path.clone(), own.epoch));
            if held.state == State::Deleted {
                return Ok(());
            }
            (held.parts.log.len(), held.parts.log.progress().clone(), own)
        };
        let Some((path, epoch)) = own else { return Ok(()) };
        // Appends go on during the sync; what they add is the next sync's.
        self.file(shared, &path, epoch)?.sync_data().map_err(Error::io("sync", &path))?;
        let mut held = self.lock();
        held.synced = held.synced.max(len);
        held.new_name = false;
        drop(held);
        let ended = progress.is_ended();
        self.durable.send_replace(progress);
        if ended {
            shared.ended.note(self.attempt, len);
        }
        Ok(())
    }

    /// Folders whose entries must be synced before this log is durable.
    pub(super) fn new_folders(&self, folders: &mut BTreeSet<PathBuf>) {
        let held = self.lock();
        if held.new_name
            && let Some(own) = held.parts.own()
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
        match held.state {
            State::Unopened | State::Open => held.state = State::Retired,
            State::Deleted | State::Retired | State::Sealed => {}
        }
    }

    /// Whether its end is durable in plain files.
    pub(super) fn is_complete(&self) -> bool {
        let held = self.lock();
        held.state == State::Open && self.durable.borrow().is_ended()
    }

    /// Bytes of its plain files.
    pub(super) fn len(&self) -> u64 {
        self.lock().parts.log.len()
    }

    /// A segment has all of it, which is `kept`, and the plain files are about to go. False, and nothing is done, if it was
    /// deleted or the term is over.
    pub(super) fn seal(&self, shared: &Shared, kept: &Progress) -> bool {
        let mut held = self.lock();
        match held.state {
            State::Unopened | State::Open => {}
            State::Sealed => return true,
            State::Deleted | State::Retired => return false,
        }
        self.become_sealed(&mut held, shared, kept);
        true
    }

    /// Lets go of the plain files, and tells who waits for more than they have.
    fn become_sealed(&self, held: &mut Held, shared: &Shared, kept: &Progress) {
        held.state = State::Sealed;
        held.parts = Parts::default();
        shared.files.forget(self.attempt);
        self.written.send_if_modified(|written| {
            let more = written.progress != *kept;
            if more {
                // Whoever waits for more looks, and finds that it is in the segment.
                *written = Written { len: u64::MAX, progress: kept.clone(), deleted: false };
            }
            more
        });
        self.durable.send_replace(kept.clone());
    }

    /// Whether dropping it from memory forgets nothing.
    pub(super) fn is_idle(&self) -> bool {
        let held = self.lock();
        !held.queued && (held.state == State::Sealed || held.synced == held.parts.log.len())
    }

    fn append_now(self: &Arc<Self>, shared: &Arc<Shared>, entries: Vec<Entry>) -> Result<(), Error> {
        shared.check()?;
        let mut held = self.lock();
        let epoch = match (held.state, self.writer.epoch()) {
            (State::Deleted, _) => return Err(Error::Deleted),
            (State::Retired, _) | (_, None) => return Err(Error::NotLeading),
            (State::Sealed, Some(_)) => return refuse_new(&self.progress(), entries),
            (State::Unopened | State::Open, Some(epoch)) => epoch,
        };
        if held.parts.own().is_none() {
            // What an earlier leader wrote up to now comes first.
            self.look(&mut held, shared)?;
        }
        if held.state == State::Sealed {
            return refuse_new(&self.progress(), entries);
        }
        if held.parts.own().is_none() {
            let _unhindered = shared.folders.read().unwrap_or_else(PoisonError::into_inner);
            let file = held.parts.begin(&shared.root, self.attempt, epoch)?;
            shared.files.put((self.attempt, epoch), Arc::new(file));
            held.new_name = true;
        }
        let path = held.parts.own().map(|own| own.path.clone()).unwrap_or_default();
        let file = self.file(shared, &path, epoch)?;
        let before = held.parts.log.len();
        let appended = held.parts.log.append(&file, entries, |_| ());
        let appended = appended.map_err(Error::io("append to", &path))?;
        held.parts.grown();
        self.tell_growth(&mut held, shared, before);
        match appended {
            Appended::All => Ok(()),
            Appended::Missing(from) => Err(Error::Missing(from)),
            Appended::Conflict(conflict) => Err(Error::Conflict(conflict)),
        }
    }

    /// Tells readers and the syncer what an append added.
    fn tell_growth(self: &Arc<Self>, held: &mut Held, shared: &Shared, before: u64) {
        let len = held.parts.log.len();
        if len == before {
            return;
        }
        shared.usage.fetch_add(len - before, Ordering::Relaxed);
        let progress = held.parts.log.progress().clone();
        self.written.send_replace(Written { len, progress, deleted: false });
        if !held.queued {
            held.queued = true;
            shared.queue_sync(Arc::clone(self));
        }
        if len - held.synced >= SYNC_BYTES {
            shared.hurry.notify_one();
        }
    }

    /// Whether what was read is all there is.
    fn is_known(&self, held: &Held, shared: &Shared) -> bool {
        held.is_settled(self.writer) && !self.is_overtaken(held, shared)
    }

    /// Whether there were no files when it was opened, and it turned out since that a segment has all of it.
    fn is_overtaken(&self, held: &Held, shared: &Shared) -> bool {
        held.state == State::Open && held.parts.log.is_empty() && shared.sealed.has(self.attempt)
    }

    /// Reads the files if they changed since the last look; what they hold afterwards is durable.
    fn look(&self, held: &mut Held, shared: &Shared) -> Result<(), Error> {
        if held.state != State::Unopened
            && !self.is_overtaken(held, shared)
            && !held.parts.is_outdated(&shared.root, self.attempt, self.writer)?
        {
            return Ok(());
        }
        if let Some(progress) = shared.sealed.progress(self.attempt)? {
            self.become_sealed(held, shared, &progress);
            return Ok(());
        }
        let (parts, found) = Parts::open(&shared.root, self.attempt, self.writer)?;
        if !held.parts.log.progress().offsets.all_at_most(parts.log.progress().offsets) {
            // Another leader has sealed it and this process does not know the segment yet.
            return Err(Error::NotLoaded);
        }
        shared.shrink_usage(found.cut);
        for (epoch, file) in found.open {
            shared.files.put((self.attempt, epoch), Arc::new(file));
        }
        if !parts.log.is_empty() {
            for folder in folders_of(&layout::Name::first(self.attempt).path(&shared.root)) {
                File::open(&folder).and_then(|open| open.sync_all()).map_err(Error::io("sync", &folder))?;
            }
        }
        if held.state == State::Unopened {
            held.state = State::Open;
        }
        held.parts = parts;
        held.synced = held.parts.log.len();
        let (len, progress) = (held.synced, held.parts.log.progress().clone());
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
            State::Deleted | State::Sealed => true,
            State::Open | State::Retired => {
                writer == Writer::Alone || self.parts.own().is_some() || self.parts.log.progress().is_ended()
            }
        }
    }
}

/// Answers appends to what has ended and is sealed: repeats are fine.
fn refuse_new(kept: &Progress, entries: Vec<Entry>) -> Result<(), Error> {
    for entry in entries {
        match kept.accept(entry) {
            Accept::Duplicate => {}
            Accept::Conflict(conflict) => return Err(Error::Conflict(conflict)),
            // It has ended, so neither can be.
            Accept::Append(_) | Accept::Missing(_) => return Err(Error::Missing(kept.offsets)),
        }
    }
    Ok(())
}

/// A file's folder, the job's and the root, which may all be new.
fn folders_of(path: &Path) -> impl Iterator<Item = PathBuf> + '_ {
    path.ancestors().skip(1).take(3).map(Path::to_owned)
}
