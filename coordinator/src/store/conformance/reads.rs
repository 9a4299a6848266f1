//! What reading must show.

use super::{Leader, key, value_of, within};
use crate::store::{MAX_PAGE, Prefix, Store, Write};

pub(super) async fn what_was_put_can_be_read_and_deleted(store: Store) {
    let leader = Leader::of(&store).await;
    assert_eq!(value_of(&store, "jobs/1").await, None);
    leader.put("jobs/1", "one").await;
    assert_eq!(value_of(&store, "jobs/1").await, Some(b"one".to_vec()));
    leader.put("jobs/1", "two").await;
    assert_eq!(value_of(&store, "jobs/1").await, Some(b"two".to_vec()));
    leader
        .commit(vec![Write::delete(key("jobs/1")), Write::delete(key("jobs/never"))])
        .await
        .expect("commit");
    assert_eq!(value_of(&store, "jobs/1").await, None);
}

pub(super) async fn any_bytes_come_back_exactly(store: Store) {
    let leader = Leader::of(&store).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> =
        (0_u32..512 * 1024).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    for (name, value) in [("empty", Vec::new()), ("nul", vec![0; 3]), ("all", every_byte), ("large", large)] {
        leader.put(name, value.clone()).await;
        assert!(value_of(&store, name).await.expect(name) == value, "{name} must come back unchanged");
    }
}

pub(super) async fn a_list_is_ordered_paged_and_stays_in_its_prefix(store: Store) {
    let leader = Leader::of(&store).await;
    let names: Vec<String> = (0..100).map(|i| format!("jobs/{i:03}")).collect();
    for chunk in names.chunks(50).rev() {
        let writes = chunk.iter().rev().map(|name| Write::put(key(name), name.clone())).collect();
        leader.commit(writes).await.expect("commit");
    }
    for outside in ["job", "jobs2/000", "nodes/a", "a/b"] {
        leader.put(outside, "x").await;
    }
    let prefix = Prefix::new("jobs/").expect("well formed");
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = within(store.list(&prefix, after.as_ref(), 7)).await.expect("list");
        assert!(page.entries.len() <= 7);
        seen.extend(page.entries.iter().map(|entry| entry.key.as_str().to_owned()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, names);
    let all = within(store.list(&Prefix::all(), None, MAX_PAGE)).await.expect("list");
    assert_eq!((all.entries.len(), all.next), (104, None));
    let before = within(store.list(&prefix, Some(&key("a/b")), 1)).await.expect("list");
    assert_eq!(
        before.entries[0].key,
        key("jobs/000"),
        "a position before the prefix starts at its beginning"
    );
    let behind = within(store.list(&prefix, Some(&key("nodes/a")), 1)).await.expect("list");
    assert_eq!((behind.entries.len(), behind.next), (0, None), "a position behind the prefix finds nothing");
}

pub(super) async fn pages_of_large_values_are_complete(store: Store) {
    let leader = Leader::of(&store).await;
    for i in 0..40 {
        leader.put(&format!("jobs/{i:02}"), vec![i; 512 * 1024]).await;
    }
    let (mut found, mut after) = (0, None);
    loop {
        let page = within(store.list(&Prefix::all(), after.as_ref(), MAX_PAGE)).await.expect("list");
        found += page.entries.iter().filter(|entry| entry.value.len() == 512 * 1024).count();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, 40);
}
