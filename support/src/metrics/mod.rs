//! Numbers for Prometheus: how both programs show them.
//!
//! Owns the listener of `/metrics` ([`Listener`]), who may read it ([`Settings`], `door`), the text it answers with
//! ([`exposition`]) and the numbers every process has ([`process`], [`disks`]). What else is counted is each program's own:
//! it brings a [`Page`], whose registry is handed down and never global, so that many programs fit into one test process.

pub mod disks;
mod door;
pub mod exposition;
mod listener;
pub mod process;
mod settings;

pub use listener::{Error, Listener, Page};
pub use settings::{Settings, SettingsError};
