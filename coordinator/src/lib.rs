//! The coordinator: serves the API, schedules jobs onto workers, keeps their state and their output.
//!
//! A thin shell around `dockmgr_core::cluster`. Suggested reading order: the modules as they are listed here.

pub mod app;
mod compaction;
pub mod config;
pub mod controller;
pub mod export;
mod forward;
pub mod logs;
pub mod metrics;
mod retention;
mod rpc;
mod server;
pub mod sessions;
pub mod store;
mod usage;
mod web;
mod witness;
