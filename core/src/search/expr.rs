//! The tree of a query: how terms are joined, and each thing a term can ask.

use std::ops::Range;

use super::facts::{JobScope, StateTest};
use super::fields::FieldTest;
use super::gate::Gate;
use super::look::Look;
use super::needs::Needs;
use super::pattern::Pattern;
use super::regex::Regex;
use super::severity::Severity;
use super::text::Text;
use crate::ids::JobId;
use crate::log::Stream;
use crate::outcome::EndReason;

/// A query or a part of one. `And` and `Or` have at least two parts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    /// Every line.
    Always,
    /// No line.
    Never,
    /// All parts hold.
    And(Vec<Expr>),
    /// One part holds.
    Or(Vec<Expr>),
    /// The part does not hold.
    Not(Box<Expr>),
    /// One question.
    Term(Term),
}

/// One question.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Term {
    /// A job, a task or an attempt by number.
    Job(JobScope),
    /// The job's name.
    Name(Pattern),
    /// A label of the job.
    Label {
        /// Its key.
        key: String,
        /// What its value must be like.
        value: Pattern,
    },
    /// Where the attempt stands.
    State(StateTest),
    /// Why the attempt ended.
    Reason(EndReason),
    /// The attempt's node, by name or id.
    Node(Pattern),
    /// The index of the task.
    Task(Order, u32),
    /// The number of the attempt.
    Attempt(Order, u32),
    /// The stream of the line.
    Stream(Stream),
    /// The severity of the line.
    Level {
        /// How it is compared.
        order: Order,
        /// With what.
        severity: Severity,
        /// Words without which a line has no such severity.
        gate: Gate,
    },
    /// A field of a structured line.
    Field {
        /// Its name, with dots for fields of fields.
        path: String,
        /// What its value must be like.
        test: FieldTest,
        /// Words without which a line has no such field.
        gate: Gate,
    },
    /// A word or phrase.
    Text(Text),
    /// A regular expression.
    Regex(Regex),
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Order {
    /// Whether `left` stands to `right` like this; false for numbers that cannot be compared.
    pub(super) fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Greater => left > right,
            Self::AtLeast => left >= right,
        }
    }
}

impl Expr {
    /// The tree that is left when `known` has decided what it can.
    pub(super) fn given(&self, known: &impl Fn(&Term) -> Option<bool>) -> Self {
        match self {
            Self::Always | Self::Never => self.clone(),
            Self::And(parts) => Self::join(parts, known, &Self::Always, &Self::Never, Self::And),
            Self::Or(parts) => Self::join(parts, known, &Self::Never, &Self::Always, Self::Or),
            Self::Not(part) => match part.given(known) {
                Self::Always => Self::Never,
                Self::Never => Self::Always,
                other @ (Self::And(_) | Self::Or(_) | Self::Not(_) | Self::Term(_)) => {
                    Self::Not(Box::new(other))
                }
            },
            Self::Term(term) => match known(term) {
                Some(true) => Self::Always,
                Some(false) => Self::Never,
                None => self.clone(),
            },
        }
    }

    /// What is left of parts where `neutral` changes nothing and `decisive` decides.
    fn join(
        parts: &[Self],
        known: &impl Fn(&Term) -> Option<bool>,
        neutral: &Self,
        decisive: &Self,
        make: fn(Vec<Self>) -> Self,
    ) -> Self {
        let mut left = Vec::with_capacity(parts.len());
        for part in parts {
            let part = part.given(known);
            if part == *decisive {
                return part;
            }
            if part != *neutral {
                left.push(part);
            }
        }
        match left.len() {
            0 => neutral.clone(),
            1 => left.remove(0),
            _ => make(left),
        }
    }

    /// Whether it holds of a line.
    pub(super) fn holds(&self, look: &Look<'_>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::And(parts) => parts.iter().all(|part| part.holds(look)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(look)),
            Self::Not(part) => !part.holds(look),
            Self::Term(term) => look.shows(term),
        }
    }

    /// Adds where the texts stand that are asked for.
    pub(super) fn mark(&self, line: &[u8], most: usize, found: &mut Vec<Range<usize>>) {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                for part in parts {
                    part.mark(line, most, found);
                }
            }
            Self::Term(Term::Text(text)) => found.extend(text.all(line).take(most)),
            Self::Term(Term::Regex(regex)) => found.extend(regex.all(line).take(most)),
            Self::Always | Self::Never | Self::Not(_) | Self::Term(_) => {}
        }
    }

    /// What every line has that matches.
    pub(super) fn needs(&self) -> Needs {
        match self {
            Self::Never => Needs::Any(Vec::new()),
            Self::And(parts) => Needs::all(parts.iter().map(Self::needs)),
            Self::Or(parts) => Needs::any(parts.iter().map(Self::needs)),
            Self::Term(Term::Text(text)) => Needs::tokens(text.pattern().whole_tokens()),
            Self::Term(Term::Regex(regex)) => Needs::tokens(regex.whole_tokens()),
            Self::Term(Term::Level { gate, .. } | Term::Field { gate, .. }) => gate.needs(),
            Self::Always | Self::Not(_) | Self::Term(_) => Needs::Nothing,
        }
    }

    /// The job that a term at the top asks for.
    pub(super) fn only_job(&self) -> Option<JobId> {
        match self {
            Self::And(parts) => parts.iter().find_map(Self::only_job),
            Self::Term(Term::Job(scope)) => Some(scope.job),
            Self::Always | Self::Never | Self::Or(_) | Self::Not(_) | Self::Term(_) => None,
        }
    }
}
