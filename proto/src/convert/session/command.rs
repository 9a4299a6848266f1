//! What the leader tells a worker to do with an attempt.

use std::time::Duration;

use dockmgr_core::cluster::{Command, Start, StopCause};
use dockmgr_core::ids::AttemptId;
use dockmgr_core::spec::Signal;

use super::super::outcome::MAX_OBJECT_ID;
use super::super::{Error, Problem, ids, optional_text, parsed, spec, time};
use crate::v1;

/// Reads the order to run an attempt.
pub fn start_from_wire(wire: v1::StartAttempt) -> Result<Start, Error> {
    let spec = spec::filled_from_wire(wire.spec).map_err(|violations| {
        let first = violations.into_iter().next();
        first.map_or_else(
            || Error::missing("start.spec"),
            |first| Error::new(format!("start.{}", first.field), Problem::Malformed(first.description)),
        )
    })?;
    if wire.task_count == 0 {
        return Err(Error::new("start.task_count", Problem::Rule("a job has at least one task")));
    }
    Ok(Start {
        attempt: ids::attempt_from_wire("start.attempt", wire.attempt)?,
        spec,
        job_uid: ids::job_uid("start.job_uid", &wire.job_uid)?,
        task_count: wire.task_count,
        pinned_digest: optional_text(wire.pinned_digest, MAX_OBJECT_ID),
    })
}

/// Writes the order to run an attempt.
pub fn start_to_wire(start: &Start) -> v1::StartAttempt {
    v1::StartAttempt {
        attempt: Some(ids::attempt_to_wire(start.attempt)),
        spec: Some(spec::to_wire(&start.spec)),
        job_uid: start.job_uid.to_string(),
        task_count: start.task_count,
        pinned_digest: start.pinned_digest.clone().unwrap_or_default(),
    }
}

/// Reads the order to end an attempt ([`Command::Stop`]) or to pass a signal on ([`Command::Signal`]).
pub fn stop_from_wire(wire: v1::StopAttempt) -> Result<Command, Error> {
    let v1::StopAttempt { attempt, cause, signal, grace_period, signal_only } = wire;
    let attempt = ids::attempt_from_wire("stop.attempt", attempt)?;
    let signal = match signal.as_str() {
        "" => None,
        given => Some(parsed("stop.signal", given, Signal::parse)?),
    };
    if signal_only {
        let signal = signal.ok_or_else(|| Error::missing("stop.signal"))?;
        return Ok(Command::Signal { attempt, signal });
    }
    let cause = match v1::StopCause::try_from(cause) {
        Ok(v1::StopCause::Unspecified) => return Err(Error::missing("stop.cause")),
        Ok(v1::StopCause::Stop) => StopCause::Stop,
        Ok(v1::StopCause::Kill) => StopCause::Kill,
        Ok(v1::StopCause::Timeout) => StopCause::Timeout,
        Ok(v1::StopCause::Superseded) => StopCause::Superseded,
        Err(_) => return Err(Error::new("stop.cause", Problem::UnknownValue(cause))),
    };
    let grace = time::optional_grace_from_wire("stop.grace_period", grace_period)?;
    Ok(Command::Stop { attempt, cause, signal, grace })
}

/// Writes the order to end an attempt; the parts are those of [`Command::Stop`].
pub fn stop_to_wire(
    attempt: AttemptId,
    cause: StopCause,
    signal: Option<Signal>,
    grace: Option<Duration>,
) -> v1::StopAttempt {
    let cause = match cause {
        StopCause::Stop => v1::StopCause::Stop,
        StopCause::Kill => v1::StopCause::Kill,
        StopCause::Timeout => v1::StopCause::Timeout,
        // No leader fences: a worker does, by its own clock. Of the causes on the wire this is the one it resembles.
        StopCause::Superseded | StopCause::Fenced => v1::StopCause::Superseded,
    };
    v1::StopAttempt {
        attempt: Some(ids::attempt_to_wire(attempt)),
        cause: cause.into(),
        signal: signal.map(|signal| signal.to_string()).unwrap_or_default(),
        grace_period: grace.map(time::duration_to_wire),
        signal_only: false,
    }
}
