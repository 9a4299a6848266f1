//! The store of a cluster: keys in etcd, all writes in guarded transactions.
//!
//! Owns everything that knows etcd: connecting, reading, committing, watching, election and compaction. Nothing
//! outside this folder uses `etcd_client`.
//!
//! ```text
//! <prefix>/data/<key>   the state
//! <prefix>/leader       who leads; its create-revision is the epoch, its lease the proof of life
//! <prefix>/base         added to revisions to make epochs; there only after an older state was accepted
//! <prefix>/txn          id of the last commit, which lets an unanswered commit be decided afterwards
//! ```
//!
//! Decisions stand on guarded transactions alone, never on an earlier read: etcd before 3.4.42 can answer a read with
//! old data after it was paused (etcd#20418).

mod campaign;
mod commit;
mod connect;
mod failure;
mod keeper;
mod layout;
mod read;
mod settle;
#[cfg(test)]
mod test_process;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::lease::Term;
use super::write::WriteSet;
use super::{
    Candidate, Entry, Error, Guard, Keeper, Key, Leader, Lease, Limits, Outlook, Page, Prefix, Revision,
};

use commit::Chain;
use connect::Link;
use layout::Layout;

pub use connect::{Compaction, Config, DEFAULT_LEASE_TTL, TlsFiles, User};
pub(super) use keeper::LeaseKeeper;
pub(super) use watch::Watch;

#[cfg(test)]
pub(super) use test_process::EtcdProcess;

/// How much fits into one transaction. etcd takes 128 operations, of which the commit's own id is one and the leader
/// and chain comparisons are two; and 1.5 MiB a request, of which 64 KiB are kept for framing.
pub(super) const LIMITS: Limits = Limits { max_ops: 126, max_bytes: (1536 - 64) << 10 };

/// State in etcd; clones share one connection and one order of commits.
#[derive(Clone)]
pub(super) struct Etcd {
    link: Link,
    layout: Arc<Layout>,
    lease_ttl: Duration,
    /// Held during a commit: one at a time, so that an unanswered one can be decided before the next.
    chain: Arc<Mutex<Chain>>,
    term: Term,
}

impl std::fmt::Debug for Etcd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Etcd").field("layout", &self.layout).finish_non_exhaustive()
    }
}

impl Etcd {
    pub(super) async fn connect(config: &Config) -> Result<Self, Error> {
        Ok(Self {
            link: Link::connect(config).await?,
            layout: Arc::new(Layout::new(&config.prefix)?),
            lease_ttl: config.lease_ttl,
            chain: Arc::default(),
            term: Term::new(),
        })
    }

    pub(super) fn watch(&self, prefix: Prefix, after: Revision) -> Watch {
        Watch::new(self.link.clone(), Arc::clone(&self.layout), prefix, after)
    }
}
