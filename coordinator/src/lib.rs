//! The coordinator: serves the API, schedules jobs onto workers, keeps their state and their output.
//!
//! A thin shell around `dockmgr_core::cluster`. Suggested reading order: the modules as they are listed here.

#[cfg(feature = "wip")]
pub mod app;
pub mod config;
#[cfg(feature = "wip")]
pub mod controller;
#[cfg(feature = "wip")]
pub mod logs;
#[cfg(feature = "wip")]
mod retention;
#[cfg(feature = "wip")]
mod rpc;
#[cfg(feature = "wip")]
mod server;
#[cfg(feature = "wip")]
pub mod sessions;
pub mod store;
