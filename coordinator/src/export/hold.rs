//! Whose output exporters still need: retention asks before it deletes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dockmgr_core::export::JobSet;
use dockmgr_core::ids::JobId;

/// What every exporter has done, as its cursor was last stored. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hold {
    /// By exporter; `None` until its cursor was read. One that was read before somebody else led holds too few jobs, never
    /// too many: what is done stays done.
    done: Arc<Mutex<BTreeMap<String, Option<JobSet>>>>,
}

impl Hold {
    /// Whether an exporter has not shipped all output of `job`, or may not have.
    pub(crate) fn needs(&self, job: JobId) -> bool {
        self.lock().values().any(|done| done.as_ref().is_none_or(|done| !done.contains(job)))
    }

    /// There is an exporter of this name, and nobody knows yet what it has done.
    pub(super) fn expect(&self, exporter: &str) {
        self.lock().insert(exporter.to_owned(), None);
    }

    /// It is stored that an exporter has done these jobs.
    pub(crate) fn tell(&self, exporter: &str, done: &JobSet) {
        self.lock().insert(exporter.to_owned(), Some(done.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Option<JobSet>>> {
        // Nothing panics while it is held.
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_needed_until_every_exporter_is_done_with_it() {
        let (hold, job) = (Hold::default(), JobId::new(7).expect("not 0"));
        let set = |text: &str| text.parse::<JobSet>().expect("a set");
        assert!(!hold.needs(job), "nobody ships");
        hold.expect("a");
        assert!(hold.needs(job), "nobody knows what is done");
        hold.tell("a", &set("1-9"));
        assert!(!hold.needs(job));
        hold.tell("b", &set("1-6"));
        assert!(hold.needs(job) && !hold.needs(JobId::FIRST));
        hold.tell("b", &set("1-7"));
        assert!(!hold.needs(job));
    }
}
