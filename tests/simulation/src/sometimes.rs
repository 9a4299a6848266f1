//! Rare paths: how often each was taken. A path that is never taken is not tested.

use std::collections::BTreeMap;

/// Every path that is counted, by name: a large enough run must take each.
pub(crate) const PATHS: [&str; 54] = [
    "answer of an old leader whose lease ended early",
    "attempt forgotten by order",
    "attempts adopted",
    "attempts overlapped, as allowed",
    "call of the daemon in doubt",
    "client tries again",
    "command of an older session dropped",
    "commit fenced",
    "commit in doubt",
    "container removed by hand",
    "daemon's answer lost",
    "disk of the store failed",
    "end: exited",
    "end: image failed",
    "end: infra unknown",
    "end: killed",
    "end: lost",
    "end: signaled",
    "end: stopped",
    "end: timeout",
    "group of several transactions",
    "guard killed",
    "host stood still",
    "image failed",
    "journal could not be written",
    "leader elected",
    "leader steps down",
    "lease over by own clock",
    "loaded again it is the same",
    "output recovered",
    "output waits for room",
    "own end while being stopped",
    "program ended by hand",
    "program ended by itself",
    "program ended by its guard",
    "program ended by its worker",
    "program ended with its daemon",
    "program ended with its host",
    "program ran",
    "record written, process dead",
    "request forwarded",
    "session replaced",
    "silent leader left",
    "silent session closed",
    "stale load refused",
    "stale read",
    "start in doubt",
    "stray removed",
    "watch began anew",
    "watch resumed",
    "watcher told of a deletion",
    "worker fenced",
    "worker given up hung up on",
    "second tick changed nothing",
];

/// Paths that are counted and so rare that nobody waits for them.
pub(crate) const RARE: [&str; 7] = [
    "commit done, process dead",
    "end interrupted before the start",
    "history too long to decide",
    "old leader refused",
    "program its daemon forgot",
    "ran and was removed as an unknown start",
    "stop is stuck",
];

/// Seeds after which a path that was not taken is a failure.
pub(crate) const ENOUGH_SEEDS: u64 = 10_000;

/// Counts by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts(pub(crate) BTreeMap<&'static str, u64>);

impl Counts {
    pub(crate) fn note(&mut self, name: &'static str) {
        *self.0.entry(name).or_insert(0) += 1;
    }

    /// Adds a seed's counts, each path once.
    pub(crate) fn add_seed(&mut self, other: &Self) {
        for name in other.0.keys() {
            self.note(name);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (name, count) in &other.0 {
            *self.0.entry(name).or_insert(0) += count;
        }
    }

    pub(crate) fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Paths that were not taken.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        PATHS.into_iter().filter(|name| self.of(name) == 0).collect()
    }

    /// Names that are counted and not in the list.
    pub(crate) fn unknown(&self) -> Vec<&'static str> {
        self.0.keys().copied().filter(|name| !PATHS.contains(name) && !RARE.contains(name)).collect()
    }
}
