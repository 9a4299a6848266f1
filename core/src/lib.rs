//! The domain of dockmgr: its words as types, and every decision as a pure function.
//!
//! This crate owns no input or output: no clock, no randomness, no network, no async. Time, ids and jitter come in
//! with the event; what must happen comes out as data. The coordinator and the worker are thin shells around it.
//!
//! Suggested reading order: `ids`, `time`, `spec`, `outcome`, `log`, `search`, `export`, `scheduler`, `cluster`, `agent`,
//! `trace`.

pub mod agent;
pub mod clock_rate;
pub mod cluster;
pub mod export;
pub mod filter;
pub mod ids;
pub mod log;
mod mix;
pub mod mutants;
pub mod outcome;
pub mod retention;
pub mod samples;
pub mod scheduler;
pub mod search;
pub mod spec;
pub mod time;
pub mod trace;
