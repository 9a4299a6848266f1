//! Why a text is no query.

/// Where and why a text is no query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} (at character {at})")]
pub struct Error {
    /// Where, counted in characters from 0.
    pub at: usize,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl Error {
    pub(super) fn new(at: usize, problem: impl Into<String>) -> Self {
        Self { at, problem: problem.into() }
    }
}
