//! The one map from our errors to gRPC statuses with their google.rpc details.
//!
//! Every error a client sees is made here: a canonical code, an `ErrorInfo` with a reason, and what else the situation asks for.

use std::collections::HashMap;
use std::time::Duration;

use dockmgr_core::cluster::{Refusal, Verdict};
use dockmgr_core::ids::JobId;
use dockmgr_core::retention::Reason;
use dockmgr_core::spec::Violation;
use dockmgr_core::time::WallTime;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::controller;

/// Domain of our `ErrorInfo` reasons.
const DOMAIN: &str = "dockmgr";
/// When to ask again while nobody leads or the leader is overloaded: shorter than a failover, long enough not to add to the load.
const RETRY_SOON: Duration = Duration::from_secs(1);
/// When to ask again while the queue is full: it takes jobs ending to make room.
const RETRY_QUEUE: Duration = Duration::from_secs(10);

/// A refusal of the cluster.
pub(crate) fn refused(refusal: &Refusal) -> Status {
    let text = refusal.to_string();
    match refusal {
        Refusal::UnknownJob(job) => not_found("JOB_NOT_FOUND", "job", &job.to_string(), &text),
        Refusal::UnknownTask { job, index } => {
            not_found("TASK_NOT_FOUND", "task", &format!("{job}.{index}"), &text)
        }
        Refusal::UnknownNode(node) => not_found("NODE_NOT_FOUND", "node", &node.to_string(), &text),
        Refusal::KeyReused { key, job, stored, given } => {
            let known = [
                ("key", key.clone()),
                ("job", job.to_string()),
                ("stored_hash", stored.clone()),
                ("given_hash", given.clone()),
            ];
            make(Code::AlreadyExists, &text, "KEY_REUSED", known, ErrorDetails::new())
        }
        Refusal::Unschedulable(verdicts) => unschedulable(verdicts),
        Refusal::NotEnded(job) => precondition("JOB_NOT_ENDED", &format!("jobs/{job}"), &text),
        Refusal::Pinned(job) => precondition("JOB_PINNED", &format!("jobs/{job}"), &text),
        Refusal::NothingToRetry(job) => precondition("NOTHING_TO_RETRY", &format!("jobs/{job}"), &text),
        Refusal::NodeConnected(node) => precondition("NODE_CONNECTED", &format!("nodes/{node}"), &text),
        Refusal::NodeHasAttempts { node, .. } => {
            precondition("NODE_HAS_ATTEMPTS", &format!("nodes/{node}"), &text)
        }
        Refusal::QueueFull { .. } => {
            let mut details = ErrorDetails::new();
            details.add_quota_failure_violation("queue", text.clone());
            details.set_retry_info(Some(RETRY_QUEUE));
            make(Code::ResourceExhausted, &text, "QUEUE_FULL", [], details)
        }
    }
}

/// Output that was deleted while its job is still known.
pub(crate) fn output_deleted(job: JobId, at: WallTime, reason: Reason) -> Status {
    let at = jiff::Timestamp::from_millisecond(at.0).map(|at| at.to_string()).unwrap_or_default();
    let text = format!("the output of job {job} was deleted by retention at {at}: {reason}");
    precondition("OUTPUT_DELETED", &format!("jobs/{job}"), &text)
}

/// No answer from the controller.
pub(crate) fn no_answer(error: &controller::Error) -> Status {
    let (code, reason) = match error {
        controller::Error::NotLeader => (Code::Unavailable, "NOT_LEADER"),
        controller::Error::Overloaded => (Code::Unavailable, "OVERLOADED"),
        // Asking again at once is of no use: a person must make room.
        controller::Error::ReadOnly(_) => (Code::ResourceExhausted, "STORE_FULL"),
        // Asking again tells: the request id makes it harmless.
        controller::Error::Open(_) => (Code::Unavailable, "STORE_FULL"),
    };
    make(code, &error.to_string(), reason, [], retry_soon())
}

/// A forwarded call reached a coordinator that does not lead.
pub(crate) fn not_leader(leader: Option<&str>) -> Status {
    let known = [("leader", leader.unwrap_or_default().to_owned())];
    make(Code::Unavailable, "this coordinator does not lead any more", "NOT_LEADER", known, retry_soon())
}

