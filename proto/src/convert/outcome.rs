//! States, end reasons and the record of an ended attempt on the wire.

use std::time::Duration;

use dockmgr_core::outcome::{AttemptEnd, EndReason, JobState, TaskState, Usage};
use dockmgr_core::retention::Reason;

use super::{Error, Problem, cut, log, optional_text, time};
use crate::v1;

/// Most bytes of the words about an end.
const MAX_MESSAGE: usize = 4096;
/// Most bytes of the id of a container or the digest of an image; Docker's have 64 and 71.
pub(super) const MAX_OBJECT_ID: usize = 256;

/// Reads the state of a task; must be given.
pub fn task_state_from_wire(field: &str, wire: i32) -> Result<TaskState, Error> {
    use v1::TaskState as Wire;
    Ok(match Wire::try_from(wire) {
        Ok(Wire::Unspecified) => return Err(Error::missing(field)),
        Ok(Wire::Queued) => TaskState::Queued,
        Ok(Wire::Placed) => TaskState::Placed,
        Ok(Wire::Pulling) => TaskState::Pulling,
        Ok(Wire::Starting) => TaskState::Starting,
        Ok(Wire::Running) => TaskState::Running,
        Ok(Wire::Stopping) => TaskState::Stopping,
        Ok(Wire::Unknown) => TaskState::Unknown,
        Ok(Wire::Succeeded) => TaskState::Succeeded,
        Ok(Wire::Failed) => TaskState::Failed,
        Ok(Wire::Cancelled) => TaskState::Cancelled,
        Err(_) => return Err(Error::new(field, Problem::UnknownValue(wire))),
    })
}

/// Writes the state of a task.
pub fn task_state_to_wire(state: TaskState) -> v1::TaskState {
    use v1::TaskState as Wire;
    match state {
        TaskState::Queued => Wire::Queued,
        TaskState::Placed => Wire::Placed,
        TaskState::Pulling => Wire::Pulling,
        TaskState::Starting => Wire::Starting,
        TaskState::Running => Wire::Running,
        TaskState::Stopping => Wire::Stopping,
        TaskState::Unknown => Wire::Unknown,
        TaskState::Succeeded => Wire::Succeeded,
        TaskState::Failed => Wire::Failed,
        TaskState::Cancelled => Wire::Cancelled,
    }
}

/// Reads the state of a job; must be given.
pub fn job_state_from_wire(field: &str, wire: i32) -> Result<JobState, Error> {
    use v1::job::State as Wire;
    Ok(match Wire::try_from(wire) {
        Ok(Wire::Unspecified) => return Err(Error::missing(field)),
        Ok(Wire::Active) => JobState::Active,
        Ok(Wire::Succeeded) => JobState::Succeeded,
        Ok(Wire::Failed) => JobState::Failed,
        Ok(Wire::Cancelled) => JobState::Cancelled,
        Err(_) => return Err(Error::new(field, Problem::UnknownValue(wire))),
    })
}

/// Writes the state of a job.
pub fn job_state_to_wire(state: JobState) -> v1::job::State {
    use v1::job::State as Wire;
    match state {
        JobState::Active => Wire::Active,
        JobState::Succeeded => Wire::Succeeded,
        JobState::Failed => Wire::Failed,
        JobState::Cancelled => Wire::Cancelled,
    }
}

/// Reads an end reason; `None` for "unspecified", which means not ended.
pub fn optional_end_reason_from_wire(field: &str, wire: i32) -> Result<Option<EndReason>, Error> {
    use v1::EndReason as Wire;
    Ok(Some(match Wire::try_from(wire) {
        Ok(Wire::Unspecified) => return Ok(None),
        Ok(Wire::Exited) => EndReason::Exited,
        Ok(Wire::Signaled) => EndReason::Signaled,
        Ok(Wire::Oom) => EndReason::Oom,
        Ok(Wire::Timeout) => EndReason::Timeout,
        Ok(Wire::Stopped) => EndReason::Stopped,
        Ok(Wire::Killed) => EndReason::Killed,
        Ok(Wire::StartFailed) => EndReason::StartFailed,
        Ok(Wire::ImageFailed) => EndReason::ImageFailed,
        Ok(Wire::InfraUnknown) => EndReason::InfraUnknown,
        Ok(Wire::Lost) => EndReason::Lost,
        Ok(Wire::Rejected) => EndReason::Rejected,
        Err(_) => return Err(Error::new(field, Problem::UnknownValue(wire))),
    }))
}

/// Reads an end reason that must be given.
pub fn end_reason_from_wire(field: &str, wire: i32) -> Result<EndReason, Error> {
    optional_end_reason_from_wire(field, wire)?.ok_or_else(|| Error::missing(field))
}

