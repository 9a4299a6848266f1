//! Which images are ours to remove, on disk so that a restart does not forget it.
//!
//! Owns `images.json`. Idle time is added up while the worker runs, by the clock since boot: a wall clock that jumps
//! removes nothing early.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::data_dir::replace_file;

/// What we pulled and how long nobody has needed it.
#[derive(Debug)]
pub struct Index {
    path: PathBuf,
    held: Mutex<Held>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Held {
    /// By reference; only references that did not exist before we pulled them.
    images: BTreeMap<String, Pulled>,
    #[serde(skip)]
    dirty: bool,
}

/// One image of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Pulled {
    /// Its id; empty while the first pull is under way.
    pub(super) id: String,
    /// How long no attempt has needed it.
    pub(super) idle_seconds: u64,
    /// An attempt asked for it to stay.
    pub(super) keep: bool,
}

impl Index {
    /// Reads the index of a data folder. A damaged one is dropped: it only means that images stay.
    pub fn open(root: &Path) -> Self {
        let path = root.join("images.json");
        let held = match std::fs::read(&path).map(|bytes| serde_json::from_slice(&bytes)) {
            Ok(Ok(held)) => held,
            Ok(Err(error)) => {
                tracing::warn!(path = %path.display(), %error, "image index damaged: known images stay for ever");
                Held::default()
            }
            Err(_) => Held::default(),
        };
        Self { path, held: Mutex::new(held) }
    }

    /// Notes that a reference is about to be pulled; `existing` is the image it names now.
    pub(super) fn before_pull(&self, reference: &str, existing: Option<&str>) {
        let mut held = self.held();
        if existing.is_some() || held.images.contains_key(reference) {
            return;
        }
        held.images.insert(reference.to_owned(), Pulled::default());
        self.store(&mut held);
    }

    /// Notes what a pull brought; nothing if the reference is not ours.
    pub(super) fn pulled(&self, reference: &str, id: &str) {
        let mut held = self.held();
        let Some(image) = held.images.get_mut(reference) else { return };
        let old = std::mem::replace(image, Pulled { id: id.to_owned(), idle_seconds: 0, keep: image.keep });
        if !old.id.is_empty() && old.id != id {
            // Our name moved on; what it named before is still ours, by id.
            held.images.insert(old.id.clone(), old);
        }
        self.store(&mut held);
    }

    /// Notes that an attempt needs it now.
    pub(super) fn used(&self, reference: &str, keep: bool) {
        let mut held = self.held();
        let Some(image) = held.images.get_mut(reference) else { return };
        if image.idle_seconds > 0 || keep != image.keep {
            image.idle_seconds = 0;
            image.keep |= keep;
            held.dirty = true;
        }
    }

    /// Adds idle time to everything that is not in use, by reference or id.
    pub(super) fn age(&self, by: Duration, in_use: &BTreeSet<String>) {
        let mut held = self.held();
        for (reference, image) in &mut held.images {
            let used = in_use.contains(reference) || in_use.contains(&image.id);
            image.idle_seconds = if used { 0 } else { image.idle_seconds.saturating_add(by.as_secs()) };
        }
        held.dirty |= !held.images.is_empty();
        if held.dirty {
            self.store(&mut held);
        }
    }

    /// Everything of ours.
    pub(super) fn all(&self) -> BTreeMap<String, Pulled> {
        self.held().images.clone()
    }

    /// Notes that a reference is gone.
    pub(super) fn removed(&self, reference: &str) {
        let mut held = self.held();
        held.images.remove(reference);
        self.store(&mut held);
    }

    fn store(&self, held: &mut Held) {
        let bytes = serde_json::to_vec_pretty(held).expect("strings and numbers always serialise");
        match replace_file(&self.path, &bytes) {
            Ok(()) => held.dirty = false,
            // An image that is not remembered stays on the disk; nothing worse.
            Err(error) => tracing::warn!(path = %self.path.display(), %error, "image index not written"),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Entries are replaced whole, so a panic elsewhere cannot have broken the map.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_existed_before_is_never_ours_even_after_a_pull_moved_it() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let index = Index::open(folder.path());
        index.before_pull("theirs:1", Some("sha256:old"));
        index.pulled("theirs:1", "sha256:new");
        index.before_pull("ours:1", None);
        index.pulled("ours:1", "sha256:a");
        assert_eq!(index.all().keys().collect::<Vec<_>>(), ["ours:1"]);
    }

    #[test]
    fn ours_stays_ours_over_a_restart_and_a_second_pull() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let index = Index::open(folder.path());
        index.before_pull("ours:1", None);
        index.pulled("ours:1", "sha256:a");
        let index = Index::open(folder.path());
        index.before_pull("ours:1", Some("sha256:a"));
        index.pulled("ours:1", "sha256:b");
        assert_eq!(
            index.all().keys().collect::<Vec<_>>(),
            ["ours:1", "sha256:a"],
            "the old image is ours by id"
        );
    }

    #[test]
    fn idle_time_counts_only_while_nobody_needs_it() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let index = Index::open(folder.path());
        index.before_pull("ours:1", None);
        index.pulled("ours:1", "sha256:a");
        index.age(Duration::from_secs(60), &BTreeSet::new());
        assert_eq!(Index::open(folder.path()).all()["ours:1"].idle_seconds, 60);
        index.age(Duration::from_secs(60), &BTreeSet::from(["sha256:a".to_owned()]));
        assert_eq!(index.all()["ours:1"].idle_seconds, 0);
    }
}
