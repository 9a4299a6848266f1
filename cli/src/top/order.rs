//! In which order jobs are shown.

use std::cmp::Reverse;

use dockmgr_proto::v1::Job;
use dockmgr_support::clock;

use crate::output::state_word;

/// By what jobs are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Order {
    /// The newest first.
    #[default]
    Newest,
    /// What has run longest first.
    Longest,
    Name,
    /// What needs a look first: unknown, running, starting, queued, then what has ended.
    State,
}

impl Order {
    pub(super) fn next(self) -> Self {
        match self {
            Self::Newest => Self::Longest,
            Self::Longest => Self::Name,
            Self::Name => Self::State,
            Self::State => Self::Newest,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Longest => "longest",
            Self::Name => "name",
            Self::State => "state",
        }
    }

    /// Sorts; jobs that are equal by it stay the newest first, also the other way round.
    pub(super) fn sort(self, jobs: &mut [Job], is_turned: bool) {
        jobs.sort_by_key(|job| Reverse(job.id));
        match (self, is_turned) {
            (Self::Newest, false) => {}
            (Self::Newest, true) => jobs.reverse(),
            (Self::Longest, false) => jobs.sort_by_key(|job| Reverse(ran(job))),
            (Self::Longest, true) => jobs.sort_by_key(ran),
            (Self::Name, false) => jobs.sort_by(|a, b| name(a).cmp(name(b))),
            (Self::Name, true) => jobs.sort_by(|a, b| name(b).cmp(name(a))),
            (Self::State, false) => jobs.sort_by_key(urgency),
            (Self::State, true) => jobs.sort_by_key(|job| Reverse(urgency(job))),
        }
    }
}

/// Milliseconds from start to end, or to now.
fn ran(job: &Job) -> i64 {
    let millis = |time: &dockmgr_proto::wkt::Timestamp| {
        time.seconds.saturating_mul(1000).saturating_add(i64::from(time.nanos / 1_000_000))
    };
    let Some(start) = &job.start_time else { return -1 };
    job.end_time.as_ref().map_or_else(clock::wall_millis, millis).saturating_sub(millis(start))
}

fn name(job: &Job) -> &str {
    job.spec.as_ref().map_or("", |spec| spec.name.as_str())
}

fn urgency(job: &Job) -> usize {
    let words =
        ["unknown", "running", "stopping", "starting", "pulling", "placed", "queued", "failed", "cancelled"];
    words.iter().position(|word| *word == state_word(job)).unwrap_or(words.len())
}
