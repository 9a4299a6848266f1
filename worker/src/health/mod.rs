//! Whether this node can take work now, and what happened to its daemon and disks that results must know of.
//!
//! Owns the probe loop and its findings. Sessions report the [`NodeStatus`] and feed the comparison of clocks; attempt
//! drivers and captures compare the counters before and after a run, and tell what is wrong with single containers.

mod conditions;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dockmgr_core::clock_rate::ClockRate;
use dockmgr_core::cluster::NodeStatus;
use dockmgr_core::ids::AttemptId;
use dockmgr_core::time::BootTime;
use dockmgr_support::error_chain::Chain;
use tokio_util::sync::CancellationToken;

use crate::runtime::{AnyRuntime, DaemonInfo, Error, Runtime as _};
use crate::spool::{Watermark, free_space};

/// How often daemon and disks are looked at: a node is called not ready well within the time a silent one is.
const EVERY: Duration = Duration::from_secs(5);
/// Attempts named in warnings; more of them have the same cause.
const NAMED: usize = 20;
/// Heartbeats on their way whose send time is kept: an answer that is later than these says nothing of a clock.
const BEATS: usize = 32;

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
    /// How often the daemon's disk was found low.
    low_disk: u64,
    disk_free: u64,
    /// Watermark of the last probe: captures look again at their own moments.
    watermark: Watermark,
    clock: ClockRate,
    beats: BTreeMap<u64, BootTime>,
    /// What is wrong with single attempts' containers.
    troubles: BTreeMap<AttemptId, String>,
}

impl Health {
    /// The condition as the coordinator sees it.
    pub fn status(&self) -> NodeStatus {
        let known = self.known();
        let clock = known.clock.off().map(conditions::clock_reason);
        let mut warnings = known.info.as_ref().map(conditions::daemon_warnings).unwrap_or_default();
        let troubles = known.troubles.iter().take(NAMED);
        warnings.extend(troubles.map(|(attempt, trouble)| format!("attempt {attempt}: {trouble}")));
        NodeStatus {
            not_ready: known
                .daemon
                .iter()
                .chain(&known.disks)
                .chain(&known.guard)
                .cloned()
                .chain(clock)
                .collect(),
            disk_free: known.disk_free,
            images: known.info.as_ref().map_or(0, |info| info.images),
            warnings,
        }
    }

    /// What the daemon last said about itself.
    pub fn daemon(&self) -> Option<DaemonInfo> {
        self.known().info.clone()
    }

    /// How often the daemon was lost so far.
    pub fn outages(&self) -> u64 {
        self.known().outages
    }

    /// How often the daemon's disk was found low so far, with one more look now.
    ///
    /// A daemon on a full disk loses lines of output without an error.
    pub fn low_disk_count(&self) -> u64 {
        let mut known = self.known();
        let root = known.docker_root();
        if let Some(space) = root.and_then(|root| free_space(&root).ok())
            && !known.watermark.allows(space)
        {
            known.low_disk += 1;
        }
        known.low_disk
    }

    /// Says what is wrong with the container of an attempt, or that nothing is any more.
    pub fn trouble(&self, attempt: AttemptId, trouble: Option<String>) {
        let mut known = self.known();
        match trouble {
            Some(trouble) => {
                if known.troubles.get(&attempt) != Some(&trouble) {
                    tracing::warn!(%attempt, trouble, "attempt in trouble");
                }
                known.troubles.insert(attempt, trouble);
            }
            None => {
                known.troubles.remove(&attempt);
            }
        }
    }

    /// Notes that a session began: its leader's clock is another one.
    pub fn session_began(&self) {
        let mut known = self.known();
        known.clock.reset();
        known.beats.clear();
    }

    /// Notes when a heartbeat was sent.
    pub fn beat_sent(&self, sequence: u64, at: BootTime) {
        let mut known = self.known();
        known.beats.insert(sequence, at);
        while known.beats.len() > BEATS {
            known.beats.pop_first();
        }
    }

    /// Takes the leader's clock in that came with the answer to a heartbeat.
    pub fn beat_answered(&self, sequence: u64, leader: Duration) {
        let mut known = self.known();
        if let Some(sent) = known.beats.remove(&sequence) {
            known.clock.note(sent, leader);
        }
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
        self.disks_have(data, watermark);
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
        let hung = if matches!(error, Error::Timeout { .. }) { " hangs" } else { "" };
        let reason = format!("container daemon{hung}: {}", Chain(error));
        if known.daemon.is_none() {
            tracing::warn!(reason, "node not ready");
        }
        known.daemon = Some(reason);
    }

    fn disks_have(&self, data: &Path, watermark: Watermark) {
        let mut known = self.known();
        known.watermark = watermark;
        let mut low = Vec::new();
        let disks = [("data folder", Some(data.to_owned())), ("Docker folder", known.docker_root())];
        for (index, (what, path)) in disks.into_iter().enumerate() {
            // The daemon's folder may be out of our sight; its own errors tell then.
            let Some(space) = path.and_then(|path| free_space(&path).ok()) else { continue };
            if index == 0 {
                known.disk_free = space.free;
            }
            if let Some(lack) = watermark.lack(space) {
                low.push(format!("disk low: {what} {lack}"));
                known.low_disk += u64::from(index > 0);
            }
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

impl Known {
    /// The daemon's folder, if it said a path.
    fn docker_root(&self) -> Option<PathBuf> {
        let root = PathBuf::from(&self.info.as_ref()?.docker_root);
        root.is_absolute().then_some(root)
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

#[cfg(test)]
mod tests;
