//! The rules of the store, as tests that every backend must pass.
//!
//! Each check takes an empty store; the table at the end runs each against memory, a file and a real etcd of its own.

mod commits;
mod leadership;
mod reads;
mod watches;

use std::time::Duration;

use dockmgr_support::tasks::Tasks;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::etcd::EtcdProcess;
use super::{Candidate, Config, Ended, Error, Guard, Key, Lease, RedbConfig, Revision, Store, Write};

/// Nothing in these checks takes this long unless it hangs.
const HANG: Duration = Duration::from_secs(60);

/// A store together with what it needs to live.
struct Fixture {
    store: Store,
    _folder: Option<TempDir>,
    _etcd: Option<EtcdProcess>,
}

impl Fixture {
    #[expect(clippy::unused_async, reason = "all three are awaited by the same table")]
    async fn memory() -> Option<Self> {
        Some(Self { store: Store::memory(), _folder: None, _etcd: None })
    }

    async fn redb() -> Option<Self> {
        let folder = TempDir::new().expect("temp folder");
        let config = Config::Redb(RedbConfig { folder: folder.path().to_owned() });
        let store = Store::open(&config).await.expect("open");
        Some(Self { store, _folder: Some(folder), _etcd: None })
    }

    async fn etcd() -> Option<Self> {
        let etcd = EtcdProcess::start().await?;
        let store = Store::open(&etcd.config()).await.expect("open");
        Some(Self { store, _folder: None, _etcd: Some(etcd) })
    }
}

/// A leader of a store, with its lease kept alive.
pub(super) struct Leader {
    pub(super) store: Store,
    pub(super) lease: Lease,
    cancel: CancellationToken,
    keeper: JoinHandle<Ended>,
}

impl Leader {
    /// Campaigns and wins.
    pub(super) async fn of(store: &Store) -> Self {
        let cancel = CancellationToken::new();
        let seen = tokio::sync::watch::Sender::new(crate::store::Outlook::default());
        let candidate = candidate("test");
        let campaign = store.campaign(&candidate, &seen, &cancel);
        let (lease, keeper) = within(campaign).await.expect("campaign");
        let keeper = Tasks::default().spawn("lease-keeper", keeper.run(cancel.clone()));
        Self { store: store.clone(), lease, cancel, keeper }
    }

    /// A guard that only asks for leadership.
    pub(super) fn guard(&self) -> Guard {
        Guard::leader(self.lease.epoch())
    }

    /// Puts one value as leader.
    pub(super) async fn put(&self, name: &str, value: impl Into<bytes::Bytes>) -> Revision {
        self.commit(vec![Write::put(key(name), value)]).await.expect("commit")
    }

    pub(super) async fn commit(&self, writes: Vec<Write>) -> Result<Revision, Error> {
        within(self.store.commit(writes, self.guard())).await
    }

    /// Gives leadership up.
    pub(super) async fn resign(self) -> Ended {
        self.cancel.cancel();
        self.ended().await
    }

    /// Waits until leadership has ended.
    pub(super) async fn ended(self) -> Ended {
        within(self.keeper).await.expect("the keeper does not panic")
    }
}

/// Fails instead of hanging.
pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANG, future).await.expect("must not hang")
}

pub(super) fn candidate(name: &str) -> Candidate {
    Candidate { name: name.to_owned(), address: String::new() }
}

pub(super) fn key(text: &str) -> Key {
    Key::new(text).expect("well formed")
}

async fn value_of(store: &Store, name: &str) -> Option<Vec<u8>> {
    within(store.get(&key(name))).await.expect("get").map(|entry| entry.value.to_vec())
}

macro_rules! conformance {
    ($($group:ident :: $check:ident),* $(,)?) => {
        conformance!(@backend memory: $($group::$check),*);
        conformance!(@backend redb: $($group::$check),*);
        conformance!(@backend etcd: $($group::$check),*);
    };
    (@backend $backend:ident: $($group:ident :: $check:ident),*) => {
        mod $backend {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() {
                    let Some(fixture) = Fixture::$backend().await else { return };
                    $group::$check(fixture.store.clone()).await;
                }
            )*
        }
    };
}

conformance! {
    reads::what_was_put_can_be_read_and_deleted,
    reads::any_bytes_come_back_exactly,
    reads::a_list_is_ordered_paged_and_stays_in_its_prefix,
    reads::pages_of_large_values_are_complete,
    commits::revisions_grow_and_entries_carry_theirs,
    commits::a_failed_precondition_writes_nothing,
    commits::the_first_failed_precondition_is_named,
    commits::of_twenty_conditional_creates_one_wins,
    commits::a_commit_that_is_too_large_is_refused_whole,
    commits::the_largest_commit_fits,
    commits::concurrent_commits_are_all_kept,
    leadership::without_a_leader_nothing_is_written,
    leadership::a_stale_epoch_is_refused_even_when_queued,
    leadership::epochs_grow,
    leadership::resigning_ends_the_lease,
    leadership::the_cluster_id_is_made_once,
    watches::a_watch_sees_each_commit_whole_and_in_order,
    watches::a_watch_resumes_without_gap_or_repetition,
    watches::a_watch_position_advances_while_its_prefix_is_quiet,
    watches::a_watch_from_forgotten_history_says_compacted,
}
