//! Conversion between wire messages and the domain; errors name the field.
//!
//! Owns the border: whatever comes out of `from_wire` functions is valid, and whatever goes in can be any bytes a peer
//! sent. Nothing here panics on wire content. A field that must be there and is not, a number that has no name and a
//! text that does not parse are errors; unknown fields are ignored, as protobuf has it.
//!
//! The rpc handlers, the sessions on both sides, the store codec and the client call it. One file a message family;
//! functions are named for the direction: `x_from_wire`, `x_to_wire`.

use std::fmt;

use dockmgr_core::spec::Violation;

pub mod ids;
pub mod log;
pub mod outcome;
pub mod resources;
pub mod session;
pub mod spec;
pub mod time;

/// Why a wire message has no meaning in the domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Error {
    /// Path of the field from the message that was converted, `hello.attempts[3].ended.reason`.
    pub field: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It must be there and is not.
    Missing,
    /// A number of an enum that has no name here, or its "unspecified".
    UnknownValue(i32),
    /// What would be right.
    Rule(&'static str),
    /// A text that is not what the field holds, in the words of its parser.
    Malformed(String),
    /// A list longer than allowed.
    TooMany {
        /// How many there are.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it is missing"),
            Self::UnknownValue(number) => write!(f, "{number} is not a value known here"),
            Self::Rule(rule) => f.write_str(rule),
            Self::Malformed(words) => f.write_str(words),
            Self::TooMany { count, limit } => write!(f, "there are {count}; at most {limit} are allowed"),
        }
    }
}

impl Error {
    /// An error about `field`.
    pub fn new(field: impl Into<String>, problem: Problem) -> Self {
        Self { field: field.into(), problem }
    }

    /// An error about a message or text that must be there.
    pub fn missing(field: impl Into<String>) -> Self {
        Self::new(field, Problem::Missing)
    }

    /// The same error about a message that lies in the field `parent` of another one.
    #[must_use]
    pub fn under(self, parent: &str) -> Self {
        Self { field: format!("{parent}.{}", self.field), ..self }
    }
}

impl From<Error> for Violation {
    fn from(error: Error) -> Self {
        Self { field: error.field, description: error.problem.to_string() }
    }
}

impl From<Error> for Vec<Violation> {
    fn from(error: Error) -> Self {
        vec![error.into()]
    }
}

/// Parses a text field.
pub(crate) fn parsed<T, E: fmt::Display>(
    field: &str,
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Error> {
    parse(text).map_err(|error| Error::new(field, Problem::Malformed(error.to_string())))
}

/// The message of a field that must be there.
pub(crate) fn required<T>(field: &str, value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(|| Error::missing(field))
}

/// Refuses a list with more than `limit` entries.
pub(crate) fn at_most<T>(field: &str, list: &[T], limit: usize) -> Result<(), Error> {
    let count = list.len();
    if count > limit { Err(Error::new(field, Problem::TooMany { count, limit })) } else { Ok(()) }
}

/// A text that may be empty, which means absent; cut to `limit` bytes at a character border.
pub(crate) fn optional_text(text: String, limit: usize) -> Option<String> {
    if text.is_empty() { None } else { Some(cut(text, limit)) }
}

/// A text cut to `limit` bytes at a character border. Words of a worker are cut, not refused: a refused report would
/// be sent again for ever.
pub(crate) fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}
