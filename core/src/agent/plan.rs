//! The rule: what is wanted and what is observed give the next action.
//!
//! Owns the order of create, journal, start, capture, stop and removal. One function a phase; see the picture in the
//! parent module.

use std::time::Duration;

use crate::cluster::{FENCE_GRACE, StopCause};
use crate::outcome::EndReason;
use crate::spec::Signal;
use crate::time::BootTime;

use super::action::{Action, Ending};
use super::classify::{classify_exit, fenced, reason_of};
use super::fence::{Fence, fence_message};
use super::observed::{Capture, Container, Doubt, Image, Observed, Phase, StartRequest};
use super::wanted::{Stop, Wanted};

/// How long SIGKILL may take before the attempt is called stuck, and how often it is sent again. A process in an
/// uninterruptible wait (dead network disk) does not die sooner whatever is sent.
pub const KILL_RETRY: Duration = Duration::from_secs(10);

/// The next action of one attempt. Pure: the same arguments give the same action.
///
/// `limit` is how a run time-out ends the attempt; a fence takes its signal, and its grace if that is short.
pub fn plan(now: BootTime, wanted: Wanted, limit: Stop, seen: &Observed) -> Action {
    let wanted = match seen.time_limit {
        Some(at) if now >= at && wanted == Wanted::Run => {
            Wanted::Stop(Stop { cause: StopCause::Timeout, ..limit })
        }
        _ => wanted,
    };
    let stop = match wanted {
        Wanted::Forget => return plan_forget(seen),
        Wanted::Run => None,
        Wanted::Stop(stop) => Some(stop),
    };
    let stop = with_fence(now, stop, limit, seen);
    match seen.phase {
        Phase::Intent => plan_intent(stop, seen),
        Phase::Created => plan_created(stop, seen),
        Phase::StartIntent => plan_start_intent(stop, seen),
        Phase::Started => plan_started(now, stop, seen),
        Phase::Ended => plan_ended(seen),
    }
}

/// Without contact everything ends soon: what runs is stopped, what is being stopped gets no longer than the fence gives.
fn with_fence(now: BootTime, stop: Option<Stop>, limit: Stop, seen: &Observed) -> Option<Stop> {
    let Some(Fence::Fenced { since }) = seen.contact.map(|contact| contact.fence(now)) else { return stop };
    let stop = stop.unwrap_or(Stop { cause: StopCause::Fenced, ..limit });
    let left = (since + FENCE_GRACE).since(seen.stopping.signalled.unwrap_or(now));
    Some(Stop { grace: stop.grace.min(left), ..stop })
}

/// Nobody wants its result: end the container, remove it, forget.
fn plan_forget(seen: &Observed) -> Action {
    match seen.container {
        Container::Unknown => Action::Inspect,
        // What is left on a daemon that is away, the sweep finds when that comes back.
        Container::Absent | Container::Foreign | Container::Elsewhere => Action::Forget,
        Container::Created | Container::Running | Container::Exited(_) => Action::Remove { force: true },
        Container::Removing => Action::Wait { until: None },
    }
}

fn plan_intent(stop: Option<Stop>, seen: &Observed) -> Action {
    if let Some(failure) = &seen.failure {
        return Action::End(failure.clone());
    }
    match (seen.container, stop) {
        (Container::Unknown, _) => Action::Inspect,
        (Container::Removing, _) => Action::Wait { until: None },
        (Container::Absent | Container::Foreign | Container::Elsewhere, Some(stop)) => {
            Action::End(before_start(stop, seen))
        }
        (Container::Elsewhere, None) => Action::End(left_elsewhere()),
        (Container::Created, Some(_)) => Action::Remove { force: false },
        (Container::Running | Container::Exited(_), _) => Action::End(started_by_another()),
        (Container::Foreign, None) => Action::End(name_taken()),
        (Container::Created, None) => Action::JournalCreated,
        (Container::Absent, None) => match seen.image {
            Image::Wanted => Action::PullImage,
            Image::Ready => Action::Create,
        },
    }
}

fn plan_created(stop: Option<Stop>, seen: &Observed) -> Action {
    if let Some(failure) = &seen.failure {
        return Action::End(failure.clone());
    }
    match (seen.container, stop) {
        (Container::Unknown, _) => Action::Inspect,
        (Container::Removing, _) => Action::Wait { until: None },
        (Container::Absent | Container::Foreign | Container::Elsewhere, Some(stop)) => {
            Action::End(before_start(stop, seen))
        }
        (Container::Elsewhere, None) => Action::End(left_elsewhere()),
        (Container::Absent | Container::Foreign, None) => {
            Action::End(Ending::infra("its container was removed by someone else before the start"))
        }
        (Container::Created, Some(_)) => Action::Remove { force: false },
        (Container::Created, None) if seen.capture == Capture::Idle => Action::Attach,
        (Container::Created, None) if !seen.confirmed => Action::Wait { until: next_limit(seen) },
        (Container::Created, None) => Action::JournalStartIntent,
        (Container::Running | Container::Exited(_), _) => Action::End(started_by_another()),
    }
}

