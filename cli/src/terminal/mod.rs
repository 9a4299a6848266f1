//! What may reach a terminal, and how this program's own words look there.

mod sanitize;

pub(crate) use sanitize::{Sanitizer, escape_line};

/// Whether our own words may be coloured on a terminal: a person says no with `NO_COLOR`.
pub(crate) fn has_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
