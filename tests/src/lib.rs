//! Harness of the tests that run dockmgr as a user does: real programs, real etcd, real Docker.
//!
//! Owns starting and stopping a whole cluster in folders and on ports of its own ([`Cluster`]), calling the command line
//! ([`CliCall`]), looking at Docker from outside ([`docker`]) and waiting for conditions ([`wait_until`]). It knows the
//! programs only by their flags, their API and their files. The test programs beside `src/` use it.

pub mod adoption;
pub mod browser;
pub mod cli;
pub mod cluster;
pub mod dev;
pub mod docker;
pub mod etcd;
pub mod failover;
pub mod figures;
pub mod frames;
pub mod http;
pub mod load;
pub mod needs;
pub mod opensearch;
pub mod otelcol;
pub mod own_daemon;
pub mod ports;
pub mod process;
pub mod programs;
pub mod prometheus;
pub mod proxy;
pub mod raw;
pub mod registry;
pub mod s3;
pub mod stand_in;
pub mod victorialogs;
pub mod wait;

pub use cli::{CliCall, Output, Running};
pub use cluster::{Builder, Cluster, Runtime, Store};
pub use own_daemon::OwnDaemon;
pub use wait::{eventually, wait_until};

use std::time::Duration;

/// Longest time an ordinary step of a test may take on a loaded machine of two cores.
pub const STEP_LIMIT: Duration = Duration::from_secs(60);

/// The image jobs run in: bash and coreutils.
pub fn base_image() -> String {
    std::env::var("DOCKMGR_TEST_IMAGE").unwrap_or_else(|_| "dockmgr/base:local".to_owned())
}

/// A Debian image with apt.
pub fn debian_image() -> String {
    std::env::var("DOCKMGR_TEST_DEBIAN_IMAGE").unwrap_or_else(|_| "dockmgr/debian:local".to_owned())
}
