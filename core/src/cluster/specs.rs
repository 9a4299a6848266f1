//! The specs of all jobs, each kept once: who submits a hundred thousand jobs mostly asks for the same again.
//!
//! Owns who shares what. Used where jobs come into the cluster and where they leave it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::spec::JobSpec;

/// Specs and how many jobs have each.
#[derive(Debug, Default)]
pub(super) struct Specs {
    held: BTreeMap<Arc<JobSpec>, usize>,
}

impl Specs {
    /// The one to keep in the place of `spec`, which another job may have as well; [`Specs::release`] gives it back.
    pub(super) fn share(&mut self, spec: Arc<JobSpec>) -> Arc<JobSpec> {
        let shared = self.held.get_key_value(&spec).map_or(spec, |(known, _)| Arc::clone(known));
        *self.held.entry(Arc::clone(&shared)).or_default() += 1;
        shared
    }

    /// Notes that a job that had this spec is gone.
    pub(super) fn release(&mut self, spec: &Arc<JobSpec>) {
        let Some(holders) = self.held.get_mut(spec) else { return };
        *holders -= 1;
        if *holders == 0 {
            self.held.remove(spec);
        }
    }

    /// How many jobs have a spec that is kept here.
    pub(super) fn holders(&self) -> usize {
        self.held.values().sum()
    }
}