/// Writes an end reason.
pub fn end_reason_to_wire(reason: EndReason) -> v1::EndReason {
    use v1::EndReason as Wire;
    match reason {
        EndReason::Exited => Wire::Exited,
        EndReason::Signaled => Wire::Signaled,
        EndReason::Oom => Wire::Oom,
        EndReason::Timeout => Wire::Timeout,
        EndReason::Stopped => Wire::Stopped,
        EndReason::Killed => Wire::Killed,
        EndReason::StartFailed => Wire::StartFailed,
        EndReason::ImageFailed => Wire::ImageFailed,
        EndReason::InfraUnknown => Wire::InfraUnknown,
        EndReason::Lost => Wire::Lost,
        EndReason::Rejected => Wire::Rejected,
    }
}

/// Reads an exit code that may be absent: 0 to 255.
pub fn exit_code_from_wire(field: &str, wire: Option<i32>) -> Result<Option<u8>, Error> {
    let code = wire.map(u8::try_from).transpose();
    code.map_err(|_| Error::new(field, Problem::Rule("it must be 0 to 255")))
}

/// Reads what an attempt used.
pub fn usage_from_wire(field: &str, wire: v1::Usage) -> Result<Usage, Error> {
    let cpu = Duration::try_from_secs_f64(wire.cpu_seconds).map_err(|_| {
        Error::new(format!("{field}.cpu_seconds"), Problem::Rule("it must be a number of seconds from 0"))
    })?;
    let peak_memory = u64::try_from(wire.peak_memory_bytes).map_err(|_| {
        Error::new(format!("{field}.peak_memory_bytes"), Problem::Rule("it must not be negative"))
    })?;
    Ok(Usage { cpu, peak_memory })
}

/// Writes what an attempt used.
pub fn usage_to_wire(usage: Usage) -> v1::Usage {
    v1::Usage {
        cpu_seconds: usage.cpu.as_secs_f64(),
        peak_memory_bytes: i64::try_from(usage.peak_memory).unwrap_or(i64::MAX),
    }
}

/// Reads the record of an ended attempt. Words that are too long are cut.
pub fn attempt_end_from_wire(field: &str, wire: v1::AttemptEnded) -> Result<AttemptEnd, Error> {
    let path = |name: &str| format!("{field}.{name}");
    Ok(AttemptEnd {
        reason: end_reason_from_wire(&path("reason"), wire.reason)?,
        exit_code: exit_code_from_wire(&path("exit_code"), wire.exit_code)?,
        message: cut(wire.message, MAX_MESSAGE),
        oom_seen: wire.oom_seen,
        started: time::optional_wall_from_wire(&path("start_time"), wire.start_time)?,
        ended: time::optional_wall_from_wire(&path("end_time"), wire.end_time)?,
        run: whole_millis(time::duration_from_wire(&path("run_duration"), wire.run_duration)?),
        usage: wire.usage.map(|usage| usage_from_wire(&path("usage"), usage)).transpose()?,
        log_end: wire.log_end.map(|end| log::end_from_wire(&path("log_end"), Some(end))).transpose()?,
        container: optional_text(wire.container_id, MAX_OBJECT_ID),
        image_digest: optional_text(wire.image_digest, MAX_OBJECT_ID),
        retryable: wire.retryable,
    })
}

/// Writes the record of an ended attempt.
pub fn attempt_end_to_wire(end: &AttemptEnd) -> v1::AttemptEnded {
    v1::AttemptEnded {
        reason: end_reason_to_wire(end.reason).into(),
        exit_code: end.exit_code.map(i32::from),
        message: cut(end.message.clone(), MAX_MESSAGE),
        oom_seen: end.oom_seen,
        start_time: end.started.map(time::wall_to_wire),
        end_time: end.ended.map(time::wall_to_wire),
        run_duration: Some(time::duration_to_wire(end.run)),
        usage: end.usage.map(usage_to_wire),
        log_end: end.log_end.as_ref().map(log::end_to_wire),
        container_id: end.container.clone().unwrap_or_default(),
        image_digest: end.image_digest.clone().unwrap_or_default(),
        retryable: end.retryable,
    }
}

/// As it is kept: what is shown before a restart of the leader is what is shown after it.
fn whole_millis(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Why output was deleted.
pub fn output_deletion_to_wire(reason: Reason) -> v1::output_deletion::Reason {
    match reason {
        Reason::JobTooLarge => v1::output_deletion::Reason::JobLimit,
        Reason::ClusterFull => v1::output_deletion::Reason::ClusterLimit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_reasons_of_the_wire_are_all_there_are() {
        let known = (1..100).filter_map(|number| end_reason_from_wire("reason", number).ok());
        let known: std::collections::BTreeSet<EndReason> = known.collect();
        assert_eq!(known, EndReason::ALL.into());
    }
}
