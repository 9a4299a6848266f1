//! Which spans a job's way leaves in a trace, and how they hang together.
//!
//! Owns ids and shapes; who sends spans, and where, is the shells' affair. Every id follows from the cluster, the job, the
//! task and the attempt, so that coordinator and worker, each after any restart, draw parts of one tree without a word
//! between them:
//!
//! ```text
//! (submitter's span) -> job ---> schedule            coordinator
//!                          `---> attempt             coordinator
//!                                   |---> pull       worker
//!                                   |---> start      worker
//!                                   `---> run        worker; the command's own spans hang below it
//! ```
//!
//! Called by the coordinator's controller and the worker's driver of an attempt.

mod cluster;
mod parent;

use std::fmt;

pub use cluster::spans;
pub use parent::TraceParent;

use crate::ids::{AttemptId, ClusterId, JobId};
use crate::mix::mix;
use crate::spec::limits::MAX_ENV;
use crate::spec::{EnvVar, JobSpec};
use crate::time::WallTime;

/// The variable that carries the parent: from the submitter in the spec, to the command in its environment.
pub const VARIABLE: &str = "TRACEPARENT";

/// Notes the parent that a submitter gave beside the spec, unless the spec names one or is full.
pub fn adopt(spec: &mut JobSpec, parent: TraceParent) {
    let named = spec.env.iter().any(|variable| variable.name == VARIABLE);
    if !named && spec.env.len() < MAX_ENV {
        spec.env.push(EnvVar { name: VARIABLE.to_owned(), value: parent.to_string() });
    }
}

/// Identity of a trace; not zero (W3C Trace Context, trace-id).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceId(pub [u8; 16]);

/// Identity of a span in its trace; not zero (W3C Trace Context, parent-id).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpanId(pub [u8; 8]);

/// Where the spans of one job belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobTrace {
    job: JobId,
    trace: TraceId,
    parent: Option<SpanId>,
    sampled: bool,
    /// Keeps jobs apart that share one trace.
    seed: u64,
}

impl JobTrace {
    /// The trace of a job: its submitter's if the spec names one, else one of its own.
    pub fn of(cluster: ClusterId, job: JobId, spec: &JobSpec) -> Self {
        let (high, low) = cluster.0.as_u64_pair();
        let seed = mix(mix(high) ^ mix(low ^ job.get()));
        let given = spec.env.iter().find(|variable| variable.name == VARIABLE);
        let given = given.and_then(|variable| TraceParent::parse(&variable.value));
        let own = (u128::from(nonzero(seed)) << 64) | u128::from(mix(seed));
        Self {
            job,
            trace: given.map_or(TraceId(own.to_be_bytes()), |parent| parent.trace),
            parent: given.map(|parent| parent.span),
            sampled: given.is_none_or(|parent| parent.sampled),
            seed,
        }
    }

    /// Whether spans are recorded: a submitter may have decided against it.
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// What the command is given, so that its own spans hang below its run.
    pub fn for_command(&self, attempt: AttemptId) -> TraceParent {
        TraceParent { trace: self.trace, span: self.step(attempt, Step::Run), sampled: self.sampled }
    }

    /// A step of an attempt as its worker saw it.
    pub fn worker_span(&self, attempt: AttemptId, step: Step, times: (WallTime, WallTime)) -> Span {
        let parent = Some(self.step(attempt, Step::Attempt));
        self.span(self.step(attempt, step), parent, step.name(), times).of_attempt(attempt)
    }

    fn job_span(&self) -> SpanId {
        self.id(0, 0, 0)
    }

    fn step(&self, attempt: AttemptId, step: Step) -> SpanId {
        self.id(1 + step as u64, u64::from(attempt.task.index.0), u64::from(attempt.number.0))
    }

    fn id(&self, kind: u64, task: u64, attempt: u64) -> SpanId {
        SpanId(nonzero(mix(mix(self.seed ^ kind) ^ ((task << 32) | attempt))).to_be_bytes())
    }

    fn span(
        &self,
        id: SpanId,
        parent: Option<SpanId>,
        name: &'static str,
        (start, end): (WallTime, WallTime),
    ) -> Span {
        let attributes =
            vec![("dockmgr.job", Value::Number(i64::try_from(self.job.get()).unwrap_or(i64::MAX)))];
        // Two clocks may have told the times: a span never ends before it began.
        Span { trace: self.trace, id, parent, name, start, end: end.max(start), attributes, error: None }
    }
}

/// A part of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The wait for a place.
    Schedule,
    /// From the place to the end.
    Attempt,
    /// The image is looked for or pulled.
    Pull,
    /// The container is created and started.
    Start,
    /// The command runs.
    Run,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Attempt => "attempt",
            Self::Pull => "pull",
            Self::Start => "start",
            Self::Run => "run",
        }
    }
}

/// A finished span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its trace.
    pub trace: TraceId,
    /// Its identity; the same whenever the same thing is told again.
    pub id: SpanId,
    /// What it is a part of.
    pub parent: Option<SpanId>,
    /// What happened.
    pub name: &'static str,
    /// When it began.
    pub start: WallTime,
    /// When it ended; not before `start`.
    pub end: WallTime,
    /// What else is known.
    pub attributes: Vec<(&'static str, Value)>,
    /// What went wrong; `None` if nothing did.
    pub error: Option<String>,
}

impl Span {
    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Value) -> Self {
        self.attributes.push((name, value));
        self
    }

    fn of_attempt(self, attempt: AttemptId) -> Self {
        self.with("dockmgr.task", Value::Number(i64::from(attempt.task.index.0)))
            .with("dockmgr.attempt", Value::Number(i64::from(attempt.number.0)))
    }
}

/// Value of a fact about a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Words.
    Text(String),
    /// A whole number.
    Number(i64),
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

fn nonzero(id: u64) -> u64 {
    id.max(1)
}

#[cfg(test)]
mod tests;
