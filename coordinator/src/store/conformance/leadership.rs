//! Who may write.

use dockmgr_core::ids::{ClusterId, Epoch};
use dockmgr_support::tasks::Tasks;
use uuid::Uuid;

use super::{Leader, key, value_of, within};
use crate::store::{Ended, Error, Guard, Store, Write};

pub(super) async fn without_a_leader_nothing_is_written(store: Store) {
    for epoch in [0, 1, u64::MAX] {
        let refused =
            within(store.commit(vec![Write::put(key("a"), "x")], Guard::leader(Epoch(epoch)))).await;
        assert!(matches!(refused, Err(Error::Fenced { .. })), "{refused:?}");
    }
    assert_eq!(value_of(&store, "a").await, None);
}

pub(super) async fn a_stale_epoch_is_refused_even_when_queued(store: Store) {
    let old = Leader::of(&store).await;
    let tasks = Tasks::default();
    let queued: Vec<_> = (0..40)
        .map(|_| {
            let (store, guard) = (store.clone(), old.guard());
            tasks.spawn("commit", async move { store.commit(vec![Write::put(key("a"), "old")], guard).await })
        })
        .collect();
    let old_guard = old.guard();
    old.resign().await;
    let new = Leader::of(&store).await;
    let takeover = new.put("a", "new").await;
    for commit in queued {
        match within(commit).await.expect("no panic") {
            Ok(revision) => assert!(revision < takeover, "an old commit after the takeover"),
            Err(Error::Fenced { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    let late = within(store.commit(vec![Write::put(key("a"), "old")], old_guard)).await;
    assert!(matches!(late, Err(Error::Fenced { .. })), "{late:?}");
    assert_eq!(value_of(&store, "a").await, Some(b"new".to_vec()));
}

pub(super) async fn epochs_grow(store: Store) {
    let mut last = Epoch(0);
    for _ in 0..3 {
        let leader = Leader::of(&store).await;
        assert!(leader.lease.epoch() > last);
        assert!(leader.lease.is_current());
        last = leader.lease.epoch();
        leader.resign().await;
    }
}

pub(super) async fn resigning_ends_the_lease(store: Store) {
    let leader = Leader::of(&store).await;
    let (lease, guard) = (leader.lease.clone(), leader.guard());
    assert_eq!(leader.resign().await, Ended::Resigned);
    within(lease.lost()).await;
    assert!(!lease.is_current());
    assert!(matches!(within(store.commit(Vec::new(), guard)).await, Err(Error::Fenced { .. })));
}

pub(super) async fn the_cluster_id_is_made_once(store: Store) {
    let leader = Leader::of(&store).await;
    let (first, second) = (ClusterId(Uuid::from_u128(1)), ClusterId(Uuid::from_u128(2)));
    assert_eq!(within(store.cluster_id(leader.lease.epoch(), first)).await.expect("made"), first);
    assert_eq!(within(store.cluster_id(leader.lease.epoch(), second)).await.expect("read"), first);
    leader.put("cluster/schema", "999").await;
    let refused = within(store.cluster_id(leader.lease.epoch(), second)).await;
    assert!(matches!(refused, Err(Error::NewerSchema { found: 999, .. })), "{refused:?}");
}
