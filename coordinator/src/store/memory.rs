//! The store without a disk: the reference for the other two, and what tests run on. The rules are
//! [`dockmgr_model::store`]'s; this adds the lock, the watches and the lease.

use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dockmgr_model::store::{Commit, Refused, State};

use super::history::History;
use super::lease::Term;
use super::write::WriteSet;
use super::{Change, ChangeBatch, Entry, Error, Expected, Guard, Keeper, Key, Lease, Page, Prefix, Revision};

/// State in this process; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    state: Arc<Mutex<State<Key, Bytes>>>,
    term: Term,
    history: Arc<History>,
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
        let (revision, value) = state.get(key)?;
        Some(Entry { key: key.clone(), value: value.clone(), revision: Revision(*revision) })
    }

    pub(super) fn list(&self, prefix: &Prefix, after: Option<&Key>, limit: usize) -> Page {
        let state = self.state();
        let from = match after {
            Some(key) if key.as_str() >= prefix.as_str() => Bound::Excluded(key.as_str()),
            Some(_) | None => Bound::Included(prefix.as_str()),
        };
        let entries = state
            .range(from)
            .take_while(|(key, _)| prefix.contains(key))
            .take(limit + 1)
            .map(|(key, (revision, value))| Entry {
                key: key.clone(),
                value: value.clone(),
                revision: Revision(*revision),
            })
            .collect();
        Page::cut(entries, limit, Revision(state.revision()))
    }

    pub(super) fn commit(&self, set: WriteSet, guard: &Guard) -> Result<Revision, Error> {
        let mut state = self.state();
        if !self.term.is_led_by(guard.epoch) {
            return Err(Error::Fenced { epoch: guard.epoch });
        }
        let preconditions = guard.preconditions.iter().map(|precondition| {
            let expected = match precondition.expected {
                Expected::Absent => None,
                Expected::At(revision) => Some(revision.0),
            };
            (precondition.key.clone(), expected)
        });
        let commit = Commit {
            epoch: guard.epoch,
            preconditions: preconditions.collect(),
            writes: set.writes.into_iter().collect(),
        };
        let applied = state.commit(commit).map_err(|refused| match refused {
            Refused::Fenced => Error::Fenced { epoch: guard.epoch },
            Refused::Conflict(key) => Error::Conflict { key },
        })?;
        let changes = applied.changes.into_iter().map(|(key, value)| match value {
            Some(value) => Change::Put { key, value },
            None => Change::Delete { key },
        });
        let revision = Revision(applied.revision);
        // Still under the lock: the history must see commits in order.
        self.history.publish(ChangeBatch { revision, changes: changes.collect() });
        Ok(revision)
    }

    pub(super) fn campaign(&self) -> (Lease, Keeper) {
        let mut state = self.state();
        self.term.begin_embedded(state.campaign())
    }

    pub(super) fn history(&self) -> Arc<History> {
        Arc::clone(&self.history)
    }

    fn state(&self) -> MutexGuard<'_, State<Key, Bytes>> {
        // No code that holds it can panic half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
