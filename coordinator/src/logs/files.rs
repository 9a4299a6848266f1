//! Open log files, at most so many at a time, least recently used closed first.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dockmgr_core::ids::{AttemptId, Epoch};

/// Open files kept: well below the usual limit of 1024 descriptors, which connections share.
const KEPT: usize = 256;

/// Names a file: its attempt and the epoch of its writer.
pub(super) type Key = (AttemptId, Epoch);

/// The open files. A file in use stays open for its user after it was dropped here.
#[derive(Debug, Default)]
pub(super) struct Files {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    files: BTreeMap<Key, (u64, Arc<File>)>,
    uses: u64,
}

impl Files {
    /// The file of `key`, if it is open.
    pub(super) fn get(&self, key: Key) -> Option<Arc<File>> {
        let mut inner = self.lock();
        inner.uses += 1;
        let now = inner.uses;
        let (used, file) = inner.files.get_mut(&key)?;
        *used = now;
        Some(Arc::clone(file))
    }

    /// Keeps a file open, closing the one that was not used for longest.
    pub(super) fn put(&self, key: Key, file: Arc<File>) {
        let mut inner = self.lock();
        inner.uses += 1;
        let now = inner.uses;
        inner.files.insert(key, (now, file));
        if inner.files.len() > KEPT {
            let oldest = inner.files.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                inner.files.remove(&oldest);
            }
        }
    }

    /// Closes the files of `attempt`.
    pub(super) fn forget(&self, attempt: AttemptId) {
        self.lock().files.retain(|(of, _), _| *of != attempt);
    }

    /// Closes all files.
    pub(super) fn forget_all(&self) {
        self.lock().files.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
