//! How a record looks inside its frame: one line of JSON.
//!
//! Owns the stored form, which is its own so that a changed domain type cannot change old files. Specs and results are
//! kept as the wire messages they came or leave as (base64), because those have rules for growing.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dockmgr_core::agent::{DaemonRun, Stop};
use dockmgr_core::cluster::{Progress, Report, StopCause};
use dockmgr_core::ids::AttemptId;
use dockmgr_core::spec::Signal;
use dockmgr_core::time::{BootTime, WallTime};
use dockmgr_proto::convert::session;
use dockmgr_proto::v1;
use serde::{Deserialize, Serialize};

use super::{Change, ImagePin, Record, StartedAt};

/// Why a payload is not a record although its checksum is right.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("it is not a record: {0}")]
    Json(#[from] serde_json::Error),
    #[error("its {0} does not parse")]
    Field(&'static str),
    #[error("its message has no meaning: {0}")]
    Message(#[from] dockmgr_proto::convert::Error),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    attempt: String,
    change: StoredChange,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum StoredChange {
    Intent {
        start: String,
    },
    Created {
        container: String,
        image: String,
        digest: String,
        #[serde(default)]
        daemon: Option<StoredDaemon>,
    },
    StartIntent {
        boot_id: String,
        #[serde(default)]
        daemon: Option<StoredDaemon>,
    },
    Started {
        wall_ms: i64,
        boot_ns: u64,
        #[serde(default)]
        exact: bool,
    },
    Stopping {
        cause: StoredCause,
        signal: u8,
        grace_ms: u64,
        kill: bool,
    },
    Ended {
        report: String,
    },
    Forgotten,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredDaemon {
    id: String,
    instance: Option<String>,
    live_restore: bool,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum StoredCause {
    Stop,
    Kill,
    Timeout,
    Superseded,
    Fenced,
}

/// Writes a record.
pub(super) fn encode(record: &Record) -> Vec<u8> {
    let attempt = record.attempt;
    let change = match record.change.clone() {
        Change::Intent(start) => StoredChange::Intent { start: packed(&session::start_to_wire(&start)) },
        Change::Created { container, image, daemon } => StoredChange::Created {
            container,
            image: image.id,
            digest: image.digest,
            daemon: daemon.map(daemon_to_stored),
        },
        Change::StartIntent { boot_id, daemon } => {
            StoredChange::StartIntent { boot_id, daemon: daemon.map(daemon_to_stored) }
        }
        Change::Started(StartedAt { wall, exact, boot }) => {
            StoredChange::Started { wall_ms: wall.0, boot_ns: boot.0, exact }
        }
        Change::Stopping { stop, kill } => StoredChange::Stopping {
            cause: cause_to_stored(stop.cause),
            signal: stop.signal.number(),
            grace_ms: u64::try_from(stop.grace.as_millis()).unwrap_or(u64::MAX),
            kill,
        },
        Change::Ended(end) => {
            let report = Report { attempt, sequence: 1, progress: Progress::Ended(end) };
            StoredChange::Ended { report: packed(&session::report_to_wire(&report)) }
        }
        Change::Forgotten => StoredChange::Forgotten,
    };
    let stored = Stored { attempt: attempt.to_string(), change };
    serde_json::to_vec(&stored).expect("strings and numbers always serialise")
}

/// Reads a record.
pub(super) fn decode(payload: &[u8]) -> Result<Record, Error> {
    let Stored { attempt, change } = serde_json::from_slice(payload)?;
    let attempt: AttemptId = attempt.parse().map_err(|_| Error::Field("attempt"))?;
    let change = match change {
        StoredChange::Intent { start } => {
            Change::Intent(Box::new(session::start_from_wire(unpacked::<v1::StartAttempt>(&start)?)?))
        }
        StoredChange::Created { container, image, digest, daemon } => Change::Created {
            container,
            image: ImagePin { id: image, digest },
            daemon: daemon.map(daemon_from_stored),
        },
        StoredChange::StartIntent { boot_id, daemon } => {
            Change::StartIntent { boot_id, daemon: daemon.map(daemon_from_stored) }
        }
        StoredChange::Started { wall_ms, boot_ns, exact } => {
            Change::Started(StartedAt { wall: WallTime(wall_ms), exact, boot: BootTime(boot_ns) })
        }
        StoredChange::Stopping { cause, signal, grace_ms, kill } => Change::Stopping {
            stop: Stop {
                cause: cause_from_stored(cause),
                signal: Signal::new(signal).ok_or(Error::Field("signal"))?,
                grace: Duration::from_millis(grace_ms),
            },
            kill,
        },
        StoredChange::Ended { report } => {
            match session::report_from_wire("report", unpacked::<v1::AttemptReport>(&report)?)?.progress {
                Progress::Ended(end) => Change::Ended(end),
                Progress::Accepted
                | Progress::Pulling(_)
                | Progress::Starting { .. }
                | Progress::Running { .. }
                | Progress::Stopping { .. } => return Err(Error::Field("result")),
            }
        }
        StoredChange::Forgotten => Change::Forgotten,
    };
    Ok(Record { attempt, change })
}

fn packed(message: &impl prost::Message) -> String {
    STANDARD.encode(message.encode_to_vec())
}

fn unpacked<T: prost::Message + Default>(text: &str) -> Result<T, Error> {
    let bytes = STANDARD.decode(text).map_err(|_| Error::Field("base64"))?;
    T::decode(bytes.as_slice()).map_err(|_| Error::Field("message"))
}

fn daemon_to_stored(run: DaemonRun) -> StoredDaemon {
    StoredDaemon { id: run.id, instance: run.instance, live_restore: run.live_restore }
}

fn daemon_from_stored(stored: StoredDaemon) -> DaemonRun {
    DaemonRun { id: stored.id, instance: stored.instance, live_restore: stored.live_restore }
}

fn cause_to_stored(cause: StopCause) -> StoredCause {
    match cause {
        StopCause::Stop => StoredCause::Stop,
        StopCause::Kill => StoredCause::Kill,
        StopCause::Timeout => StoredCause::Timeout,
        StopCause::Superseded => StoredCause::Superseded,
        StopCause::Fenced => StoredCause::Fenced,
    }
}

fn cause_from_stored(cause: StoredCause) -> StopCause {
    match cause {
        StoredCause::Stop => StopCause::Stop,
        StoredCause::Kill => StopCause::Kill,
        StoredCause::Timeout => StopCause::Timeout,
        StoredCause::Superseded => StopCause::Superseded,
        StoredCause::Fenced => StopCause::Fenced,
    }
}
