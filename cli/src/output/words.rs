//! Values of the API as people read them.

use std::time::Duration;

use dockmgr_proto::v1::output_deletion::Reason;
use dockmgr_proto::v1::{Attempt, EndReason, Job, TaskState};
use dockmgr_proto::wkt as pb;
use dockmgr_support::clock;
use jiff::Timestamp;

/// How long ago, in one unit: `5s`, `3m`, `2h`, `4d`; `-` for never.
pub(crate) fn age(time: Option<&pb::Timestamp>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| duration(Duration::from_millis(millis_since(time))))
}

/// `3m ago`, or nothing for never.
pub(crate) fn ago(time: Option<&pb::Timestamp>) -> String {
    time.map_or_else(String::new, |time| format!("{} ({} ago)", rfc3339(time), age(Some(time))))
}

fn millis_since(time: &pb::Timestamp) -> u64 {
    let then = time.seconds.saturating_mul(1000).saturating_add(i64::from(time.nanos) / 1_000_000);
    u64::try_from(clock::wall_millis().saturating_sub(then)).unwrap_or(0)
}

/// A duration in its largest unit, finer below ten of it.
pub(crate) fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{}ms", duration.as_millis()),
        s @ 1..=99 => format!("{s}s"),
        s @ 100..=5999 => format!("{}m", s / 60),
        s @ 6000..=172_799 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

/// From one time to another, or to now; `-` if it never began.
pub(crate) fn seconds_between(from: Option<&pb::Timestamp>, to: Option<&pb::Timestamp>) -> String {
    let Some(from) = from else { return "-".to_owned() };
    let whole = millis_since(from);
    let tail = to.map_or(0, millis_since);
    duration(Duration::from_millis(whole.saturating_sub(tail)))
}

/// A time in RFC 3339, UTC.
pub(crate) fn rfc3339(time: &pb::Timestamp) -> String {
    let time = Timestamp::new(time.seconds, time.nanos).unwrap_or_default();
    format!("{time:.3}")
}

/// Bytes in the largest unit that fits.
pub(crate) fn bytes(bytes: i64) -> String {
    bytesize::ByteSize::b(u64::try_from(bytes).unwrap_or(0)).display().iec_short().to_string()
}

/// Thousandths of a core as a decimal number.
pub(crate) fn cores(millis: i64) -> String {
    let text = format!("{}.{:03}", millis / 1000, millis.rem_euclid(1000));
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The word for a task's state.
pub(crate) fn task_state(state: TaskState) -> &'static str {
    match state {
        TaskState::Unspecified => "?",
        TaskState::Queued => "queued",
        TaskState::Placed => "placed",
        TaskState::Pulling => "pulling",
        TaskState::Starting => "starting",
        TaskState::Running => "running",
        TaskState::Stopping => "stopping",
        TaskState::Unknown => "unknown",
        TaskState::Succeeded => "succeeded",
        TaskState::Failed => "failed",
        TaskState::Cancelled => "cancelled",
    }
}

/// The word for an attempt's state.
pub(crate) fn attempt_state(attempt: &Attempt) -> &'static str {
    task_state(attempt.state())
}

/// The word for an end reason; empty for none.
pub(crate) fn reason(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Unspecified => "",
        EndReason::Exited => "exited",
        EndReason::Signaled => "signaled",
        EndReason::Oom => "oom",
        EndReason::Timeout => "timeout",
        EndReason::Stopped => "stopped",
        EndReason::Killed => "killed",
        EndReason::StartFailed => "start_failed",
        EndReason::ImageFailed => "image_failed",
        EndReason::InfraUnknown => "infra_unknown",
        EndReason::Lost => "lost",
        EndReason::Rejected => "rejected",
    }
}

/// When and why the output of a job was deleted; `None` while it is kept.
pub(crate) fn deletion(job: &Job) -> Option<String> {
    let gone = job.output_deletion.as_ref()?;
    let why = match gone.reason() {
        Reason::Unspecified => "",
        Reason::JobLimit => ": it was more than a job may keep",
        Reason::ClusterLimit => ": all output together was more than may be kept, and other jobs ended later",
    };
    Some(format!("deleted by retention at {}{why}", ago(gone.time.as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_people_write_them() {
        assert_eq!((cores(250), cores(1000), cores(1500)), ("0.25".into(), "1".into(), "1.5".into()));
        assert_eq!(duration(Duration::from_secs(600)), "10m");
        let time = pb::Timestamp { seconds: 0, nanos: 5_000_000 };
        assert_eq!(rfc3339(&time), "1970-01-01T00:00:00.005Z");
        assert_eq!(rfc3339(&pb::Timestamp { seconds: i64::MAX, nanos: -1 }), "1970-01-01T00:00:00.000Z");
    }
}