fn plan_start_intent(stop: Option<Stop>, seen: &Observed) -> Action {
    if let Some(failure) = &seen.failure {
        return Action::End(failure.clone());
    }
    if seen.start == StartRequest::NotSent {
        // Written by this very process a moment ago: nothing has been sent, so a stop may still come first.
        let reachable = seen.container != Container::Elsewhere;
        return if stop.is_none() && reachable { Action::Start } else { plan_created(stop, seen) };
    }
    match (seen.container, stop) {
        (Container::Unknown, _) => Action::Inspect,
        (Container::Removing, _) => Action::Wait { until: None },
        (Container::Running | Container::Exited(_), _) => Action::JournalStarted,
        // A start may still be on its way inside the daemon. Once the removal is confirmed it can do nothing any more;
        // if it came first, the daemon refuses to remove a running container and the next look finds it running.
        (Container::Created, _) => Action::Remove { force: false },
        // The start may have come through there.
        (Container::Elsewhere, _) => plan_elsewhere(seen),
        (Container::Absent | Container::Foreign, Some(stop)) => Action::End(before_start(stop, seen)),
        (Container::Absent | Container::Foreign, None) => {
            Action::End(Ending::infra("start unknown: its answer was lost, and the container is gone"))
        }
    }
}

fn plan_started(now: BootTime, stop: Option<Stop>, seen: &Observed) -> Action {
    if seen.container == Container::Unknown {
        return Action::Inspect;
    }
    if seen.container == Container::Elsewhere {
        return plan_elsewhere(seen);
    }
    if seen.capture == Capture::Idle {
        return Action::Recover;
    }
    match seen.container {
        Container::Running if seen.second_run => plan_stop(now, Stop::OF_A_SECOND_RUN, seen),
        Container::Running => match stop {
            None => Action::Wait { until: next_limit(seen) },
            Some(stop) => plan_stop(now, stop, seen),
        },
        _ if seen.capture != Capture::Done => Action::FinishCapture,
        Container::Exited(_) if seen.second_run => Action::End(Ending::infra(
            "its container was started again by someone else; how the first run ended is not known",
        )),
        Container::Exited(exit) => {
            Action::End(with_words(classify_exit(exit, &seen.stopping, seen.doubt), seen))
        }
        // Removing is the daemon's last word before absent, and nobody of ours removes in this phase.
        Container::Unknown
        | Container::Absent
        | Container::Foreign
        | Container::Created
        | Container::Elsewhere
        | Container::Removing => Action::End(Ending::infra("its container was removed by someone else")),
    }
}

/// Signal, grace, SIGKILL, and SIGKILL again while it does not die.
fn plan_stop(now: BootTime, stop: Stop, seen: &Observed) -> Action {
    let due = match (seen.stopping.signalled, seen.stopping.killed) {
        (_, Some(killed)) => killed + KILL_RETRY,
        _ if stop.is_at_once() => now,
        (None, None) => return Action::Signal(stop),
        (Some(signalled), None) => signalled + stop.grace,
    };
    if now < due {
        return Action::Wait { until: Some(due) };
    }
    if seen.stopping.killed.is_some() && !seen.stopping.stuck {
        Action::ReportStuck
    } else {
        Action::Kill(stop)
    }
}

fn plan_ended(seen: &Observed) -> Action {
    if !(seen.result_acknowledged && seen.log_end_durable) {
        return Action::Wait { until: None };
    }
    plan_forget(seen)
}

/// The end of an attempt that was stopped before its container ran.
fn before_start(stop: Stop, seen: &Observed) -> Ending {
    if stop.cause == StopCause::Fenced {
        return with_words(fenced(), seen);
    }
    Ending::because(reason_of(stop), "it was ended before it started")
}

/// Says of a fenced attempt how long there was no contact.
fn with_words(ending: Ending, seen: &Observed) -> Ending {
    if ending.reason == EndReason::Lost && ending.retryable {
        return Ending { message: fence_message(seen.contact), ..ending };
    }
    ending
}

/// The run time-out or the fence, whichever comes first.
fn next_limit(seen: &Observed) -> Option<BootTime> {
    let fence = seen.contact.map(super::fence::Contact::deadline);
    fence.into_iter().chain(seen.time_limit).min()
}

fn started_by_another() -> Ending {
    Ending::infra("its container was started by someone else")
}

/// Its container is, or was, on a daemon that does not answer any more.
fn plan_elsewhere(seen: &Observed) -> Action {
    // A boot of the host ended it, wherever it was.
    if seen.strict && seen.doubt != Doubt::HostRebooted {
        return Action::Wait { until: None };
    }
    Action::End(Ending::infra("its container is on another Docker daemon than the one that answers now"))
}

fn left_elsewhere() -> Ending {
    Ending::infra("its container was left on another Docker daemon before the start")
}

fn name_taken() -> Ending {
    Ending::because(EndReason::StartFailed, "name conflict: a container of this name exists and is not ours")
}

impl Stop {
    /// How a run that somebody else started in its container is ended: nobody waits for it.
    const OF_A_SECOND_RUN: Self =
        Self { cause: StopCause::Superseded, signal: Signal::KILL, grace: Duration::ZERO };

    /// A stop for a run time-out with the spec's signal and grace.
    pub fn for_time_limit(signal: Signal, grace: Duration) -> Self {
        Self { cause: StopCause::Timeout, signal, grace }
    }
}

#[cfg(test)]
mod tests;
