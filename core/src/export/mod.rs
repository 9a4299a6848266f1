//! Shipping kept output to other systems: what a line looks like there, how far an exporter has come, what an answer means.
//!
//! Owns the rules of at-least-once delivery. Opens no connection and reads no file: the coordinator's `export` feeds it
//! entries of kept logs and answers of servers, and carries out what it says.
//!
//! ```text
//!   kept entries --cut--> Documents --(a form: ecs, elastic, loki)--> request
//!                                                                        | answer
//!   Cursor <-- moves, when nothing is left -- Delivery <--Answer---------+
//!                                                \--> dead letters, one document each
//! ```
//!
//! Invariant: a [`Cursor`] moves past a byte only when every document that holds it was delivered or is a dead letter.
//!
//! Invariant: the same bytes make the same documents with the same [`DocumentId`] wherever reading begins again, so a repeat
//! can be told from news.

mod answer;
mod cursor;
mod cut;
mod delivery;
mod document;
pub mod ecs;
pub mod elastic;
mod job_set;
pub mod loki;

pub use answer::{Answer, Verdict, by_status};
pub use cursor::{Change, Cursor};
pub use cut::{Cut, cut};
pub use delivery::{DeadLetter, Delivery, Settled};
pub use document::{About, Document, DocumentId, Ended};
pub use job_set::JobSet;

/// A text is no place in kept output: neither an exporter's nor a document's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a place in kept output")]
pub struct PlaceError;
