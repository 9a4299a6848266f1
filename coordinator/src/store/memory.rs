//! The store without a disk: the reference for the other two, and what tests run on.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dockmgr_core::ids::Epoch;

use super::history::History;
use super::lease::Term;
use super::write::WriteSet;
use super::{Change, ChangeBatch, Entry, Error, Guard, Keeper, Key, Lease, Page, Prefix, Revision};

/// State in this process; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    state: Arc<Mutex<State>>,
    term: Term,
    history: Arc<History>,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<Key, (Revision, Bytes)>,
    revision: Revision,
    epoch: Epoch,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            state: Arc::default(),
            term: Term::new(),
            history: Arc::new(History::after(Revision::default())),
        }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Entry> {
        let state = self.state();
        let (revision, value) = state.entries.get(key)?;
        Some(Entry { key: key.clone(), value: value.clone(), revision: *revision })
    }

    pub(super) fn list(&self, prefix: &Prefix, after: Option<&Key>, limit: usize) -> Page {
        let state = self.state();
        let from = match after {
            Some(key) if key.as_str() >= prefix.as_str() => Bound::Excluded(key.as_str()),
            Some(_) | None => Bound::Included(prefix.as_str()),
        };
        let entries = state
            .entries
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| prefix.contains(key))
            .take(limit + 1)
            .map(|(key, (revision, value))| Entry {
                key: key.clone(),
                value: value.clone(),
                revision: *revision,
            })
            .collect();
        Page::cut(entries, limit, state.revision)
    }

    pub(super) fn commit(&self, set: WriteSet, guard: &Guard) -> Result<Revision, Error> {
        let mut state = self.state();
        if !self.term.is_led_by(guard.epoch) {
            return Err(Error::Fenced { epoch: guard.epoch });
        }
        guard.check_keys::<Error>(|key| Ok(state.entries.get(key).map(|(revision, _)| *revision)))?;
        let revision = state.revision.next();
        state.revision = revision;
        let changes = set.writes.into_iter().filter_map(|(key, value)| state.apply(key, value)).collect();
        // Still under the lock: the history must see commits in order.
        self.history.publish(ChangeBatch { revision, changes });
        Ok(revision)
    }

    pub(super) fn campaign(&self) -> (Lease, Keeper) {
        let mut state = self.state();
        state.epoch = Epoch(state.epoch.0 + 1);
        self.term.begin_embedded(state.epoch)
    }

    pub(super) fn history(&self) -> Arc<History> {
        Arc::clone(&self.history)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds it can panic half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Writes one key at the current revision; `None` if nothing changed.
    fn apply(&mut self, key: Key, value: Option<Bytes>) -> Option<Change> {
        if let Some(value) = value {
            self.entries.insert(key.clone(), (self.revision, value.clone()));
            Some(Change::Put { key, value })
        } else {
            self.entries.remove(&key).map(|_| Change::Delete { key })
        }
    }
}
