//! Rare paths: how often each was taken. A path that is never taken is not tested.

use std::collections::BTreeMap;

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
}
