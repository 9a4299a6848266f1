//! What happened to jobs, as counters and histograms.
//!
//! A [`Fact`] is drawn from a note in the step that made it, while the cluster still shows it, and counted when the group
//! it belongs to is durable: what was decided and not stored did not happen.

use std::time::Duration;

use dockmgr_core::cluster::{AttemptEntry, Cluster, Job, Note, NoteKind};
use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::Mark;
use dockmgr_core::outcome::{EndReason, JobState};
use dockmgr_core::time::WallTime;
use dockmgr_support::metrics::exposition::{JOB_SECONDS, WORK_SECONDS};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Labels whose values are words of ours.
type Words<const N: usize> = [(&'static str, &'static str); N];

/// Something that happened once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fact {
    /// A job was stored.
    Submitted,
    /// A job ended.
    Finished(JobState, EndReason),
    /// An attempt got a place; how long the task had waited for its first one.
    Placed(Option<Duration>),
    /// The first container of a task runs, so long after the job was stored.
    Started(Duration),
    /// An attempt ended.
    Ended {
        /// Why.
        reason: EndReason,
        /// How long its container ran; `None` if it never did.
        run: Option<Duration>,
        /// What its output lacks.
        marks: Vec<&'static str>,
    },
}

impl Fact {
    /// What a note of the step that just was says; `now` is when it was.
    pub(crate) fn of(cluster: &Cluster, note: &Note, now: WallTime) -> Vec<Self> {
        let Some(job) = note.job.and_then(|id| cluster.job(id)) else { return Vec::new() };
        let attempt = || note.attempt.and_then(|id| Some((id, entry(job, id)?)));
        match note.kind {
            NoteKind::JobCreated => vec![Self::Submitted],
            NoteKind::JobEnded => {
                job.outcome.iter().map(|outcome| Self::Finished(job.state(), outcome.reason)).collect()
            }
            NoteKind::AttemptPlaced => attempt()
                .map(|(id, entry)| Self::Placed(is_first(id).then(|| since(job.created, entry.placed))))
                .into_iter()
                .collect(),
            NoteKind::AttemptStarted => {
                let first = note.attempt.is_some_and(is_first);
                first.then(|| Self::Started(since(job.created, now))).into_iter().collect()
            }
            NoteKind::AttemptEnded => {
                attempt().map(|(id, entry)| ended(job, id, &entry, now)).unwrap_or_default()
            }
            NoteKind::JobStopRequested
            | NoteKind::JobDeleted
            | NoteKind::OutputDeleted
            | NoteKind::JobPinned
            | NoteKind::JobUnpinned
            | NoteKind::ImagePulling
            | NoteKind::AttemptUnknown
            | NoteKind::AttemptSuperseded
            | NoteKind::TaskRetried
            | NoteKind::NodeRegistered
            | NoteKind::NodeSilent
            | NoteKind::NodeLost
            | NoteKind::MassLoss
            | NoteKind::NodeReadiness
            | NoteKind::NodeDrained
            | NoteKind::NodeHandedOver
            | NoteKind::NodeResumed
            | NoteKind::NodeDeleted
            | NoteKind::StoreFull
            | NoteKind::StoreWritable => Vec::new(),
        }
    }
}

fn entry(job: &Job, id: AttemptId) -> Option<AttemptEntry> {
    let task = job.task(job.indices.position_of(id.task.index)?)?;
    task.attempts.iter().find(|entry| entry.number == id.number).cloned()
}

fn is_first(id: AttemptId) -> bool {
    id.number.0 == 1
}

fn since(earlier: WallTime, later: WallTime) -> Duration {
    Duration::from_millis(u64::try_from(later.0.saturating_sub(earlier.0)).unwrap_or(0))
}

fn ended(job: &Job, id: AttemptId, entry: &AttemptEntry, now: WallTime) -> Vec<Fact> {
    let Some(end) = entry.end.as_deref() else { return Vec::new() };
    let run = entry.started.map(|_| end.run);
    let mut facts = Vec::new();
    // A short command ends before anything was reported about its start: it began its run before its end was heard.
    if let Some(run) = run.filter(|_| is_first(id) && entry.heard_running.is_none()) {
        facts.push(Fact::Started(since(job.created, now).saturating_sub(run)));
    }
    let mut marks: Vec<&'static str> = end.log_end.iter().flat_map(|end| &end.marks).map(word).collect();
    marks.dedup();
    facts.push(Fact::Ended { reason: end.reason, run, marks });
    facts
}

