//! The right to write, for as long as it lasts.
//!
//! ```text
//! campaign -> held --cancelled--> Resigned
//!               \----superseded, or not renewed in time--> Lost
//! ```
//!
//! A lease that looks held may already be lost (a paused process cannot know): safety comes from the epoch in every
//! commit's guard, this module only makes the leader notice early.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dockmgr_core::ids::Epoch;
use dockmgr_support::clock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Revision, etcd};

/// An embedded lease never runs out; its watcher still wakes up once in a while rather than set a timer for ever.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// Leadership of one epoch. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lease {
    epoch: Epoch,
    since: Revision,
    term: watch::Receiver<Epoch>,
    valid_until: Arc<AtomicU64>,
}

impl Lease {
    /// The epoch to put into every guard and every command.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The revision at which it began to lead: what is read and older is stale. 0 in an embedded store.
    pub fn since(&self) -> Revision {
        self.since
    }

    /// Whether, by this machine's clock, nobody else can be leading yet.
    pub fn is_current(&self) -> bool {
        *self.term.borrow() == self.epoch && clock::boot_nanos() < self.valid_until.load(Ordering::Acquire)
    }

    /// Waits until leadership is lost, given up or was not renewed in time. Cancel safe.
    pub async fn lost(&self) {
        let mut term = self.term.clone();
        while self.is_current() {
            tokio::select! {
                // Another epoch leads or none does; an error means that the store is gone, and leadership with it.
                changed = term.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                // It was to be renewed before now; look again.
                () = tokio::time::sleep(self.left().min(LONGEST_SLEEP)) => {}
            }
        }
    }

    /// How long the lease can still be relied on.
    pub(super) fn left(&self) -> Duration {
        Duration::from_nanos(self.valid_until.load(Ordering::Acquire).saturating_sub(clock::boot_nanos()))
    }

    /// Moves the end of its validity (boot time, nanoseconds).
    pub(super) fn extend(&self, valid_until: u64) {
        self.valid_until.store(valid_until, Ordering::Release);
    }
}

/// How leadership ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Given up because the caller cancelled; a successor need not wait.
    Resigned,
    /// Superseded, or not renewed in time.
    Lost,
}

/// Keeps a lease alive; without its [`run`](Self::run) the lease ends.
#[derive(Debug)]
pub struct Keeper {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Embedded { term: Term, lease: Lease },
    Etcd(etcd::LeaseKeeper),
}

impl Keeper {
    pub(super) fn etcd(keeper: etcd::LeaseKeeper) -> Self {
        Self { kind: Kind::Etcd(keeper) }
    }

    /// Renews the lease until it is lost, or until `cancel` fires and it is given up. The lease has ended when this
    /// returns. Dropping it ends the lease by time-out.
    pub async fn run(self, cancel: CancellationToken) -> Ended {
        match self.kind {
            Kind::Embedded { term, lease } => tokio::select! {
                // The coordinator stops or steps down.
                () = cancel.cancelled() => {
                    term.end(lease.epoch);
                    Ended::Resigned
                }
                // A newer campaign in this process took over.
                () = lease.lost() => Ended::Lost,
            },
            Kind::Etcd(keeper) => Box::pin(keeper.run(cancel)).await,
        }
    }
}

/// Which epoch leads in this process; `Epoch(0)` while none does.
#[derive(Debug, Clone)]
pub(super) struct Term {
    leading: watch::Sender<Epoch>,
}

impl Term {
    /// Nobody leads.
    pub(super) fn new() -> Self {
        Self { leading: watch::Sender::new(Epoch(0)) }
    }

    /// Makes `epoch` the leading one until `valid_until` (boot time, nanoseconds); older leases are lost at once.
    pub(super) fn begin(&self, epoch: Epoch, since: Revision, valid_until: u64) -> Lease {
        self.leading.send_replace(epoch);
        Lease {
            epoch,
            since,
            term: self.leading.subscribe(),
            valid_until: Arc::new(AtomicU64::new(valid_until)),
        }
    }

    /// As [`begin`](Self::begin), for a store that no other process can take over.
    pub(super) fn begin_embedded(&self, epoch: Epoch) -> (Lease, Keeper) {
        let lease = self.begin(epoch, Revision(0), u64::MAX);
        (lease.clone(), Keeper { kind: Kind::Embedded { term: self.clone(), lease } })
    }

    /// Ends `epoch` if it still leads.
    pub(super) fn end(&self, epoch: Epoch) {
        self.leading.send_if_modified(|leading| {
            let ends = *leading == epoch;
            if ends {
                *leading = Epoch(0);
            }
            ends
        });
    }

    /// Whether `epoch` leads.
    pub(super) fn is_led_by(&self, epoch: Epoch) -> bool {
        epoch != Epoch(0) && *self.leading.borrow() == epoch
    }
}
