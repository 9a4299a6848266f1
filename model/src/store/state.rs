//! The keys, their revisions and who leads.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Bound;

use dockmgr_core::ids::Epoch;

/// A commit that is asked for.
#[derive(Debug, Clone)]
pub struct Commit<K, V> {
    /// The epoch that must be leading.
    pub epoch: Epoch,
    /// Keys and the revision they must have been written at; `None`: must not exist.
    pub preconditions: Vec<(K, Option<u64>)>,
    /// The new value of each key, `None` to delete it.
    pub writes: Vec<(K, Option<V>)>,
}

/// Why a commit was not applied. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused<K> {
    /// Its epoch does not lead.
    Fenced,
    /// The first precondition that does not hold is this key's.
    Conflict(K),
}

/// What a commit did to one key: its new value, or `None` if it was deleted.
pub type Change<K, V> = (K, Option<V>);

/// A commit that was applied.
#[derive(Debug, Clone)]
pub struct Applied<K, V> {
    /// Its revision.
    pub revision: u64,
    /// What it changed, in key order.
    pub changes: Vec<Change<K, V>>,
}

/// All state of the store.
#[derive(Debug, Clone)]
pub struct State<K, V> {
    entries: BTreeMap<K, (u64, V)>,
    revision: u64,
    /// The last epoch that was given out.
    epoch: Epoch,
    /// The epoch that leads, if one does.
    leading: Option<Epoch>,
}

impl<K: Ord, V> Default for State<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), revision: 0, epoch: Epoch(0), leading: None }
    }
}

impl<K: Ord + Clone, V: Clone> State<K, V> {
    /// Reads one key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&(u64, V)>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key)
    }

    /// The entries from `from` on, in key order.
    pub fn range<'a, Q: Ord + ?Sized>(
        &'a self,
        from: Bound<&Q>,
    ) -> impl Iterator<Item = (&'a K, &'a (u64, V))> + use<'a, K, V, Q>
    where
        K: Borrow<Q>,
    {
        self.entries.range::<Q, _>((from, Bound::Unbounded))
    }

    /// The revision of the last commit.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Applies a commit whole or not at all.
    pub fn commit(&mut self, commit: Commit<K, V>) -> Result<Applied<K, V>, Refused<K>> {
        if self.leading != Some(commit.epoch) {
            return Err(Refused::Fenced);
        }
        for (key, expected) in commit.preconditions {
            if self.entries.get(&key).map(|(revision, _)| *revision) != expected {
                return Err(Refused::Conflict(key));
            }
        }
        self.revision += 1;
        let changes = commit.writes.into_iter().filter_map(|(key, value)| self.apply(key, value)).collect();
        Ok(Applied { revision: self.revision, changes })
    }

    /// Makes the caller the leader with an epoch larger than all before; the one before is fenced from now on.
    pub fn campaign(&mut self) -> Epoch {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.leading = Some(self.epoch);
        self.epoch
    }

    /// Ends `epoch` if it still leads: given up, or its lease ran out.
    pub fn resign(&mut self, epoch: Epoch) {
        if self.leading == Some(epoch) {
            self.leading = None;
        }
    }

    /// The epoch that leads.
    pub fn leading(&self) -> Option<Epoch> {
        self.leading
    }

    /// Writes one key at the current revision; `None` if nothing changed.
    fn apply(&mut self, key: K, value: Option<V>) -> Option<Change<K, V>> {
        if let Some(value) = value {
            self.entries.insert(key.clone(), (self.revision, value.clone()));
            Some((key, Some(value)))
        } else {
            self.entries.remove(&key).map(|_| (key, None))
        }
    }
}
