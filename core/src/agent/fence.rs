//! When a worker gives its attempts up by its own clock, because its leader is about to give up the worker.
//!
//! Owns the rule and its times; reads no clock. The worker counts from the moment at which it *sent* the last sign of
//! life that was acknowledged, the leader from the moment at which it *received* that one or a later one, so the worker is
//! always first. Both clocks count the time a machine is suspended.
//!
//! ```text
//!  Free --(no acknowledged sign of life for fence_after)--> Fenced: stop, grace, SIGKILL; nothing starts
//!    ^                                                         |     (after the grace the guard kills what still lives)
//!    +-----------------(contact is back)-----------------------+     what was being ended ends; the rest is as before
//! ```

use std::time::Duration;

use crate::spec::OnLost;
use crate::time::BootTime;

/// Fence time of a worker that was not told one: a leader replaces after 300 s by default.
pub const DEFAULT_FENCE_AFTER: Duration = Duration::from_secs(240);

/// What a worker knows of its leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    /// When the last acknowledged sign of life was sent, in this boot of the host; `None` if there was none.
    pub last: Option<BootTime>,
    /// How long attempts go on without contact.
    pub fence_after: Duration,
}

/// Whether attempts may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// They may.
    Free,
    /// Their leader may replace them soon: they must end.
    Fenced {
        /// Since when; the beginning of the boot if there was no contact in it.
        since: BootTime,
    },
}

impl Contact {
    /// Whether attempts may run at `now`. Without any contact they may not: how long the leader has waited is not known.
    pub fn fence(self, now: BootTime) -> Fence {
        let since = self.deadline();
        if now < since { Fence::Free } else { Fence::Fenced { since } }
    }

    /// When attempts are fenced unless there is contact before.
    pub fn deadline(self) -> BootTime {
        self.last.map_or(BootTime(0), |last| last + self.fence_after)
    }
}

/// Whether attempts of jobs with this policy end without contact. Those that wait go on through any outage: their leader
/// replaces them only when their end is proven.
pub fn is_fenced(policy: OnLost) -> bool {
    match policy {
        OnLost::Retry | OnLost::Fail => true,
        OnLost::Wait => false,
    }
}

/// What the end of a fenced attempt says.
pub(super) fn fence_message(contact: Option<Contact>) -> String {
    match contact {
        Some(Contact { last: Some(_), fence_after }) => {
            format!("fenced: no contact with the leader for {} s", fence_after.as_secs_f64())
        }
        Some(Contact { last: None, .. }) => {
            "fenced: no contact with the leader since the host was booted".into()
        }
        None => "fenced: no contact with the leader".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(240);
    const LAST: BootTime = BootTime(1_000_000_000_000);

    #[test]
    fn a_worker_is_fenced_exactly_fence_after_its_last_acknowledged_sign_of_life() {
        let contact = Contact { last: Some(LAST), fence_after: AFTER };
        let deadline = LAST + AFTER;
        assert_eq!(contact.fence(LAST), Fence::Free);
        assert_eq!(contact.fence(deadline - Duration::from_nanos(1)), Fence::Free);
        assert_eq!(contact.fence(deadline), Fence::Fenced { since: deadline });
        let suspended = deadline + Duration::from_secs(600);
        assert_eq!(contact.fence(suspended), Fence::Fenced { since: deadline }, "at once on wake");
        let back = Contact { last: Some(suspended), ..contact };
        assert_eq!(back.fence(suspended), Fence::Free, "contact is back");
    }

    #[test]
    fn a_worker_without_any_contact_is_fenced() {
        let contact = Contact { last: None, fence_after: AFTER };
        assert_eq!(contact.fence(BootTime(0)), Fence::Fenced { since: BootTime(0) });
    }

    #[test]
    fn only_attempts_that_wait_go_on() {
        assert_eq!([OnLost::Retry, OnLost::Fail, OnLost::Wait].map(is_fenced), [true, true, false]);
    }

    #[test]
    fn the_message_names_the_time() {
        let contact = Contact { last: Some(LAST), fence_after: AFTER };
        assert_eq!(fence_message(Some(contact)), "fenced: no contact with the leader for 240 s");
    }
}
