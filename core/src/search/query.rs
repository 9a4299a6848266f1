//! A query: the whole of it.

use std::fmt;
use std::ops::Range;

use super::expr::Expr;
use super::facts::{AttemptFacts, JobFacts};
use super::look::Look;
use super::needs::Needs;
use super::{Error, parser, print};
use crate::ids::JobId;
use crate::log::Stream;

/// What is searched for. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub(super) root: Expr,
}

impl Query {
    /// The query that every line matches.
    pub const EVERYTHING: Self = Self { root: Expr::Always };

    /// Parses a query; an empty one matches everything.
    ///
    /// # Errors
    /// Says where and what is wrong and what was expected.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parser::parse(text).map(|root| Self { root })
    }

    /// What is left to ask of a line of this job, and of this attempt where one is given: terms about them are decided.
    #[must_use]
    pub fn within(&self, job: &JobFacts<'_>, attempt: Option<&AttemptFacts<'_>>) -> Self {
        Self { root: self.root.given(&|term| term.known(job, attempt)) }
    }

    /// What is left to ask of a line of this stream.
    #[must_use]
    pub fn of_stream(&self, stream: Stream) -> Self {
        Self { root: self.root.given(&|term| term.known_of(stream)) }
    }

    /// Whether no line can match, as far as is known without looking.
    pub fn is_never(&self) -> bool {
        self.root == Expr::Never
    }

    /// The only job whose lines can match; `None` if there may be several.
    pub fn only_job(&self) -> Option<JobId> {
        self.root.only_job()
    }

    /// Whether a line matches. Terms about the job or the attempt must have been decided by [`Query::within`]; those that
    /// were not do not hold.
    pub fn matches(&self, stream: Stream, line: &[u8]) -> bool {
        self.root.holds(&Look::new(stream, line))
    }

    /// Where in a line the words, phrases and regular expressions stand that are asked for: at most `most` ranges, in
    /// order, none overlapping another.
    pub fn ranges(&self, line: &[u8], most: usize) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        self.root.mark(line, most, &mut found);
        found.sort_unstable_by_key(|range| (range.start, range.end));
        let mut merged: Vec<Range<usize>> = Vec::new();
        for range in found {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                Some(_) | None => merged.push(range),
            }
        }
        merged.truncate(most);
        merged
    }

    /// Tokens without which no line matches.
    pub fn needs(&self) -> Needs {
        self.root.needs()
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print::expr(&self.root, f)
    }
}
