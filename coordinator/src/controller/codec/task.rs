//! Chunks of task states with their attempts.

use std::sync::Arc;
use std::time::Duration;

use dockmgr_core::cluster::{AttemptEntry, Job, Late, Loss, TaskEntry};
use dockmgr_core::ids::AttemptNumber;
use dockmgr_core::outcome::AttemptEnd;
use dockmgr_core::time::WallTime;
use dockmgr_proto::convert;
use dockmgr_proto::store_v1;
use dockmgr_proto::v1;
use prost::Message as _;

use super::job::{stop_from_wire, stop_to_wire};
use super::{Error, millis, time};

/// The stored form of a chunk.
pub(super) fn encode_chunk(job: &Job, number: u32) -> store_v1::TaskChunk {
    store_v1::TaskChunk { tasks: job.chunk(number).map(encode).collect() }
}

/// The touched tasks of a chunk as they were stored.
pub(in crate::controller) fn decode_chunk(bytes: &[u8]) -> Result<Vec<TaskEntry>, Error> {
    store_v1::TaskChunk::decode(bytes)?.tasks.into_iter().map(decode).collect()
}

fn encode(task: &TaskEntry) -> store_v1::TaskRecord {
    store_v1::TaskRecord {
        position: task.position,
        state: convert::outcome::task_state_to_wire(task.state).into(),
        attempts: task.attempts.iter().map(encode_attempt).collect(),
        stop: task.stop.map(stop_to_wire),
        failures: task.failures,
        infra_failures: task.infra_failures,
        end_reason: task
            .end_reason
            .map_or(v1::EndReason::Unspecified, convert::outcome::end_reason_to_wire)
            .into(),
        message: task.message.clone(),
        last_attempt: task.last_attempt,
    }
}

fn decode(wire: store_v1::TaskRecord) -> Result<TaskEntry, Error> {
    Ok(TaskEntry {
        position: wire.position,
        state: convert::outcome::task_state_from_wire("state", wire.state)?,
        attempts: wire.attempts.into_iter().map(decode_attempt).collect::<Result<_, _>>()?,
        last_attempt: wire.last_attempt,
        stop: wire.stop.map(|stop| stop_from_wire(&stop)).transpose()?,
        failures: wire.failures,
        infra_failures: wire.infra_failures,
        end_reason: convert::outcome::optional_end_reason_from_wire("end_reason", wire.end_reason)?,
        message: wire.message,
        retry_at: None,
    })
}

fn encode_attempt(attempt: &AttemptEntry) -> store_v1::AttemptRecord {
    let end = attempt.end.as_deref();
    store_v1::AttemptRecord {
        number: attempt.number.0,
        node_id: attempt.node.to_string(),
        state: convert::outcome::task_state_to_wire(attempt.state).into(),
        place_time_millis: attempt.placed.0,
        start_time_millis: millis(attempt.started),
        end_time_millis: millis(end.and_then(|end| end.ended)),
        end_reason: end
            .map_or(v1::EndReason::Unspecified, |end| convert::outcome::end_reason_to_wire(end.reason))
            .into(),
        exit_code: end.and_then(|end| end.exit_code).map(i32::from),
        message: end.map(|end| end.message.clone()).unwrap_or_default(),
        oom_seen: end.is_some_and(|end| end.oom_seen),
        usage: end.and_then(|end| end.usage).map(convert::outcome::usage_to_wire),
        log_end: end.and_then(|end| end.log_end.as_ref()).map(convert::log::end_to_wire),
        container_id: attempt.container.clone().unwrap_or_default(),
        image_digest: attempt.image_digest.as_deref().unwrap_or_default().to_owned(),
        run_millis: end.map_or(0, |end| u64::try_from(end.run.as_millis()).unwrap_or(u64::MAX)),
        node_name: attempt.node_name.to_string(),
        report_sequence: attempt.report_sequence,
        handed_over: attempt.handed_over,
        loss: attempt.loss.as_deref().map(encode_loss),
    }
}

fn encode_loss(loss: &Loss) -> store_v1::LossRecord {
    store_v1::LossRecord {
        given_up_millis: loss.given_up.0,
        late: loss.late.as_ref().map(|late| store_v1::LateRecord {
            told_millis: late.told.0,
            start_time_millis: millis(late.started),
            end_time_millis: millis(late.ended),
            overlap: late.overlap,
        }),
    }
}

fn decode_loss(wire: &store_v1::LossRecord) -> Loss {
    Loss {
        given_up: WallTime(wire.given_up_millis),
        given_up_at: None,
        late: wire.late.as_ref().map(|late| Late {
            told: WallTime(late.told_millis),
            started: time(late.start_time_millis),
            ended: time(late.end_time_millis),
            overlap: late.overlap,
        }),
    }
}

fn decode_attempt(wire: store_v1::AttemptRecord) -> Result<AttemptEntry, Error> {
    let reason = convert::outcome::optional_end_reason_from_wire("end_reason", wire.end_reason)?;
    let end = match reason {
        None => None,
        Some(reason) => Some(Box::new(AttemptEnd {
            reason,
            exit_code: convert::outcome::exit_code_from_wire("exit_code", wire.exit_code)?,
            message: wire.message,
            oom_seen: wire.oom_seen,
            started: None,
            ended: time(wire.end_time_millis),
            run: Duration::from_millis(wire.run_millis),
            usage: wire.usage.map(|usage| convert::outcome::usage_from_wire("usage", usage)).transpose()?,
            log_end: match wire.log_end {
                None => None,
                Some(end) => Some(convert::log::end_from_wire("log_end", Some(end))?),
            },
            container: None,
            image_digest: None,
            // Only asked when the end arrives, which it did before it was stored.
            retryable: false,
        })),
    };
    Ok(AttemptEntry {
        number: AttemptNumber(wire.number),
        node: convert::ids::node_id("node_id", &wire.node_id)?,
        node_name: Arc::from(wire.node_name),
        state: convert::outcome::task_state_from_wire("state", wire.state)?,
        placed: WallTime(wire.place_time_millis),
        started: time(wire.start_time_millis),
        end,
        container: (!wire.container_id.is_empty()).then_some(wire.container_id),
        image_digest: (!wire.image_digest.is_empty()).then(|| wire.image_digest.into()),
        report_sequence: wire.report_sequence,
        pull: None,
        handed_over: wire.handed_over,
        heard_running: None,
        loss: wire.loss.as_ref().map(decode_loss).map(Box::new),
    })
}
