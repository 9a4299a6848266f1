//! One line in the log now and then about callers that are turned away: a flood must not fill it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// One line in this time.
const QUIET: Duration = Duration::from_secs(10);

/// Logs, or counts what it does not log. Clones share the count.
#[derive(Debug, Clone, Default)]
pub(super) struct Complaints(Arc<Mutex<Said>>);

#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    unsaid: u64,
}

impl Complaints {
    /// Says what is wrong, unless something was said a moment ago.
    pub(super) fn say(&self, problem: &str) {
        if let Some(unsaid) = self.may_speak(Instant::now()) {
            tracing::warn!(problem, not_logged_before = unsaid, "connection refused");
        }
    }

    /// How many were not logged since the last line, if it is time for one.
    fn may_speak(&self, now: Instant) -> Option<u64> {
        // Both fields are set without a chance to panic between.
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.last.is_some_and(|last| now.duration_since(last) < QUIET) {
            said.unsaid += 1;
            return None;
        }
        said.last = Some(now);
        Some(std::mem::take(&mut said.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_that_says_how_many_there_were() {
        let complaints = Complaints::default();
        let begun = Instant::now();
        assert_eq!(complaints.may_speak(begun), Some(0));
        for n in 1..1000 {
            assert_eq!(complaints.may_speak(begun + Duration::from_millis(n)), None);
        }
        assert_eq!(complaints.may_speak(begun + QUIET), Some(999));
    }
}
