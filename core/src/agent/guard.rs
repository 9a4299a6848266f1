//! Which containers the guard kills: those of fenced attempts that outlived the worker's own stop and grace.
//!
//! Owns the rule. The guard is a process of its own that acts when the worker is dead, hung or stopped, or the daemon does
//! not answer; it looks again and again and does nothing by memory.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::FENCE_GRACE;
use crate::ids::AttemptId;
use crate::spec::OnLost;
use crate::time::BootTime;

use super::fence::{Contact, Fence, is_fenced};

/// A container that was started or is about to be, as the worker wrote it down for the guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarded {
    /// Its full id.
    pub container: String,
    /// What its job says about losing its worker.
    pub on_lost: OnLost,
}

/// The attempts whose containers must not live any more at `now`. Whether they do is for the shell to see.
pub fn guard_kills(
    records: &BTreeMap<AttemptId, Guarded>,
    contact: Contact,
    now: BootTime,
) -> BTreeSet<AttemptId> {
    let Fence::Fenced { since } = contact.fence(now) else { return BTreeSet::new() };
    if now < since + FENCE_GRACE {
        return BTreeSet::new();
    }
    records.iter().filter(|(_, guarded)| is_fenced(guarded.on_lost)).map(|(attempt, _)| *attempt).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_guard_kills_after_fence_and_grace_and_never_what_waits() {
        let attempt = |job| AttemptId::from_parts(job, 0, 1).expect("numbers from 1");
        let policies = [OnLost::Retry, OnLost::Fail, OnLost::Wait];
        let records: BTreeMap<_, _> = (1..)
            .zip(policies)
            .map(|(job, on_lost)| (attempt(job), Guarded { container: format!("c{job}"), on_lost }))
            .collect();
        let last = BootTime(7_000_000_000);
        let contact = Contact { last: Some(last), fence_after: Duration::from_secs(20) };
        let due = last + Duration::from_secs(25);
        assert!(guard_kills(&records, contact, due - Duration::from_nanos(1)).is_empty());
        let kills = BTreeSet::from([attempt(1), attempt(2)]);
        assert_eq!(guard_kills(&records, contact, due), kills);
        assert_eq!(guard_kills(&records, contact, due + Duration::from_secs(3600)), kills, "again and again");
        let back = Contact { last: Some(due), ..contact };
        assert!(guard_kills(&records, back, due).is_empty(), "contact is back");
    }
}
