//! Keeping the leader's lease alive, and noticing in time that it is not.
//!
//! ```text
//! renew -> still our key? -> valid for 0.7 TTL more -> wait 0.25 TTL -> renew ...
//!   |no answer                     |no                  |validity over
//!   retry soon                   Lost                  Lost
//! ```
//! The leader stops by its own clock before etcd can have let the lease run out: validity counts from the moment the
//! renewal was sent and is shorter than the TTL. `CLOCK_BOOTTIME` counts the time a machine was suspended.

use std::time::Duration;

use dockmgr_support::{clock, error_chain};
use tokio_util::sync::CancellationToken;

use super::super::{Ended, Lease};
use super::{Error, Etcd};

/// Pause after a renewal that failed: several tries fit into the validity.
const RETRY: Duration = Duration::from_millis(250);

/// Until when (boot time, nanoseconds) a lease renewed at `asked_at` may be relied on: 0.7 of its TTL. The rest covers
/// clocks that run at different rates and a step-down that takes a moment.
pub(super) fn valid_until(asked_at: u64, ttl: Duration) -> u64 {
    let valid = ttl.mul_f64(0.7).as_nanos();
    asked_at.saturating_add(u64::try_from(valid).unwrap_or(u64::MAX))
}

/// Keeps one lease of etcd alive.
#[derive(Debug)]
pub(in super::super) struct LeaseKeeper {
    etcd: Etcd,
    etcd_lease: i64,
    lease: Lease,
}

impl LeaseKeeper {
    pub(super) fn new(etcd: Etcd, etcd_lease: i64, lease: Lease) -> Self {
        Self { etcd, etcd_lease, lease }
    }

    pub(in super::super) async fn run(self, cancel: CancellationToken) -> Ended {
        let epoch = self.lease.epoch();
        let ended = tokio::select! {
            // Another leads, or the renewals failed for too long.
            () = self.keep() => Ended::Lost,
            // A commit found out that another leads, or that its own fate cannot be known.
            () = self.lease.lost() => Ended::Lost,
            // The coordinator stops or steps down.
            () = cancel.cancelled() => Ended::Resigned,
        };
        self.etcd.term.end(epoch);
        tracing::info!(epoch = epoch.0, ?ended, "no longer leading");
        // Also when it is lost: if the key is still there, a successor need not wait for it to run out.
        self.etcd.revoke(self.etcd_lease).await;
        ended
    }

    /// Renews until the lease cannot be relied on any more.
    async fn keep(&self) {
        let interval = self.etcd.lease_ttl / 4;
        loop {
            let pause = match self.renew(interval).await {
                Ok(true) => interval,
                Ok(false) => return,
                Err(error) => {
                    let (epoch, error) = (self.lease.epoch().0, error_chain::Chain(&error));
                    tracing::warn!(epoch, %error, "leadership not renewed");
                    RETRY
                }
            };
            tokio::time::sleep(pause.min(self.lease.left())).await;
            if self.lease.left().is_zero() {
                return;
            }
        }
    }

    /// Renews once; `false` if the leader key is not ours any more.
    async fn renew(&self, limit: Duration) -> Result<bool, Error> {
        let asked_at = clock::boot_nanos();
        let limit = limit.min(self.lease.left());
        let (leases, own) = (self.etcd.link.leases(), self.etcd_lease);
        let renew = || {
            let mut leases = leases.clone();
            async move { leases.keep_alive(own).await }
        };
        let renewed = self.etcd.link.call_within(limit, "renew the lease", renew).await;
        // The key is checked whatever the answer was: etcd before 3.4.38 can renew a lease that was revoked.
        let kv = self.etcd.link.kv();
        let read = || {
            let (mut kv, leader) = (kv.clone(), self.etcd.layout.leader());
            async move { kv.get(leader, None).await }
        };
        let answer = self.etcd.link.call_within(limit, "read the leader", read).await?;
        let created = answer.kvs().first().map_or(0, etcd_client::KeyValue::create_revision);
        if super::read::revision(created) != self.lease.since() {
            return Ok(false);
        }
        renewed?;
        self.lease.extend(valid_until(asked_at, self.etcd.lease_ttl));
        Ok(true)
    }
}
