//! What may reach a terminal, and how this program's own words look there.

mod sanitize;

pub(crate) use sanitize::{Sanitizer, escape_line};
