//! Attempts: one driver each, from the command of the coordinator to the last trace removed.
//!
//! Owns the registry of drivers and the loop that carries out what [`dockmgr_core::agent::plan`] decides. Decides
//! nothing itself: each step's outcome is noted in `Observed` and the plan is asked again. The session talks to
//! [`Attempts`]; a driver talks to the journal, the runtime, the image cache, its capture and the outbox.

mod attempts;
mod container;
mod daemon;
mod driver;
mod ending;
mod inbox;
mod mounts;
mod shell;
mod steps;
mod trace;
mod usage;

pub use attempts::Attempts;
pub use mounts::AllowedMounts;
pub use usage::UsageBoard;

use std::sync::{Arc, OnceLock};

use dockmgr_core::agent::ContainerIdentity;
use dockmgr_support::tasks::Tasks;
use dockmgr_support::traces::Tracer;
use tokio::sync::Semaphore;

use crate::fence::LeaderContact;
use crate::guard::Records;
use crate::health::Health;
use crate::images::Images;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::runtime::AnyRuntime;
use crate::spool::Spool;

/// What all drivers share.
#[derive(Debug)]
pub struct Context {
    /// The daemon.
    pub runtime: AnyRuntime,
    /// Memory over crashes.
    pub journal: Journal,
    /// News for the coordinator.
    pub outbox: Outbox,
    /// Output on its way.
    pub spool: Spool,
    /// The image cache.
    pub images: Images,
    /// Condition of the node.
    pub health: Health,
    /// When the leader was last heard of.
    pub contact: LeaderContact,
    /// What the guard is told; `None` where there is no guard.
    pub guard: Option<Records>,
    /// Whose containers these are; set when the cluster is known, before any attempt.
    pub identity: Arc<OnceLock<ContainerIdentity>>,
    /// Name of the node, for the environment of containers.
    pub node_name: String,
    /// This boot of the host.
    pub boot_id: String,
    /// Host folders that jobs may mount from.
    pub allowed_mounts: AllowedMounts,
    /// Creates and starts at the same time: more only queue up inside the daemon, where nobody sees them.
    pub starts: Arc<Semaphore>,
    /// What attempts use at the moment.
    pub usage: UsageBoard,
    /// What is counted.
    pub metrics: Metrics,
    /// Where spans go.
    pub tracer: Tracer,
    /// Where drivers and captures run.
    pub tasks: Tasks,
}

impl Context {
    /// Whose containers these are.
    fn identity(&self) -> ContainerIdentity {
        *self.identity.get().expect("commands come only after the Welcome that names the cluster")
    }
}

#[cfg(test)]
mod daemon_rows;
#[cfg(test)]
mod tests;
