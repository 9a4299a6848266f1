//! Letting etcd forget old revisions while this coordinator leads.
//!
//! Every write leaves its predecessor in etcd's history until that is compacted; without it a busy cluster fills the quota of
//! 2 GiB within days. The leader does it, so it is done once. Compacted room is used again by etcd itself; giving it back to
//! the disk (`defrag`) stops a member for seconds and belongs to whoever runs etcd, one member after the other.

use dockmgr_support::error_chain::Chain;
use tokio_util::sync::CancellationToken;

use crate::store::{Compaction, Store};

/// Compacts by `plan` until `ended`.
pub(crate) async fn run(store: Store, plan: Compaction, ended: CancellationToken) {
    loop {
        tokio::select! {
            // The term is over.
            () = ended.cancelled() => return,
            // Time for the next.
            () = tokio::time::sleep(plan.every) => {}
        }
        match store.compact(plan.keep).await {
            Ok(()) => tracing::debug!(keep = plan.keep, "history compacted"),
            // The next one makes up for it.
            Err(error) => tracing::warn!(error = %Chain(&error), "history not compacted"),
        }
    }
}