fn word(mark: &Mark) -> &'static str {
    match mark {
        Mark::Truncated { .. } => "truncated",
        Mark::Suspect { .. } => "suspect",
        Mark::Gap { .. } => "gap",
    }
}

/// Counts what happens to jobs. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct JobMeter {
    submitted: Counter,
    finished: Family<Words<2>, Counter>,
    placed: Counter,
    ended: Family<Words<1>, Counter>,
    incomplete: Family<Words<1>, Counter>,
    events: Family<Words<1>, Counter>,
    queue: Histogram,
    start: Histogram,
    run: Histogram,
    pass: Histogram,
}

impl JobMeter {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let meter = Self {
            submitted: Counter::default(),
            finished: Family::default(),
            placed: Counter::default(),
            ended: Family::default(),
            incomplete: Family::default(),
            events: Family::default(),
            queue: Histogram::new(JOB_SECONDS),
            start: Histogram::new(JOB_SECONDS),
            run: Histogram::new(JOB_SECONDS),
            pass: Histogram::new(WORK_SECONDS),
        };
        let to = registry;
        to.register("cluster_jobs_submitted", "Jobs stored", meter.submitted.clone());
        to.register(
            "cluster_jobs_finished",
            "Jobs that ended, by state and end reason",
            meter.finished.clone(),
        );
        to.register("cluster_attempts_placed", "Attempts that got a place on a node", meter.placed.clone());
        to.register("cluster_attempts_ended", "Attempts that ended, by end reason", meter.ended.clone());
        let help = "Attempts whose kept output is not known to be whole, by mark";
        to.register("cluster_log_incomplete", help, meter.incomplete.clone());
        to.register("cluster_events", "Lines of the event log, by type", meter.events.clone());
        let help = "Time from the submit of a job to the first placement of each of its tasks";
        to.register("cluster_job_queue_seconds", help, meter.queue.clone());
        let help = "Time from the submit of a job until the first container of each of its tasks runs";
        to.register("cluster_job_start_seconds", help, meter.start.clone());
        to.register("cluster_job_run_seconds", "Time that containers of attempts ran", meter.run.clone());
        let help =
            "Time of one decision of the leader: an event is taken in, then what became placeable is placed";
        to.register("cluster_scheduler_pass_seconds", help, meter.pass.clone());
        // What alerts look at is there from the start: the first of its kind would otherwise be no increase.
        for reason in EndReason::ALL {
            drop(meter.ended.get_or_create(&[("reason", reason.as_str())]));
        }
        for mark in ["truncated", "suspect", "gap"] {
            drop(meter.incomplete.get_or_create(&[("mark", mark)]));
        }
        meter
    }

    /// Counts facts that are durable.
    pub(crate) fn count(&self, facts: &[Fact]) {
        for fact in facts {
            match fact {
                Fact::Submitted => {
                    self.submitted.inc();
                }
                Fact::Finished(state, reason) => {
                    let labels = [("state", state_word(*state)), ("reason", reason.as_str())];
                    self.finished.get_or_create(&labels).inc();
                }
                Fact::Placed(waited) => {
                    self.placed.inc();
                    if let Some(waited) = waited {
                        self.queue.observe(waited.as_secs_f64());
                    }
                }
                Fact::Started(after) => self.start.observe(after.as_secs_f64()),
                Fact::Ended { reason, run, marks } => {
                    self.ended.get_or_create(&[("reason", reason.as_str())]).inc();
                    if let Some(run) = run {
                        self.run.observe(run.as_secs_f64());
                    }
                    for mark in marks {
                        self.incomplete.get_or_create(&[("mark", mark)]).inc();
                    }
                }
            }
        }
    }

    /// Counts a line of the event log.
    pub(crate) fn event(&self, kind: NoteKind) {
        self.events.get_or_create(&[("type", kind.as_str())]).inc();
    }

    /// Notes how long one decision took.
    pub(crate) fn pass(&self, took: Duration) {
        self.pass.observe(took.as_secs_f64());
    }
}

/// The word for a job's state.
pub(super) fn state_word(state: JobState) -> &'static str {
    match state {
        JobState::Active => "active",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}
