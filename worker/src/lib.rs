//! The worker of a dockmgr cluster: it runs attempts on this machine's containers and reports what became of them.
//!
//! Decisions are made in `dockmgr_core::agent`; this crate carries them out.
//!
//! Reading order: `app` puts everything together, `session` talks to the leader, `attempt` drives containers through
//! `runtime`, with `journal` as memory, `capture` and `spool` for output and `images` for what containers are made of.

pub mod app;
pub mod attempt;
pub mod capacity;
pub mod capture;
pub mod config;
pub mod data_dir;
pub mod fence;
pub mod guard;
pub mod health;
pub mod images;
pub mod journal;
pub mod metrics;
pub mod outbox;
pub mod runtime;
pub mod session;
pub mod spool;
pub mod sweep;
#[cfg(test)]
mod testing;
pub mod upload;
