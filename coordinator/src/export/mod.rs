//! Shipping kept output to other systems while this coordinator leads.
//!
//! Owns one task for each `--export`: what it reads, where it has come to, the connection. The rules are
//! `dockmgr_core::export`'s.
//!
//! ```text
//!   Agenda: which jobs -> gather: kept logs from the cursor on -> batch -> Delivery -> Sink
//!                                                                  |  dead letters \-> DeadLetters
//!                                                                  v
//!                                        Cursor moves, stored under `exports/NAME/` at most once a second
//! ```
//!
//! Nothing waits for an exporter: it reads kept files at its own pace with one batch in memory, and a server that is slow or
//! away only makes it fall behind.
//!
//! Invariant: the cursor is stored only after what lies before it is durable where it was sent.

mod agenda;
mod authorization;
mod dead_letters;
mod error;
mod file_sink;
mod gather;
mod hold;
mod http_sink;
mod otlp;
mod places;
mod shipper;
mod sink;
mod target;

pub use authorization::Authorization;
pub use target::{Target, TargetError};

pub(crate) use hold::Hold;
pub(crate) use shipper::{Shipper, run};

use error::Error;
