//! Whether this node can take work now, and what happened to its daemon and disks that results must know of.
//!
//! Owns the probe loop and its findings. Sessions report the [`NodeStatus`]; attempt drivers and captures compare the
//! counters before and after a run.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dockmgr_core::cluster::NodeStatus;
use dockmgr_support::error_chain::Chain;
use tokio_util::sync::CancellationToken;

use crate::runtime::{AnyRuntime, DaemonInfo, Error, Runtime as _};
use crate::spool::{Watermark, free_space};

/// How often daemon and disks are looked at: a node is called not ready well within the time a silent one is.
const EVERY: Duration = Duration::from_secs(5);

/// What is known of the node. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health {
    inner: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// Why no work is taken because of the daemon.
    daemon: Option<String>,
    /// Why no work is taken because of disks.
    disks: Vec<String>,
    /// Why no work is taken because of the guard.
    guard: Option<String>,
    info: Option<DaemonInfo>,
    outages: u64,
    low_disk: u64,
    disk_free: u64,
}

impl Health {
    /// The condition as the coordinator sees it.
    pub fn status(&self) -> NodeStatus {
        let known = self.known();
        NodeStatus {
            not_ready: known.daemon.iter().chain(&known.disks).chain(&known.guard).cloned().collect(),
            disk_free: known.disk_free,
            images: known.info.as_ref().map_or(0, |info| info.images),
        }
    }

    /// What the daemon last said about itself.
    pub fn daemon(&self) -> Option<DaemonInfo> {
        self.known().info.clone()
    }

    /// Whether containers survive a restart of the daemon, as far as is known.
    pub fn live_restore(&self) -> bool {
        self.known().info.as_ref().is_some_and(|info| info.live_restore)
    }

    /// How often the daemon was lost so far.
    pub fn outages(&self) -> u64 {
        self.known().outages
    }

    /// How often a disk was found low so far.
    pub fn low_disk_count(&self) -> u64 {
        self.known().low_disk
    }

    /// Notes whether the guard runs; `Some` says why no work is taken without it.
    pub fn set_guard(&self, problem: Option<String>) {
        let mut known = self.known();
        if known.guard != problem {
            if let Some(reason) = &problem {
                tracing::warn!(reason, "node not ready");
            } else {
                tracing::info!("guard runs");
            }
        }
        known.guard = problem;
    }

    /// Notes the failure of a call: a connection that was refused or broke may mean that the daemon was restarted.
    pub fn note(&self, error: &Error) {
        match error {
            Error::Unreachable { .. } | Error::Interrupted { .. } => self.known().outages += 1,
            // Slow is not gone, and everything else is an answer.
            Error::Timeout { .. }
            | Error::NotFound { .. }
            | Error::Conflict { .. }
            | Error::Image { .. }
            | Error::StartFailed { .. }
            | Error::Disk { .. }
            | Error::InvalidSpec(_)
            | Error::Daemon { .. }
            | Error::Protocol { .. }
            | Error::LogCut { .. } => {}
        }
    }

    /// Looks once at the daemon and the disks.
    pub async fn probe(&self, runtime: &AnyRuntime, data: &Path, watermark: Watermark) {
        match runtime.info().await {
            Ok(info) => self.daemon_answers(info),
            Err(error) => {
                self.note(&error);
                self.daemon_fails(&error);
            }
        }
        let docker_root = self.known().info.as_ref().map(|info| PathBuf::from(&info.docker_root));
        let mut disks = vec![("data folder", data.to_owned())];
        disks.extend(docker_root.filter(|root| root.is_absolute()).map(|root| ("Docker folder", root)));
        self.disks_have(&disks, watermark);
    }

    fn daemon_answers(&self, info: DaemonInfo) {
        let mut known = self.known();
        if known.info.as_ref().is_some_and(|before| before.daemon_id != info.daemon_id) {
            tracing::warn!(daemon_id = info.daemon_id, "another daemon answers on the same socket");
            known.outages += 1;
        }
        if known.daemon.take().is_some() {
            tracing::info!(version = info.version, "container daemon answers again");
        }
        known.info = Some(info);
    }

    fn daemon_fails(&self, error: &Error) {
        let mut known = self.known();
        let reason = format!("container daemon: {}", Chain(error));
        if known.daemon.is_none() {
            tracing::warn!(reason, "node not ready");
        }
        known.daemon = Some(reason);
    }

    fn disks_have(&self, disks: &[(&str, PathBuf)], watermark: Watermark) {
        let mut known = self.known();
        let mut low = Vec::new();
        for (index, (what, path)) in disks.iter().enumerate() {
            // The daemon's folder may be out of our sight; its own errors tell then.
            let Ok(space) = free_space(path) else { continue };
            if index == 0 {
                known.disk_free = space.free;
            }
            if !watermark.allows(space) {
                let (free, wanted) = (space.free >> 20, watermark.wanted(space.total) >> 20);
                low.push(format!("disk low: {what} has {free} MiB free, {wanted} MiB are wanted"));
            }
        }
        if !low.is_empty() {
            known.low_disk += 1;
        }
        if low.is_empty() != known.disks.is_empty() {
            tracing::warn!(reasons = ?low, "disk space changed");
        }
        known.disks = low;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Fields are set one by one and each is meaningful alone, so a panic elsewhere cannot have broken them.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Probes until cancelled.
pub async fn probe_forever(
    health: Health,
    runtime: AnyRuntime,
    data: PathBuf,
    watermark: Watermark,
    token: CancellationToken,
) {
    loop {
        health.probe(&runtime, &data, watermark).await;
        if token.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}
