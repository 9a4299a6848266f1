//! From flags, a job file and the words of a command to the job spec of the API.
//!
//! Owns the merge (flags over file over defaults of the server) and the check before anything is sent. What a valid spec
//! is, `dockmgr_core::spec` says.

mod build;
mod command;
mod environment;
mod file;
mod flags;

pub(crate) use build::{Wish, wish};
pub(crate) use flags::SpecFlags;
