//! The spans that the coordinator draws: from a job and an attempt that have just ended.

use super::{JobTrace, Span, Step, Value};
use crate::cluster::{AttemptEntry, Cluster, Job, Note, NoteKind};
use crate::ids::{AttemptId, ClusterId};
use crate::outcome::EndReason;
use crate::time::WallTime;

/// The spans that the step that made `note` completes; none for most notes.
pub fn spans(id: ClusterId, cluster: &Cluster, note: &Note, now: WallTime) -> Vec<Span> {
    let Some(job) = note.job.and_then(|job| cluster.job(job)) else { return Vec::new() };
    let ended = note.attempt.filter(|_| note.kind == NoteKind::AttemptEnded);
    let whole = job_ended(id, job).filter(|_| note.kind == NoteKind::JobEnded);
    ended.map(|attempt| attempt_ended(id, job, attempt, now)).into_iter().flatten().chain(whole).collect()
}

/// The wait for a place and the attempt itself; empty if it has not ended, or its submitter wants no spans.
fn attempt_ended(cluster: ClusterId, job: &Job, id: AttemptId, now: WallTime) -> Vec<Span> {
    let trace = JobTrace::of(cluster, job.id, &job.spec);
    let task = job.indices.position_of(id.task.index).and_then(|position| job.task(position));
    let Some(at) =
        task.as_ref().and_then(|task| task.attempts.iter().position(|entry| entry.number == id.number))
    else {
        return Vec::new();
    };
    let attempts = task.as_ref().map(|task| task.attempts.as_slice()).unwrap_or_default();
    let entry = &attempts[at];
    let Some(end) = entry.end.as_deref().filter(|_| trace.is_sampled()) else { return Vec::new() };
    let waited_since =
        at.checked_sub(1).map_or(job.created, |before| over(&attempts[before]).unwrap_or(entry.placed));
    let parent = Some(trace.job_span());
    let span = |step: Step, times| {
        let drawn = trace.span(trace.step(id, step), parent, step.name(), times).of_attempt(id);
        drawn.with("dockmgr.node", Value::Text(entry.node_name.to_string()))
    };
    let mut attempt = span(Step::Attempt, (entry.placed, over(entry).unwrap_or(now)));
    attempt = attempt.with("dockmgr.end_reason", Value::Text(end.reason.to_string()));
    if let Some(container) = &entry.container {
        attempt = attempt.with("container.id", Value::Text(container.clone()));
    }
    attempt = coded(attempt, end.exit_code);
    attempt.error = (!end.is_success()).then(|| words(end.reason, end.exit_code, &end.message));
    vec![span(Step::Schedule, (waited_since, entry.placed)), attempt]
}

/// The whole job; `None` if it has not ended, or its submitter wants no spans.
fn job_ended(cluster: ClusterId, job: &Job) -> Option<Span> {
    let trace = JobTrace::of(cluster, job.id, &job.spec);
    let outcome = job.outcome.as_ref().filter(|_| trace.is_sampled())?;
    let mut span = trace.span(trace.job_span(), trace.parent, "job", (job.created, job.ended?));
    if let Some(name) = &job.spec.name {
        span = span.with("dockmgr.job.name", Value::Text(name.to_string()));
    }
    span = span
        .with("container.image.name", Value::Text(job.spec.image.to_string()))
        .with("dockmgr.end_reason", Value::Text(outcome.reason.to_string()));
    Some(span)
}

/// When an attempt was over for the cluster.
fn over(entry: &AttemptEntry) -> Option<WallTime> {
    let given_up = entry.loss.as_deref().map(|loss| loss.given_up);
    given_up.or(entry.end.as_deref().and_then(|end| end.ended))
}

fn coded(span: Span, code: Option<u8>) -> Span {
    match code {
        Some(code) => span.with("process.exit.code", Value::Number(i64::from(code))),
        None => span,
    }
}

fn words(reason: EndReason, code: Option<u8>, message: &str) -> String {
    match (message, code) {
        ("", Some(code)) => format!("{reason} {code}"),
        ("", None) => reason.to_string(),
        (message, _) => message.to_owned(),
    }
}
