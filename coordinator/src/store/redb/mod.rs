//! The store of a single machine: one file under an exclusive lock.
//!
//! Owns opening, locking and the hand-over to blocking threads; the tables and transactions are in `tables`. A commit
//! is on disk (fsync) before it returns. After a failed write the process must exit ([`Error::is_fatal`]).

mod failure;
mod tables;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use dockmgr_core::ids::Epoch;
use dockmgr_support::folder_lock::FolderLock;

use super::history::History;
use super::lease::Term;
use super::write::WriteSet;
use super::{ChangeBatch, Entry, Error, Guard, Keeper, Key, Lease, Page, Prefix, Revision};

use tables::Tables;

/// Where the embedded store lives.
#[derive(Debug, Clone)]
pub struct Config {
    /// A folder of its own; made if it does not exist. It gets `state.redb` and `lock`.
    pub folder: PathBuf,
}

/// State in a file; clones share it, the last one closes it.
#[derive(Debug, Clone)]
pub(super) struct Redb {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tables: Tables,
    /// Held for the whole of a commit: one writer, and the history sees commits in order.
    writer: Mutex<Writer>,
    term: Term,
    history: Arc<History>,
    /// Last, so that it is released after the file is closed.
    _lock: FolderLock,
}

#[derive(Debug)]
struct Writer {
    revision: Revision,
    epoch: Epoch,
}

impl Redb {
    pub(super) async fn open(config: &Config) -> Result<Self, Error> {
        let folder = config.folder.clone();
        let place = folder.display().to_string();
        let inner = run_blocking(place, move || {
            let lock = take(&folder)?;
            let tables = Tables::open(&folder)?;
            let (revision, epoch) = tables.counters()?;
            let history = Arc::new(History::after(revision));
            let writer = Mutex::new(Writer { revision, epoch });
            Ok(Inner { tables, writer, term: Term::new(), history, _lock: lock })
        })
        .await?;
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(super) async fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let key = key.clone();
        self.blocking(move |inner| inner.tables.get(&key)).await
    }

    pub(super) async fn list(
        &self,
        prefix: &Prefix,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page, Error> {
        let (prefix, after) = (prefix.clone(), after.cloned());
        self.blocking(move |inner| inner.tables.list(&prefix, after.as_ref(), limit)).await
    }

    pub(super) async fn commit(&self, set: WriteSet, guard: Guard) -> Result<Revision, Error> {
        self.blocking(move |inner| inner.commit(&set, &guard)).await
    }

    pub(super) async fn campaign(&self) -> Result<(Lease, Keeper), Error> {
        self.blocking(|inner| {
            let mut writer = inner.writer()?;
            let epoch = Epoch(writer.epoch.0 + 1);
            inner.tables.store_epoch(epoch)?;
            writer.epoch = epoch;
            Ok(inner.term.begin_embedded(epoch))
        })
        .await
    }

    pub(super) fn history(&self) -> Arc<History> {
        Arc::clone(&self.inner.history)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.inner);
        let place = inner.tables.place();
        run_blocking(place, move || work(&inner)).await
    }
}

impl Inner {
    fn commit(&self, set: &WriteSet, guard: &Guard) -> Result<Revision, Error> {
        let mut writer = self.writer()?;
        if !self.term.is_led_by(guard.epoch) {
            return Err(Error::Fenced { epoch: guard.epoch });
        }
        let revision = writer.revision.next();
        let changes = self.tables.commit(set, guard, revision)?;
        writer.revision = revision;
        self.history.publish(ChangeBatch { revision, changes });
        Ok(revision)
    }

    fn writer(&self) -> Result<std::sync::MutexGuard<'_, Writer>, Error> {
        let poisoned = |_| Error::Corrupt {
            place: self.tables.place(),
            detail: "an earlier write was broken off by a panic".to_owned(),
        };
        self.writer.lock().map_err(poisoned)
    }
}

/// Makes the folder if needed and takes it, or fails with [`Error::Locked`].
fn take(folder: &Path) -> Result<FolderLock, Error> {
    let failed = |action| move |source: std::io::Error| Error::Io { action, path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(failed("create the store's folder"))?;
    let lock = FolderLock::acquire(folder).map_err(failed("lock"))?;
    lock.ok_or_else(|| Error::Locked { path: folder.join(FolderLock::FILE) })
}

/// Runs blocking file work on a thread made for it. Dropping the future does not stop work that has begun.
async fn run_blocking<T: Send + 'static>(
    place: String,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    // redb may panic on a file that something else has altered; that ends the call, not the process.
    let broken = |_| Error::Corrupt { place, detail: "reading it panicked".to_owned() };
    tokio::task::spawn_blocking(work).await.map_err(broken)?
}

#[cfg(test)]
mod tests;
