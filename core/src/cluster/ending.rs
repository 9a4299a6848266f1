//! What the end of an attempt means for its task, and a task's for its job. Pure rules, no state.

use crate::outcome::{AttemptEnd, EndReason, TaskState};
use crate::spec::OnLost;

/// What becomes of a task whose attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FollowUp {
    /// It has ended.
    Final(TaskState),
    /// It is tried again; its own retries pay.
    RetryOwn,
    /// It is tried again; the infrastructure's retries pay.
    RetryInfra,
    /// It goes on elsewhere at once; nobody pays.
    HandOver,
}

/// What a task may still spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget {
    /// Retries after its own failures.
    pub own: u32,
    /// Retries after infrastructure failures.
    pub infra: u32,
    /// A stop was stored: nothing starts any more (G7).
    pub stopped: bool,
    /// Its node's drain ran out, and it was asked to end for that.
    pub handed_over: bool,
    /// What its spec says about lost workers.
    pub on_lost: OnLost,
}

/// Decides what becomes of a task whose attempt ended.
pub(super) fn follow_up(end: &AttemptEnd, budget: Budget) -> FollowUp {
    let last = FollowUp::Final(if end.is_success() { TaskState::Succeeded } else { final_state(end.reason) });
    if budget.stopped || end.is_success() {
        return last;
    }
    if budget.handed_over && end.reason == EndReason::Lost && budget.on_lost != OnLost::Fail {
        return FollowUp::HandOver;
    }
    match whose(end, budget.on_lost) {
        Blame::Task if budget.own > 0 => FollowUp::RetryOwn,
        Blame::Infra if budget.infra > 0 => FollowUp::RetryInfra,
        Blame::Task | Blame::Infra | Blame::Nobody => last,
    }
}

/// Whose retries pay for a new attempt.
enum Blame {
    Task,
    Infra,
    /// Nobody's: trying again is not wanted or cannot help.
    Nobody,
}

fn whose(end: &AttemptEnd, on_lost: OnLost) -> Blame {
    match end.reason {
        EndReason::Stopped | EndReason::Killed | EndReason::Timeout | EndReason::Rejected => Blame::Nobody,
        EndReason::Lost => match on_lost {
            // An operator declared the worker lost: nothing is left to wait for.
            OnLost::Retry | OnLost::Wait => Blame::Infra,
            OnLost::Fail => Blame::Nobody,
        },
        EndReason::InfraUnknown => Blame::Infra,
        EndReason::StartFailed | EndReason::ImageFailed => {
            if end.retryable {
                Blame::Infra
            } else {
                Blame::Nobody
            }
        }
        EndReason::Exited | EndReason::Signaled | EndReason::Oom => {
            if end.retryable {
                Blame::Infra
            } else {
                Blame::Task
            }
        }
    }
}

/// The state of a task that ended for this reason and did not succeed.
pub(super) fn final_state(reason: EndReason) -> TaskState {
    match reason {
        EndReason::Stopped | EndReason::Killed => TaskState::Cancelled,
        EndReason::Exited
        | EndReason::Signaled
        | EndReason::Oom
        | EndReason::Timeout
        | EndReason::StartFailed
        | EndReason::ImageFailed
        | EndReason::InfraUnknown
        | EndReason::Lost
        | EndReason::Rejected => TaskState::Failed,
    }
}

/// The code a client exits with for a task: the command's own, else what the reason stands for. A limit that ran out is
/// 124 whatever the command made of its signal.
pub fn exit_code(reason: EndReason, own: Option<u8>) -> u8 {
    match reason {
        EndReason::Timeout => 124,
        EndReason::Stopped => own.unwrap_or(143),
        EndReason::Killed | EndReason::Oom | EndReason::Signaled => own.unwrap_or(137),
        EndReason::Exited
        | EndReason::StartFailed
        | EndReason::ImageFailed
        | EndReason::InfraUnknown
        | EndReason::Lost
        | EndReason::Rejected => own.unwrap_or(125),
    }
}
