//! What is said on standard error about a job's output and its end: only when our side is to blame, or a new attempt begins.

use dockmgr_proto::v1::log_mark::Kind;
use dockmgr_proto::v1::tail_logs_response::Event;
use dockmgr_proto::v1::{AttemptRef, EndReason, Job, LogMark, LogStream};

use crate::output;
use crate::terminal::escape_line;

/// Says what the event has that output alone does not show.
pub(crate) fn note(event: &Event, follows: bool) {
    match event {
        Event::Begin(begin) if follows => {
            if let Some(attempt) = begin.attempt.as_ref().filter(|attempt| attempt.attempt > 1) {
                let node = escape_line(&begin.node_name);
                output::say(&format!("cluster-cli: attempt {} begins on {node}", shown(attempt)));
            }
        }
        Event::End(end) => {
            let marks = end.end.iter().flat_map(|end| &end.marks);
            let attempt = end.attempt.as_ref().map_or_else(|| "?".to_owned(), shown);
            marks.for_each(|mark| output::say(&format!("cluster-cli: output of {attempt}: {}", words(mark))));
        }
        Event::Begin(_) | Event::Batch(_) | Event::Idle(_) | Event::JobEnd(_) => {}
    }
}

fn shown(attempt: &AttemptRef) -> String {
    format!("{}.{}.{}", attempt.job_id, attempt.task_index, attempt.attempt)
}

fn words(mark: &LogMark) -> String {
    let stream = match mark.stream() {
        LogStream::Stdout => "stdout",
        LogStream::Stderr => "stderr",
        LogStream::Unspecified => "both streams",
    };
    let why =
        if mark.reason.is_empty() { String::new() } else { format!(" ({})", escape_line(&mark.reason)) };
    match mark.kind() {
        Kind::Truncated => format!(
            "{stream} was cut at byte {}: the limit is {} (--log-limit){why}",
            mark.offset,
            output::bytes(i64::try_from(mark.cap_bytes).unwrap_or(i64::MAX))
        ),
        Kind::Suspect => format!("{stream} may differ from what the command wrote{why}"),
        Kind::Gap => format!("bytes {} to {} of {stream} are missing{why}", mark.offset, mark.gap_end),
        Kind::Unspecified => format!("{stream} has an unknown mark{why}"),
    }
}

/// Why the job ended, where its exit code alone does not say; for a person (`seen`) also stops and failed tasks.
pub(crate) fn explain_end(job: &Job, seen: bool) -> Option<String> {
    let number = job.id;
    let words =
        if job.message.is_empty() { String::new() } else { format!(": {}", escape_line(&job.message)) };
    let what = match job.end_reason() {
        EndReason::Timeout if job.start_time.is_none() => "it waited longer than --queue-timeout",
        EndReason::Timeout => "it ran longer than --timeout",
        EndReason::Oom if !job.message.is_empty() => "out of memory, --memory gives more",
        EndReason::Oom => "the command ran out of memory (--memory gives more)",
        EndReason::StartFailed => "the container could not be started",
        EndReason::ImageFailed => "the image could not be had",
        EndReason::InfraUnknown => "nobody can tell what became of the command",
        EndReason::Lost => "the worker was given up",
        EndReason::Rejected => "no node can run it",
        EndReason::Stopped if seen => "it was stopped",
        EndReason::Killed if seen => "it was killed",
        EndReason::Exited | EndReason::Signaled if seen && job.task.is_none() => {
            let failed = job.tasks.as_ref().map_or(0, |tasks| tasks.failed);
            return (failed > 0).then(|| {
                format!("cluster-cli: job {number}: {failed} tasks failed: cluster-cli describe {number}")
            });
        }
        EndReason::Stopped
        | EndReason::Killed
        | EndReason::Exited
        | EndReason::Signaled
        | EndReason::Unspecified => return None,
    };
    Some(format!("cluster-cli: job {number}: {what}{words}"))
}
