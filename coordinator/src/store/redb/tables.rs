//! The file's two tables and the transactions on them.
//!
//! `data` holds key -> (revision, value), `meta` the last revision and the last epoch. All calls block.

use std::ops::Bound;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use dockmgr_core::ids::Epoch;
use redb::{Builder, Database, Durability, ReadableDatabase, ReadableTable, Table, TableDefinition};

use super::super::entry::PAGE_BYTES;
use super::super::write::WriteSet;
use super::super::{Change, Entry, Error, Guard, Key, Page, Prefix, Revision};
use super::failure::classify;

const DATA: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("data");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const REVISION: &str = "revision";
const EPOCH: &str = "epoch";

/// Page cache: everything is read once, at start-up, and what is written is small. redb's own default of 1 GiB is more than the
/// whole coordinator may use.
const CACHE_BYTES: usize = 16 << 20;

type Data<'txn> = Table<'txn, &'static str, (u64, &'static [u8])>;

/// The open file.
#[derive(Debug)]
pub(super) struct Tables {
    database: Database,
    path: PathBuf,
}

impl Tables {
    /// Opens or makes the file, verifies it and makes its name durable.
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("state.redb");
        if !path.exists() {
            Self::make(folder, &path)?;
        }
        let database = builder().create(&path).map_err(|error| classify("open", &path, error))?;
        let tables = Self { database, path };
        tables.create_tables()?;
        let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|source| Error::Io { action: "sync", path: folder.to_owned(), source })?;
        Ok(tables)
    }

    /// Makes an empty file, which gets its name when it is whole: a crash must not leave a file that cannot be opened.
    fn make(folder: &Path, path: &Path) -> Result<(), Error> {
        let failed = |action| move |source| Error::Io { action, path: path.to_owned(), source };
        let unfinished = folder.join("state.redb.new");
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed("make")(error)),
            Ok(()) | Err(_) => {}
        }
        let database = builder().create(&unfinished).map_err(|error| classify("make", path, error))?;
        let tables = Self { database, path: path.to_owned() };
        tables.create_tables()?;
        // Closing writes, too.
        drop(tables);
        std::fs::File::open(&unfinished).and_then(|file| file.sync_all()).map_err(failed("make"))?;
        std::fs::rename(&unfinished, path).map_err(failed("make"))
    }

    /// The tables of a disk that a test controls.
    #[cfg(test)]
    pub(super) fn on(disk: impl redb::StorageBackend) -> Result<Self, Error> {
        let path = PathBuf::from("state.redb");
        let database = builder().create_with_backend(disk).map_err(|error| classify("open", &path, error))?;
        let tables = Self { database, path };
        tables.create_tables()?;
        Ok(tables)
    }

    /// The file, for messages.
    pub(super) fn place(&self) -> String {
        self.path.display().to_string()
    }

    /// The last revision and the last epoch.
    pub(super) fn counters(&self) -> Result<(Revision, Epoch), Error> {
        let read = self.read(|| {
            let meta = self.database.begin_read()?.open_table(META)?;
            let number = |name| Ok::<_, redb::Error>(meta.get(name)?.map_or(0, |guard| guard.value()));
            Ok((number(REVISION)?, number(EPOCH)?))
        });
        read.map(|(revision, epoch)| (Revision(revision), Epoch(epoch)))
    }

    pub(super) fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        self.read(|| {
            let data = self.database.begin_read()?.open_table(DATA)?;
            Ok(data.get(key.as_str())?.map(|guard| {
                let (revision, value) = guard.value();
                entry(key.clone(), revision, value)
            }))
        })
    }

    pub(super) fn list(&self, prefix: &Prefix, after: Option<&Key>, mut limit: usize) -> Result<Page, Error> {
        let from = match after {
            Some(key) if key.as_str() >= prefix.as_str() => Bound::Excluded(key.as_str()),
            Some(_) | None => Bound::Included(prefix.as_str()),
        };
        let (rows, revision) = self.read(|| {
            let transaction = self.database.begin_read()?;
            let revision = transaction.open_table(META)?.get(REVISION)?.map_or(0, |guard| guard.value());
            let data = transaction.open_table(DATA)?;
            let (mut rows, mut bytes) = (Vec::new(), 0);
            for row in data.range::<&str>((from, Bound::Unbounded))? {
                let (key, stored) = row?;
                if rows.len() > limit || !key.value().starts_with(prefix.as_str()) {
                    break;
                }
                let (at, value) = stored.value();
                rows.push((key.value().to_owned(), at, Bytes::copy_from_slice(value)));
                if bytes >= PAGE_BYTES {
                    // The page is full: this row only tells that there is more.
                    limit = rows.len() - 1;
                    break;
                }
                bytes += value.len();
            }
            Ok((rows, revision))
        })?;
        let entries = rows.into_iter().map(|(key, at, value)| {
            let key = Key::new(key).map_err(|error| self.corrupt(error.to_string()))?;
            Ok(Entry { key, value, revision: Revision(at) })
        });
        Ok(Page::cut(entries.collect::<Result<_, Error>>()?, limit, Revision(revision)))
    }

    /// Makes `epoch` the last one used, durably.
    pub(super) fn store_epoch(&self, epoch: Epoch) -> Result<(), Error> {
        self.write("store the leader's epoch in", |meta, _| {
            meta.insert(EPOCH, epoch.0)?;
            Ok(())
        })
    }

    /// Checks the preconditions and applies the writes as commit `revision`; on disk when it returns. Returns what
    /// really changed.
    pub(super) fn commit(
        &self,
        set: &WriteSet,
        guard: &Guard,
        revision: Revision,
    ) -> Result<Vec<Change>, Error> {
        self.write("commit to", |meta, data| {
            guard.check_keys(|key| {
                let found = data.get(key.as_str())?;
                Ok::<_, Broken>(found.map(|stored| Revision(stored.value().0)))
            })?;
            meta.insert(REVISION, revision.0)?;
            let mut changes = Vec::with_capacity(set.writes.len());
            for (key, value) in &set.writes {
                if let Some(value) = value {
                    data.insert(key.as_str(), (revision.0, value.as_ref()))?;
                    changes.push(Change::Put { key: key.clone(), value: value.clone() });
                } else if data.remove(key.as_str())?.is_some() {
                    changes.push(Change::Delete { key: key.clone() });
                }
            }
            Ok(changes)
        })
    }

    fn create_tables(&self) -> Result<(), Error> {
        self.write("prepare", |_, _| Ok(()))
    }

    /// Runs `work` in one durable transaction; an error leaves the file as it was.
    fn write<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&mut Table<'_, &'static str, u64>, &mut Data<'_>) -> Result<T, Broken>,
    ) -> Result<T, Error> {
        let attempt = || {
            let mut transaction = self.database.begin_write().map_err(Broken::redb)?;
            // On disk when `commit` returns; a weaker level would break "acknowledged means durable".
            transaction.set_durability(Durability::Immediate).map_err(Broken::redb)?;
            let done = {
                let mut meta = transaction.open_table(META)?;
                let mut data = transaction.open_table(DATA)?;
                work(&mut meta, &mut data)?
            };
            transaction.commit().map_err(Broken::redb)?;
            Ok(done)
        };
        attempt().map_err(|broken: Broken| match broken {
            Broken::Rule(error) => error,
            Broken::Redb(error) => classify(action, &self.path, *error),
        })
    }

    fn read<T>(&self, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Error> {
        work().map_err(|error| classify("read", &self.path, error))
    }

    fn corrupt(&self, detail: String) -> Error {
        Error::Corrupt { place: self.place(), detail }
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    // Without the check a file altered from outside may make redb panic later.
    builder.set_check_integrity_on_open(true);
    builder
}

/// Why a transaction was broken off.
enum Broken {
    /// A precondition did not hold.
    Rule(Error),
    /// The file failed.
    Redb(Box<redb::Error>),
}

impl Broken {
    fn redb(error: impl Into<redb::Error>) -> Self {
        Self::Redb(Box::new(error.into()))
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Rule(error)
    }
}

impl From<redb::StorageError> for Broken {
    fn from(error: redb::StorageError) -> Self {
        Self::redb(error)
    }
}

impl From<redb::TableError> for Broken {
    fn from(error: redb::TableError) -> Self {
        Self::redb(error)
    }
}

fn entry(key: Key, revision: u64, value: &[u8]) -> Entry {
    Entry { key, value: Bytes::copy_from_slice(value), revision: Revision(revision) }
}
