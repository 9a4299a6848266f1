//! What is known of the job and the attempt that wrote a line, and the questions about that.

use std::collections::BTreeMap;
use std::fmt;

use super::expr::Term;
use crate::ids::{AttemptId, AttemptNumber, JobId, TaskIndex};
use crate::log::Stream;
use crate::outcome::{EndReason, TaskState};
use crate::spec::{LabelKey, LabelValue};

/// A job as queries see it. Of one that was forgotten only the number is known; its name is empty.
#[derive(Debug, Clone, Copy)]
pub struct JobFacts<'a> {
    /// Its number.
    pub id: JobId,
    /// Its name, empty if it has none.
    pub name: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<LabelKey, LabelValue>,
}

/// An attempt as queries see it.
#[derive(Debug, Clone, Copy)]
pub struct AttemptFacts<'a> {
    /// Its id.
    pub id: AttemptId,
    /// Where it stands; `None` if nobody knows any more.
    pub state: Option<TaskState>,
    /// Why it ended; `None` if it did not or nobody knows any more.
    pub reason: Option<EndReason>,
    /// Name of its node, empty if nobody knows any more.
    pub node: &'a str,
    /// Id of its node, likewise.
    pub node_id: &'a str,
}

/// A job, a task or an attempt by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct JobScope {
    pub(super) job: JobId,
    pub(super) task: Option<TaskIndex>,
    pub(super) attempt: Option<AttemptNumber>,
}

/// What `state:` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StateTest {
    /// The attempt has not ended.
    Active,
    /// It stands exactly there.
    Is(TaskState),
}

impl JobScope {
    /// Reads `42`, `42.7` or `42.7.2`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let number =
            |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u32>().ok())?;
        let job = parts.next()?.parse().ok()?;
        let task = parts.next().map(|text| number(text).map(TaskIndex).ok_or(())).transpose().ok()?;
        let attempt = parts.next().map(|text| number(text).map(AttemptNumber).ok_or(())).transpose().ok()?;
        let ends = parts.next().is_none() && attempt.is_none_or(|attempt| attempt.0 > 0);
        ends.then_some(Self { job, task, attempt })
    }

    fn holds(self, attempt: AttemptId) -> bool {
        self.job == attempt.job()
            && self.task.is_none_or(|task| task == attempt.task.index)
            && self.attempt.is_none_or(|number| number == attempt.number)
    }
}

impl fmt::Display for JobScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.job)?;
        self.task.map_or(Ok(()), |task| write!(f, ".{task}"))?;
        self.attempt.map_or(Ok(()), |attempt| write!(f, ".{attempt}"))
    }
}

impl StateTest {
    /// All there are, for parsing and for the words of an error.
    pub(super) const ALL: [Self; 11] = [
        Self::Active,
        Self::Is(TaskState::Queued),
        Self::Is(TaskState::Placed),
        Self::Is(TaskState::Pulling),
        Self::Is(TaskState::Starting),
        Self::Is(TaskState::Running),
        Self::Is(TaskState::Stopping),
        Self::Is(TaskState::Unknown),
        Self::Is(TaskState::Succeeded),
        Self::Is(TaskState::Failed),
        Self::Is(TaskState::Cancelled),
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Is(state) => state.as_str(),
        }
    }

    fn holds(self, state: TaskState) -> bool {
        match self {
            Self::Active => !state.is_terminal(),
            Self::Is(asked) => asked == state,
        }
    }
}

impl Term {
    /// Whether the term holds of every line of this job, and of this attempt where one is given; `None` if that depends on
    /// what is not given or on the line.
    pub(super) fn known(&self, job: &JobFacts<'_>, attempt: Option<&AttemptFacts<'_>>) -> Option<bool> {
        match self {
            Self::Job(scope) if scope.job != job.id => Some(false),
            Self::Job(JobScope { task: None, attempt: None, .. }) => Some(true),
            Self::Job(scope) => attempt.map(|attempt| scope.holds(attempt.id)),
            Self::Name(name) => Some(!job.name.is_empty() && name.fits(job.name.as_bytes())),
            Self::Label { key, value } => {
                let found = job.labels.iter().find(|(have, _)| have.as_str() == key);
                Some(found.is_some_and(|(_, have)| value.fits(have.as_str().as_bytes())))
            }
            Self::State(test) => attempt.map(|attempt| attempt.state.is_some_and(|state| test.holds(state))),
            Self::Reason(reason) => attempt.map(|attempt| attempt.reason == Some(*reason)),
            Self::Node(node) => attempt.map(|attempt| {
                !attempt.node_id.is_empty()
                    && (node.fits(attempt.node.as_bytes()) || node.fits(attempt.node_id.as_bytes()))
            }),
            Self::Task(order, index) => attempt.map(|attempt| order.holds(&attempt.id.task.index.0, index)),
            Self::Attempt(order, number) => attempt.map(|attempt| order.holds(&attempt.id.number.0, number)),
            Self::Stream(_) | Self::Level { .. } | Self::Field { .. } | Self::Text(_) | Self::Regex(_) => {
                None
            }
        }
    }

    /// Whether the term holds of every line of this stream; `None` if it does not ask for the stream.
    pub(super) fn known_of(&self, stream: Stream) -> Option<bool> {
        match self {
            Self::Stream(asked) => Some(*asked == stream),
            Self::Job(_)
            | Self::Name(_)
            | Self::Label { .. }
            | Self::State(_)
            | Self::Reason(_)
            | Self::Node(_)
            | Self::Task(..)
            | Self::Attempt(..)
            | Self::Level { .. }
            | Self::Field { .. }
            | Self::Text(_)
            | Self::Regex(_) => None,
        }
    }
}
