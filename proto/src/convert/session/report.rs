//! News of an attempt.

use dockmgr_core::cluster::{Progress, Pull, Report};

use super::super::outcome::{MAX_OBJECT_ID, attempt_end_from_wire, attempt_end_to_wire};
use super::super::{Error, Problem, cut, ids, optional_text, required, time};
use crate::v1;
use crate::v1::attempt_report::News;

/// Most bytes of the daemon's word for what a pull does.
const MAX_PULL_STATUS: usize = 256;

/// Reads news of an attempt.
pub fn report_from_wire(field: &str, wire: v1::AttemptReport) -> Result<Report, Error> {
    let path = |name: &str| format!("{field}.{name}");
    if wire.sequence == 0 {
        return Err(Error::new(path("sequence"), Problem::Rule("numbers begin at 1")));
    }
    Ok(Report {
        attempt: ids::attempt_from_wire(&path("attempt"), wire.attempt)?,
        sequence: wire.sequence,
        progress: progress_from_wire(field, required(&path("news"), wire.news)?)?,
    })
}

/// Reads where an attempt stands.
fn progress_from_wire(field: &str, news: News) -> Result<Progress, Error> {
    Ok(match news {
        News::Accepted(v1::AttemptAccepted {}) => Progress::Accepted,
        News::Pulling(v1::PullProgress { current_bytes, total_bytes, status }) => Progress::Pulling(Pull {
            current: current_bytes,
            total: total_bytes,
            status: cut(status, MAX_PULL_STATUS),
        }),
        News::Starting(v1::AttemptStarting { image_digest }) => {
            Progress::Starting { image_digest: optional_text(image_digest, MAX_OBJECT_ID) }
        }
        News::Running(v1::AttemptRunning { container_id, start_time, image_digest }) => Progress::Running {
            container: optional_text(container_id, MAX_OBJECT_ID)
                .ok_or_else(|| Error::missing(format!("{field}.running.container_id")))?,
            started: time::wall_from_wire(&format!("{field}.running.start_time"), start_time)?,
            image_digest: optional_text(image_digest, MAX_OBJECT_ID),
        },
        News::Stopping(v1::AttemptStopping { stuck }) => Progress::Stopping { stuck },
        News::Ended(end) => Progress::Ended(Box::new(attempt_end_from_wire(&format!("{field}.ended"), end)?)),
    })
}

/// Writes news of an attempt.
pub fn report_to_wire(report: &Report) -> v1::AttemptReport {
    let news = match &report.progress {
        Progress::Accepted => News::Accepted(v1::AttemptAccepted {}),
        Progress::Pulling(pull) => News::Pulling(v1::PullProgress {
            current_bytes: pull.current,
            total_bytes: pull.total,
            status: pull.status.clone(),
        }),
        Progress::Starting { image_digest } => {
            News::Starting(v1::AttemptStarting { image_digest: image_digest.clone().unwrap_or_default() })
        }
        Progress::Running { container, started, image_digest } => News::Running(v1::AttemptRunning {
            container_id: container.clone(),
            start_time: Some(time::wall_to_wire(*started)),
            image_digest: image_digest.clone().unwrap_or_default(),
        }),
        Progress::Stopping { stuck } => News::Stopping(v1::AttemptStopping { stuck: *stuck }),
        Progress::Ended(end) => News::Ended(attempt_end_to_wire(end)),
    };
    v1::AttemptReport {
        attempt: Some(ids::attempt_to_wire(report.attempt)),
        sequence: report.sequence,
        news: Some(news),
    }
}
