//! The language of log searches: what a query is, and which lines it finds.
//!
//! ```text
//! query   = and { "OR" and }
//! and     = not { ["AND"] not }                      side by side means AND
//! not     = "NOT" not | "(" query ")" | term
//! term    = word | '"' phrase '"' | "/" regex "/" | field | "*"
//! field   = name (":" | "=" | "!=" | "<" | "<=" | ">" | ">=") value
//! name    = "job" | "name" | "label" | "state" | "reason" | "node" | "task" | "attempt" | "stream" | "level"
//!         | a field of a JSON or logfmt line; with a leading "." also one that is named like these
//! ```
//!
//! Words and phrases are found as whole words, that is, between bytes that are no letter, digit or `_`; a `*` at either
//! end lifts that. Values are compared whole, `*` likewise. Upper and lower case of ASCII letters are the same, except in
//! regular expressions. A line is any bytes.
//!
//! Owns parsing, printing, deciding about a line, and what a line must contain at least (so that a store can skip what
//! holds no hit). Reads nothing: the coordinator feeds it lines, the command line uses it to look at single ones.
//!
//! ```text
//!   text -> Query --within(job, attempt)--> Query of lines only --matches(line)--> yes or no
//!                                              |--needs()--> tokens that every hit has
//!                                              \--Finder--> Scan, which looks at whole blocks at once
//! ```
//!
//! Invariant: printing a query and parsing what was printed gives the same query.
//!
//! Invariant: a line that matches has every token that [`Query::needs`] asks for.

mod ascii;
mod error;
mod expr;
mod facts;
mod fields;
mod gate;
mod lexer;
mod lines;
mod look;
mod needs;
mod parser;
mod pattern;
mod print;
mod query;
mod regex;
mod scan;
mod severity;
mod sieve;
mod stretch;
mod table;
mod text;
mod tokens;

pub use error::Error;
pub use facts::{AttemptFacts, JobFacts};
pub use lines::{Line, LineSplitter, MAX_LINE};
pub use needs::Needs;
pub use query::Query;
pub use scan::{Finder, Scan, Times};
pub use severity::{Severity, severity};
pub use stretch::Stretch;
pub use tokens::{fold, tokens};

/// Longest query that is read, in bytes.
pub const MAX_BYTES: usize = 4096;
/// Most terms of one query.
const MAX_TERMS: usize = 64;
/// Most regular expressions of one query: each may take a megabyte of memory.
const MAX_REGEXES: usize = 16;
/// Deepest nesting of parentheses and NOT.
const MAX_DEPTH: usize = 32;

#[cfg(test)]
mod tests;
