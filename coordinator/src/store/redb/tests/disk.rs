//! A disk in memory that stops at a chosen operation and then shows what a crash could have left.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// What a disk promises at least: a write of a sector is whole or not there.
const SECTOR: usize = 512;

/// The disk. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    /// What reads see: every write so far, as the system's memory has it.
    seen: Vec<u8>,
    /// What was synced.
    synced: Vec<u8>,
    /// What was not, in order.
    unsynced: Vec<Change>,
    /// Operations so far.
    operations: usize,
    /// The operation before which everything stops.
    stop_at: Option<usize>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Disk {
    /// A disk with this content, all of it synced.
    pub(super) fn with(bytes: Vec<u8>) -> Self {
        let content = Content { synced: bytes.clone(), seen: bytes, ..Content::default() };
        Self(Arc::new(Mutex::new(content)))
    }

    /// Every operation from number `n` on fails.
    pub(super) fn stop_at(self, n: usize) -> Self {
        self.content().stop_at = Some(n);
        self
    }

    /// Writes, syncs and changes of length so far.
    pub(super) fn operations(&self) -> usize {
        self.content().operations
    }

    /// What is left when the process was killed.
    pub(super) fn after_kill(&self) -> Vec<u8> {
        self.content().seen.clone()
    }

    /// What may be left when the power failed: of what was not synced some sectors, chosen by `seed`.
    pub(super) fn after_power_loss(&self, seed: u64) -> Vec<u8> {
        let content = self.content();
        let mut random = fastrand::Rng::with_seed(seed);
        let mut left = content.synced.clone();
        for change in &content.unsynced {
            match change {
                Change::Length(length) if random.bool() => left.resize(*length, 0),
                Change::Length(_) => {}
                Change::Write(offset, bytes) => {
                    for (n, sector) in bytes.chunks(SECTOR).enumerate() {
                        let at = offset + n * SECTOR;
                        if random.bool() {
                            left.resize(left.len().max(at + sector.len()), 0);
                            left[at..at + sector.len()].copy_from_slice(sector);
                        }
                    }
                }
            }
        }
        left
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        // A test whose disk panicked has failed already.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Content)) -> io::Result<()> {
        let mut content = self.content();
        if content.stop_at.is_some_and(|n| content.operations >= n) {
            return Err(io::Error::other("the power is gone"));
        }
        content.operations += 1;
        change(&mut content);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.content().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).expect("small");
        let content = self.content();
        let end = offset.checked_add(out.len()).filter(|&end| end <= content.seen.len());
        let end = end.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(&content.seen[offset..end]);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).expect("small");
        self.change(|content| {
            content.seen.resize(length, 0);
            content.unsynced.push(Change::Length(length));
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(|content| {
            content.synced.clone_from(&content.seen);
            content.unsynced.clear();
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).expect("small");
        self.change(|content| {
            let end = offset + data.len();
            if content.seen.len() < end {
                content.seen.resize(end, 0);
            }
            content.seen[offset..end].copy_from_slice(data);
            content.unsynced.push(Change::Write(offset, data.to_vec()));
        })
    }
}
