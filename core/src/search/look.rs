//! One line under questions: what it was taken apart into is kept for the next question.

use std::cell::OnceCell;

use super::expr::Term;
use super::fields::Fields;
use super::severity;
use crate::log::Stream;

/// A line that is looked at.
pub(super) struct Look<'a> {
    stream: Stream,
    line: &'a [u8],
    fields: OnceCell<Fields<'a>>,
}

impl<'a> Look<'a> {
    pub(super) fn new(stream: Stream, line: &'a [u8]) -> Self {
        Self { stream, line, fields: OnceCell::new() }
    }

    /// Whether a term holds of the line; one about the job or the attempt does not, see [`super::Query::within`].
    pub(super) fn shows(&self, term: &Term) -> bool {
        match term {
            Term::Stream(stream) => *stream == self.stream,
            Term::Text(text) => text.is_in(self.line),
            Term::Regex(regex) => regex.is_in(self.line),
            Term::Level { order, severity, gate } => {
                gate.is_open_for(self.line)
                    && severity::of(self.line, self.fields())
                        .is_some_and(|found| order.holds(&found, severity))
            }
            Term::Field { path, test, gate } => {
                gate.is_open_for(self.line) && self.fields().any(path, &mut |value| test.fits(value))
            }
            Term::Job(_)
            | Term::Name(_)
            | Term::Label { .. }
            | Term::State(_)
            | Term::Reason(_)
            | Term::Node(_)
            | Term::Task(..)
            | Term::Attempt(..) => false,
        }
    }

    fn fields(&self) -> &Fields<'a> {
        self.fields.get_or_init(|| Fields::of(self.line))
    }
}