/// No coordinator leads, for longer than a call waits; `trouble` is what keeps this one from it, if something does.
pub(crate) fn no_leader(trouble: Option<&str>) -> Status {
    let text = match trouble {
        Some(trouble) => format!("no coordinator leads at the moment: {trouble}"),
        None => "no coordinator leads at the moment".to_owned(),
    };
    make(Code::Unavailable, &text, "NO_LEADER", [], retry_soon())
}

/// The leader could not be asked, or its answer was cut off.
pub(crate) fn leader_unreachable(why: &str) -> Status {
    make(Code::Unavailable, why, "LEADER_UNREACHABLE", [], retry_soon())
}

fn retry_soon() -> ErrorDetails {
    let mut details = ErrorDetails::new();
    details.set_retry_info(Some(RETRY_SOON));
    details
}

/// Wrong fields of a request.
pub(crate) fn invalid(violations: &[Violation]) -> Status {
    let mut details = ErrorDetails::new();
    for violation in violations {
        details.add_bad_request_violation(violation.field.clone(), violation.description.clone());
    }
    let text = match violations {
        [] => "the request is not valid".to_owned(),
        [only] => format!("{}: {}", only.field, only.description),
        [first, rest @ ..] => format!("{}: {} (and {} more)", first.field, first.description, rest.len()),
    };
    make(Code::InvalidArgument, &text, "INVALID_ARGUMENT", [], details)
}

/// One wrong field.
pub(crate) fn invalid_field(field: &str, description: impl Into<String>) -> Status {
    invalid(&[Violation { field: field.to_owned(), description: description.into() }])
}

/// Something that does not exist.
pub(crate) fn not_found(reason: &str, kind: &str, name: &str, text: &str) -> Status {
    let mut details = ErrorDetails::new();
    details.set_resource_info(format!("dockmgr/{kind}"), name, "", text);
    make(Code::NotFound, text, reason, [("name", name.to_owned())], details)
}

/// A place in a stream that is not kept any more.
pub(crate) fn out_of_range(error: &controller::Compacted) -> Status {
    let known = [("oldest", error.oldest.to_string())];
    make(Code::OutOfRange, &error.to_string(), "COMPACTED", known, ErrorDetails::new())
}

/// A missing or wrong token.
pub(crate) fn unauthenticated(text: &str) -> Status {
    make(Code::Unauthenticated, text, "UNAUTHENTICATED", [], ErrorDetails::new())
}

/// A limit of ours was passed.
pub(crate) fn exhausted(reason: &str, text: &str) -> Status {
    make(Code::ResourceExhausted, text, reason, [], ErrorDetails::new())
}

/// A message over the transport's limit.
pub(crate) fn message_too_large() -> Status {
    exhausted("MESSAGE_TOO_LARGE", "the message is larger than this coordinator takes")
}

/// A call that took too long; whether it happens is open.
pub(crate) fn too_slow() -> Status {
    let text = "the coordinator did not finish in time: the call may have happened";
    make(Code::DeadlineExceeded, text, "TOO_SLOW", [], ErrorDetails::new())
}

/// A defect of this program.
pub(crate) fn internal() -> Status {
    let text = "the coordinator failed at this call; its log has the cause";
    make(Code::Internal, text, "INTERNAL", [], ErrorDetails::new())
}

fn unschedulable(verdicts: &[Verdict]) -> Status {
    let mut details = ErrorDetails::new();
    for verdict in verdicts {
        details.add_precondition_failure_violation(
            "UNSCHEDULABLE",
            format!("nodes/{}", verdict.name),
            verdict.reason.clone(),
        );
    }
    let shown: Vec<String> =
        verdicts.iter().take(5).map(|verdict| format!("{}: {}", verdict.name, verdict.reason)).collect();
    let text = format!("no node can ever run this job ({})", shown.join("; "));
    make(Code::FailedPrecondition, &text, "UNSCHEDULABLE", [], details)
}

fn precondition(reason: &str, subject: &str, text: &str) -> Status {
    let mut details = ErrorDetails::new();
    details.add_precondition_failure_violation(reason, subject, text);
    make(Code::FailedPrecondition, text, reason, [], details)
}

fn make<const N: usize>(
    code: Code,
    text: &str,
    reason: &str,
    known: [(&str, String); N],
    mut details: ErrorDetails,
) -> Status {
    let metadata: HashMap<String, String> =
        known.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    details.set_error_info(reason, DOMAIN, metadata);
    Status::with_error_details(code, text, details)
}
