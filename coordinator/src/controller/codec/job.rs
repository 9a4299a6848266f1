//! A job without its tasks.

use std::sync::Arc;
use std::time::Duration;

use dockmgr_core::cluster::{Indices, Job, Record, StopWish, StoredJob};
use dockmgr_core::ids::JobId;
use dockmgr_core::retention::Reason;
use dockmgr_core::spec::Signal;
use dockmgr_core::time::WallTime;
use dockmgr_proto::convert;
use dockmgr_proto::store_v1;
use dockmgr_proto::v1;
use prost::Message as _;

use super::{Error, millis, time};

/// The stored form of a job.
pub(super) fn encode(job: &Job) -> store_v1::JobRecord {
    store_v1::JobRecord {
        id: job.id.get(),
        uid: job.uid.to_string(),
        spec: Some(convert::spec::to_wire(&job.spec)),
        create_time_millis: job.created.0,
        start_time_millis: millis(job.started),
        end_time_millis: millis(job.ended),
        retry_of: job.retry_of.map_or(0, JobId::get),
        stop: job.stop.map(stop_to_wire),
        pinned_digest: job.pinned_digest.as_deref().unwrap_or_default().to_owned(),
        index_ranges: job.indices.ranges().flat_map(|(first, last)| [first, last]).collect(),
        revision: job.revision,
        rest_end_reason: job
            .rest
            .map_or(v1::EndReason::Unspecified, convert::outcome::end_reason_to_wire)
            .into(),
        overlap_possible: job.overlap_possible,
        pinned: job.pinned,
        output_deleted_time_millis: millis(job.output_deleted.map(|(at, _)| at)),
        output_deleted_reason: job
            .output_deleted
            .map_or(v1::output_deletion::Reason::Unspecified, |(_, reason)| {
                convert::outcome::output_deletion_to_wire(reason)
            })
            .into(),
    }
}

/// A job as it was stored; its tasks are added by the loader.
pub(in crate::controller) fn decode(bytes: &[u8]) -> Result<StoredJob, Error> {
    let wire = store_v1::JobRecord::decode(bytes)?;
    let spec = convert::spec::filled_from_wire(wire.spec).map_err(|wrong| {
        let first = wrong.into_iter().next();
        Error::Spec(first.map_or_else(String::new, |wrong| format!("{}: {}", wrong.field, wrong.description)))
    })?;
    let pairs = wire.index_ranges.chunks_exact(2).map(|pair| (pair[0], pair[1]));
    let missing = |field: &str| Error::Field(convert::Error::missing(field));
    Ok(StoredJob {
        id: JobId::new(wire.id).ok_or_else(|| missing("id"))?,
        uid: convert::ids::job_uid("uid", &wire.uid)?,
        spec: Arc::new(spec),
        created: WallTime(wire.create_time_millis),
        started: time(wire.start_time_millis),
        ended: time(wire.end_time_millis),
        retry_of: JobId::new(wire.retry_of),
        stop: wire.stop.map(|stop| stop_from_wire(&stop)).transpose()?,
        rest: convert::outcome::optional_end_reason_from_wire("rest_end_reason", wire.rest_end_reason)?,
        pinned_digest: (!wire.pinned_digest.is_empty()).then(|| wire.pinned_digest.into()),
        overlap_possible: wire.overlap_possible,
        pinned: wire.pinned,
        output_deleted: time(wire.output_deleted_time_millis).map(|at| {
            // A newer program may have other reasons: that the output is gone counts.
            let reason = v1::output_deletion::Reason::try_from(wire.output_deleted_reason);
            let job_limit = reason == Ok(v1::output_deletion::Reason::JobLimit);
            (at, if job_limit { Reason::JobTooLarge } else { Reason::ClusterFull })
        }),
        indices: Indices::from_ranges(pairs).ok_or_else(|| missing("index_ranges"))?,
        revision: wire.revision,
        tasks: Vec::new(),
    })
}

/// Whether a chunk key belongs to no job: its number.
pub(in crate::controller) fn without_tasks(chunk_key: &str) -> Option<JobId> {
    let hex = chunk_key.strip_prefix("tasks/")?.split('/').next()?;
    u64::from_str_radix(hex, 16).ok().and_then(JobId::new)
}

/// The record a chunk key names.
pub(in crate::controller) fn chunk_of(chunk_key: &str) -> Option<Record> {
    let number = u32::from_str_radix(chunk_key.rsplit('/').next()?, 16).ok()?;
    without_tasks(chunk_key).map(|job| Record::Chunk(job, number))
}

/// The stored form of a stop.
pub(super) fn stop_to_wire(stop: StopWish) -> store_v1::StopRecord {
    store_v1::StopRecord {
        kill: stop.kill,
        signal: stop.signal.map(|signal| signal.to_string()).unwrap_or_default(),
        grace_millis: stop.grace.map(|grace| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// A stop as it was stored.
pub(super) fn stop_from_wire(wire: &store_v1::StopRecord) -> Result<StopWish, Error> {
    let signal = match wire.signal.as_str() {
        "" => None,
        text => Some(Signal::parse(text).map_err(|error| Error::Spec(error.to_string()))?),
    };
    Ok(StopWish { kill: wire.kill, signal, grace: wire.grace_millis.map(Duration::from_millis) })
}
