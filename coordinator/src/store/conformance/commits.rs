//! What a commit must do: everything or nothing.

use dockmgr_support::tasks::Tasks;

use super::{Leader, key, value_of, within};
use crate::store::{Error, MAX_PAGE, Prefix, Revision, Store, Write};

pub(super) async fn revisions_grow_and_entries_carry_theirs(store: Store) {
    let leader = Leader::of(&store).await;
    let first = leader.put("a", "1").await;
    let second = leader.put("b", "1").await;
    let nothing = leader.commit(Vec::new()).await.expect("an empty commit");
    assert!(first < second && second < nothing, "{first} {second} {nothing}");
    let entry = within(store.get(&key("a"))).await.expect("get").expect("present");
    assert_eq!(entry.revision, first);
    let page = within(store.list(&Prefix::all(), None, 10)).await.expect("list");
    assert_eq!(page.entries.iter().map(|entry| entry.revision).collect::<Vec<_>>(), [first, second]);
    assert!(page.revision >= nothing);
}

pub(super) async fn a_failed_precondition_writes_nothing(store: Store) {
    let leader = Leader::of(&store).await;
    let seen = leader.put("a", "1").await;
    leader.put("a", "2").await;
    let writes = || vec![Write::put(key("a"), "3"), Write::put(key("b"), "3"), Write::delete(key("a"))];
    let stale = within(store.commit(writes(), leader.guard().and_unchanged(key("a"), seen))).await;
    assert!(matches!(stale, Err(Error::Conflict { key }) if key.as_str() == "a"));
    let exists = within(store.commit(writes(), leader.guard().and_absent(key("a")))).await;
    assert!(matches!(exists, Err(Error::Conflict { .. })));
    let absent = within(store.commit(writes(), leader.guard().and_unchanged(key("b"), seen))).await;
    assert!(matches!(absent, Err(Error::Conflict { .. })));
    assert_eq!(value_of(&store, "a").await, Some(b"2".to_vec()));
    assert_eq!(value_of(&store, "b").await, None);
    let now = within(store.get(&key("a"))).await.expect("get").expect("present").revision;
    let guard = leader.guard().and_unchanged(key("a"), now).and_absent(key("b"));
    within(store.commit(vec![Write::put(key("b"), "4")], guard)).await.expect("all hold");
}

pub(super) async fn the_first_failed_precondition_is_named(store: Store) {
    let leader = Leader::of(&store).await;
    let at = leader.put("a", "1").await;
    let guard = leader
        .guard()
        .and_unchanged(key("a"), at)
        .and_unchanged(key("b"), Revision(u64::MAX))
        .and_absent(key("a"));
    let refused = within(store.commit(Vec::new(), guard)).await;
    assert!(matches!(&refused, Err(Error::Conflict { key }) if key.as_str() == "b"), "{refused:?}");
}

pub(super) async fn of_twenty_conditional_creates_one_wins(store: Store) {
    let leader = Leader::of(&store).await;
    let tasks = Tasks::default();
    let racers: Vec<_> = (0..20)
        .map(|i| {
            let (store, guard) = (store.clone(), leader.guard().and_absent(key("prize")));
            tasks.spawn("racer", async move {
                store.commit(vec![Write::put(key("prize"), format!("{i}"))], guard).await
            })
        })
        .collect();
    let mut winners = Vec::new();
    for (i, racer) in racers.into_iter().enumerate() {
        match within(racer).await.expect("no panic") {
            Ok(_) => winners.push(i.to_string().into_bytes()),
            Err(Error::Conflict { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(value_of(&store, "prize").await, winners.pop());
}

pub(super) async fn a_commit_that_is_too_large_is_refused_whole(store: Store) {
    let leader = Leader::of(&store).await;
    let limits = store.limits();
    let many = (0..=limits.max_ops).map(|i| Write::put(key(&format!("k/{i}")), "x")).collect();
    let refused = leader.commit(many).await;
    assert!(matches!(refused, Err(Error::TooLarge { ops, .. }) if ops == limits.max_ops + 1), "{refused:?}");
    let heavy = vec![Write::put(key("small"), "x"), Write::put(key("large"), vec![0; limits.max_bytes])];
    assert!(matches!(leader.commit(heavy).await, Err(Error::TooLarge { .. })));
    let page = within(store.list(&Prefix::all(), None, MAX_PAGE)).await.expect("list");
    assert!(page.entries.is_empty());
}

pub(super) async fn the_largest_commit_fits(store: Store) {
    let leader = Leader::of(&store).await;
    let limits = store.limits();
    let ops = limits.max_ops.min(1000);
    let each = limits.max_bytes.min(8 << 20) / ops;
    let name = |i: usize| key(&format!("k/{i:04}"));
    let writes: Vec<Write> = (0..ops)
        .map(|i| {
            let frame = Write::put(name(i), Vec::new()).size();
            Write::put(name(i), vec![b'x'; each - frame])
        })
        .collect();
    leader.commit(writes).await.expect("exactly at the limit");
    let guard =
        (0..ops.min(100)).fold(leader.guard(), |guard, i| guard.and_absent(key(&format!("absent/{i}"))));
    within(store.commit(Vec::new(), guard)).await.expect("many preconditions");
    let page = within(store.list(&Prefix::all(), None, MAX_PAGE)).await.expect("list");
    assert_eq!(page.entries.first().map(|entry| entry.key.clone()), Some(name(0)));
}

pub(super) async fn concurrent_commits_are_all_kept(store: Store) {
    let leader = Leader::of(&store).await;
    let tasks = Tasks::default();
    let commits: Vec<_> = (0..50)
        .map(|i| {
            let (store, guard) = (store.clone(), leader.guard());
            let write = Write::put(key(&format!("k/{i}")), "x");
            tasks.spawn("commit", async move { store.commit(vec![write], guard).await })
        })
        .collect();
    let mut revisions = Vec::new();
    for commit in commits {
        revisions.push(within(commit).await.expect("no panic").expect("commit"));
    }
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), 50, "every commit has a revision of its own");
    let page = within(store.list(&Prefix::all(), None, MAX_PAGE)).await.expect("list");
    assert_eq!(page.entries.len(), 50);
}
