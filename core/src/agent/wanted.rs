//! What the cluster wants of an attempt, and how a newer wish joins an older one.

use std::time::Duration;

use crate::cluster::StopCause;
use crate::spec::Signal;

/// What the cluster wants of an attempt on this worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Run it to its end.
    Run,
    /// End it.
    Stop(Stop),
    /// Nobody knows it: end its container and keep nothing.
    Forget,
}

/// How an attempt is to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// Why, and so which end reason it gets.
    pub cause: StopCause,
    /// The signal sent first.
    pub signal: Signal,
    /// Time between that signal and SIGKILL; zero means SIGKILL at once.
    pub grace: Duration,
}

impl Stop {
    /// Whether SIGKILL is the first and only signal.
    pub fn is_at_once(self) -> bool {
        self.grace.is_zero() || self.signal == Signal::KILL
    }

    /// A stronger cause replaces a weaker one; of equals the first stays, so repeats change nothing.
    fn strength(self) -> u8 {
        match self.cause {
            StopCause::Stop | StopCause::Timeout | StopCause::Fenced => 1,
            StopCause::Kill => 2,
            StopCause::Superseded => 3,
        }
    }
}

impl Wanted {
    /// What is wanted after `newer` arrived; a wish is never taken back.
    #[must_use]
    pub fn joined(self, newer: Self) -> Self {
        match (self, newer) {
            (Self::Forget, _) | (_, Self::Forget) => Self::Forget,
            (Self::Stop(old), Self::Stop(new)) if new.strength() > old.strength() => Self::Stop(new),
            (Self::Stop(old), _) => Self::Stop(old),
            (Self::Run, newer) => newer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(cause: StopCause) -> Wanted {
        Wanted::Stop(Stop { cause, signal: Signal::TERM, grace: Duration::from_secs(10) })
    }

    #[test]
    fn a_wish_is_never_taken_back_and_a_kill_overtakes_a_stop() {
        let (polite, hard) = (stop(StopCause::Stop), stop(StopCause::Kill));
        assert_eq!(Wanted::Run.joined(polite), polite);
        assert_eq!(polite.joined(Wanted::Run), polite);
        assert_eq!(polite.joined(hard), hard);
        assert_eq!(hard.joined(polite), hard);
        assert_eq!(polite.joined(stop(StopCause::Timeout)), polite);
        assert_eq!(hard.joined(Wanted::Forget), Wanted::Forget);
        assert_eq!(Wanted::Forget.joined(Wanted::Run), Wanted::Forget);
    }
}
