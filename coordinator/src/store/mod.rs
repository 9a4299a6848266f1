//! The coordinator's memory: one contract, three places to keep it.
//!
//! Owns durable state under [`Key`]s, atomic guarded [`commits`](Store::commit), ordered resumable
//! [`watches`](Store::watch) and who may write ([`Store::campaign`]). Does not know what a job is, does not batch
//! (the controller groups its writes) and keeps no logs. Called by the controller and by start-up.
//!
//! ```text
//!             Store                      one set of rules, proved by conformance.rs for all three
//!    +----------+-----------+
//!  Memory      Redb        Etcd
//!  (tests)   (1 machine)  (cluster)
//!    \__________/
//!   History: recent changes for watches
//! ```
//!
//! Invariant: a commit is applied whole or not at all, and only while its [`Guard`]'s epoch leads (G4).
//! Invariant: every commit has its own [`Revision`], larger than all before it.
//! Invariant: a commit that returned `Ok` survives `kill -9` of every process (G1; the memory backend excepted).

mod change;
#[cfg(test)]
mod conformance;
mod entry;
mod error;
mod etcd;
mod guard;
mod history;
mod key;
mod leader;
mod lease;
mod memory;
mod redb;
mod schema;
mod watch;
mod write;

use dockmgr_core::ids::{ClusterId, Epoch};
use tokio::sync::watch as latest;
use tokio_util::sync::CancellationToken;

use crate::metrics::store::StoreMeter;

pub use change::{Change, ChangeBatch};
pub use entry::{Entry, MAX_PAGE, Page, Position, Revision};
pub use error::Error;
pub use etcd::{Compaction, Config as EtcdConfig, DEFAULT_LEASE_TTL, TlsFiles, User as EtcdUser};
pub use guard::{Expected, Guard, Precondition};
pub use key::{Key, Prefix};
pub use leader::{Candidate, Leader, Outlook};
pub use lease::{Ended, Keeper, Lease};
pub use redb::Config as RedbConfig;
pub use schema::SCHEMA_VERSION;
pub use watch::Watch;
pub use write::{Limits, Write};

/// Where the state is kept.
#[derive(Debug, Clone)]
pub enum Config {
    /// In this process only; gone with it.
    Memory,
    /// In a file of this machine, under an exclusive lock.
    Redb(RedbConfig),
    /// In an etcd cluster.
    Etcd(EtcdConfig),
}

/// A handle on the state; cheap to clone, all clones see the same state.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Backend,
    meter: StoreMeter,
}

#[derive(Debug, Clone)]
enum Backend {
    Memory(memory::Memory),
    Redb(redb::Redb),
    Etcd(etcd::Etcd),
}

impl Store {
    /// Opens the store and refuses one that a newer program wrote ([`Error::NewerSchema`]).
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has the file, [`Error::Corrupt`] when it cannot be trusted,
    /// [`Error::Unavailable`] when etcd does not answer.
    pub async fn open(config: &Config) -> Result<Self, Error> {
        let backend = match config {
            Config::Memory => Backend::Memory(memory::Memory::new()),
            Config::Redb(config) => Backend::Redb(redb::Redb::open(config).await?),
            Config::Etcd(config) => Backend::Etcd(Box::pin(etcd::Etcd::connect(config)).await?),
        };
        let store = Self { backend, meter: StoreMeter::default() };
        schema::check(&store).await?;
        Ok(store)
    }

    /// An empty store in memory, shared by its clones: what tests hand to a coordinator and to its successor.
    pub fn memory() -> Self {
        Self { backend: Backend::Memory(memory::Memory::new()), meter: StoreMeter::default() }
    }

    /// The same store, its reads and commits timed by `meter`.
    pub(crate) fn metered(self, meter: StoreMeter) -> Self {
        meter.begin(self.kind());
        Self { meter, ..self }
    }

