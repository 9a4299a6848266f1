//! Process plumbing shared by the dockmgr programs: clocks, tasks, signals, log lines, connections, secrets.
//!
//! Owns nothing of the domain. Suggested reading order: the modules as they are listed here.

pub mod backoff;
pub mod channel;
pub mod clock;
pub mod crypto;
pub mod dev_token;
pub mod error_chain;
pub mod folder_lock;
pub mod log_file;
pub mod metrics;
pub mod route;
pub mod secret;
pub mod shutdown;
pub mod tasks;
pub mod telemetry;
pub mod traces;
