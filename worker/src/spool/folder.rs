//! The spool folder: which attempts have output on this machine.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dockmgr_core::ids::AttemptId;
use tokio::sync::watch;

use super::attempt::{io_error, run};
use super::{AttemptSpool, Error};

/// All spooled output of this worker. Clones share it. One process may have a folder open at a time; the worker's lock
/// on its data folder sees to that.
#[derive(Debug, Clone)]
pub struct Spool {
    root: PathBuf,
    open: Arc<Mutex<BTreeMap<AttemptId, AttemptSpool>>>,
    /// Told when an attempt gets a spool or loses it.
    changed: watch::Sender<()>,
}

impl Spool {
    /// Opens the folder `root` and every attempt a previous run left in it. Entries that are no attempt are left alone.
    pub async fn open(root: PathBuf) -> Result<Self, Error> {
        run(move || {
            fs::create_dir_all(&root).map_err(|source| io_error("create", &root, source))?;
            let mut open = BTreeMap::new();
            for attempt in left_over(&root).map_err(|source| io_error("list", &root, source))? {
                open.insert(attempt, AttemptSpool::open(&root.join(attempt.to_string()), attempt)?);
            }
            Ok(Self { root, open: Arc::new(Mutex::new(open)), changed: watch::Sender::new(()) })
        })
        .await
    }

    /// The attempts that have a spool, in order.
    pub fn attempts(&self) -> Vec<AttemptId> {
        self.lock().keys().copied().collect()
    }

    /// All spools there are, by attempt.
    pub fn all(&self) -> BTreeMap<AttemptId, AttemptSpool> {
        self.lock().clone()
    }

    /// Tells whenever an attempt gets a spool or loses it.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The spool of `attempt`, created if there is none.
    pub async fn attempt(&self, attempt: AttemptId) -> Result<AttemptSpool, Error> {
        if let Some(spool) = self.lock().get(&attempt) {
            return Ok(spool.clone());
        }
        let this = self.clone();
        run(move || {
            // The lock is held while opening, so that two callers never open one file twice.
            let mut open = this.lock();
            if let Some(spool) = open.get(&attempt) {
                return Ok(spool.clone());
            }
            let spool = AttemptSpool::open(&this.root.join(attempt.to_string()), attempt)?;
            open.insert(attempt, spool.clone());
            this.changed.send_replace(());
            Ok(spool)
        })
        .await
    }

    /// Removes the spool of `attempt`, once its end is durable elsewhere or nobody wants it. Removing it twice is fine.
    pub async fn remove(&self, attempt: AttemptId) -> Result<(), Error> {
        let this = self.clone();
        run(move || {
            let folder = this.root.join(attempt.to_string());
            this.lock().remove(&attempt);
            this.changed.send_replace(());
            match fs::remove_dir_all(&folder) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    Err(io_error("remove", &folder, source))
                }
                Ok(()) | Err(_) => Ok(()),
            }
        })
        .await
    }

    /// Bytes of all spool files together.
    pub fn bytes(&self) -> u64 {
        self.lock().values().map(AttemptSpool::file_len).sum()
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AttemptId, AttemptSpool>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Attempts that have a folder under `root`.
fn left_over(root: &Path) -> io::Result<Vec<AttemptId>> {
    let mut found = Vec::new();
    for folder in fs::read_dir(root)? {
        let name = folder?.file_name();
        if let Some(attempt) = name.to_str().and_then(|name| name.parse().ok()) {
            found.push(attempt);
        }
    }
    Ok(found)
}