    /// Which backend this is: `memory`, `redb` or `etcd`.
    pub fn kind(&self) -> &'static str {
        match &self.backend {
            Backend::Memory(_) => "memory",
            Backend::Redb(_) => "redb",
            Backend::Etcd(_) => "etcd",
        }
    }

    // The calls to etcd are boxed: their futures are some 10 KiB each, which every caller's own would carry.

    /// How much fits into one commit.
    pub fn limits(&self) -> Limits {
        match &self.backend {
            Backend::Memory(_) | Backend::Redb(_) => Limits::EMBEDDED,
            Backend::Etcd(_) => etcd::LIMITS,
        }
    }

    /// Reads one key; `None` if it does not exist. Cancel safe.
    pub async fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let read = async {
            match &self.backend {
                Backend::Memory(memory) => Ok(memory.get(key)),
                Backend::Redb(redb) => redb.get(key).await,
                Backend::Etcd(etcd) => Box::pin(etcd.get(key)).await,
            }
        };
        self.meter.time(self.kind(), "get", read).await
    }

    /// Reads up to `limit` entries under `prefix` in key order, those after `after` if it is given.
    ///
    /// `limit` is cut to [`MAX_PAGE`] and a page may be shorter still; only [`Page::next`] tells whether more follow.
    /// Pages of one listing may show different moments: to follow the state, [`watch`](Self::watch) after the revision
    /// of the *first* page and skip changes that are not newer than the entry already read. Cancel safe.
    pub async fn list(&self, prefix: &Prefix, after: Option<&Key>, limit: usize) -> Result<Page, Error> {
        let limit = limit.clamp(1, MAX_PAGE);
        let read = async {
            match &self.backend {
                Backend::Memory(memory) => Ok(memory.list(prefix, after, limit)),
                Backend::Redb(redb) => redb.list(prefix, after, limit).await,
                Backend::Etcd(etcd) => Box::pin(etcd.list(prefix, after, limit)).await,
            }
        };
        self.meter.time(self.kind(), "list", read).await
    }

    /// Follows the changes under `prefix` that are newer than `after`.
    ///
    /// The stream is ordered, has no gap and no repetition, shows each commit whole, and says [`Error::Compacted`]
    /// rather than skip what is no longer kept. Dropping it ends it.
    pub fn watch(&self, prefix: &Prefix, after: Revision) -> Watch {
        match &self.backend {
            Backend::Memory(memory) => Watch::embedded(memory.history(), prefix.clone(), after),
            Backend::Redb(redb) => Watch::embedded(redb.history(), prefix.clone(), after),
            Backend::Etcd(etcd) => Watch::etcd(etcd.watch(prefix.clone(), after)),
        }
    }

    /// Applies all `writes` in one atomic transaction if `guard` holds, and returns its revision.
    ///
    /// When a key is written more than once, the last write counts. Deleting an absent key is no change.
    /// Not cancel safe: dropping the future leaves it open whether the commit happens (no later commit overtakes it).
    ///
    /// # Errors
    /// Nothing was written on [`Error::Fenced`], [`Error::Conflict`], [`Error::TooLarge`], [`Error::Unavailable`] and
    /// [`Error::Exhausted`]. After [`Error::Unknown`] the caller must step down and reload.
    pub async fn commit(&self, writes: Vec<Write>, guard: Guard) -> Result<Revision, Error> {
        let set = write::WriteSet::new(writes, &guard, self.limits())?;
        let commit = async {
            match &self.backend {
                Backend::Memory(memory) => memory.commit(set, &guard),
                Backend::Redb(redb) => redb.commit(set, guard).await,
                Backend::Etcd(etcd) => Box::pin(etcd.commit(set, &guard)).await,
            }
        };
        self.meter.time(self.kind(), "commit", commit).await
    }

    /// Waits to become the leader.
    ///
    /// Returns the lease, which fences every commit, and its keeper, whose [`run`](Keeper::run) the caller must spawn
    /// at once: without it the lease ends. The embedded stores follow their one process: a newer campaign supersedes
    /// the older lease. The other coordinators are told who `candidate` is; `seen` is told who leads meanwhile, or
    /// that nobody does, and nothing but the trouble while the store does not say. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Cancelled`] once `cancel` fires; what etcd refuses for good. An unreachable etcd is waited for.
    pub async fn campaign(
        &self,
        candidate: &Candidate,
        seen: &latest::Sender<Outlook>,
        cancel: &CancellationToken,
    ) -> Result<(Lease, Keeper), Error> {
        match &self.backend {
            Backend::Memory(memory) => Ok(memory.campaign()),
            Backend::Redb(redb) => redb.campaign().await,
            Backend::Etcd(etcd) => Box::pin(etcd.campaign(candidate, seen, cancel)).await,
        }
    }

    /// Who leads now; `None` while nobody does or in an embedded store.
    pub async fn leader(&self) -> Result<Option<Leader>, Error> {
        match &self.backend {
            Backend::Memory(_) | Backend::Redb(_) => Ok(None),
            Backend::Etcd(etcd) => Box::pin(etcd.leader()).await,
        }
    }

    /// The identity of the cluster, which is `proposed` if it had none. Writes the schema version beside it.
    pub async fn cluster_id(&self, epoch: Epoch, proposed: ClusterId) -> Result<ClusterId, Error> {
        schema::cluster_id(self, epoch, proposed).await
    }

    /// How far the store is; `None` for the embedded ones, which nobody exchanges under a running program.
    pub async fn position(&self) -> Result<Option<Position>, Error> {
        match &self.backend {
            Backend::Memory(_) | Backend::Redb(_) => Ok(None),
            Backend::Etcd(etcd) => {
                let at = Box::pin(etcd.position()).await?;
                Ok(Some(Position { cluster: schema::known_id(self).await?, at }))
            }
        }
    }

    /// Makes the epochs to come larger than `above`, for a state that went back. Nothing for the embedded stores.
    pub async fn raise_epochs(&self, above: u64) -> Result<(), Error> {
        match &self.backend {
            Backend::Memory(_) | Backend::Redb(_) => Ok(()),
            Backend::Etcd(etcd) => Box::pin(etcd.raise_epochs(above)).await,
        }
    }

    /// Forgets history older than the newest `keep` revisions, so that it does not fill the disk.
    ///
    /// The embedded stores bound theirs by themselves. On etcd it forgets for every user of that etcd.
    pub async fn compact(&self, keep: u64) -> Result<(), Error> {
        match &self.backend {
            Backend::Memory(_) | Backend::Redb(_) => Ok(()),
            Backend::Etcd(etcd) => Box::pin(etcd.compact(keep)).await,
        }
    }
}
