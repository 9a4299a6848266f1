//! What a watch must show: ordered, whole, without gap or repetition.

use super::{Leader, key, within};
use crate::store::{Change, Error, Prefix, Revision, Store, Write};

fn jobs() -> Prefix {
    Prefix::new("jobs/").expect("well formed")
}

fn put(name: &str, value: &'static str) -> Change {
    Change::Put { key: key(name), value: value.into() }
}

pub(super) async fn a_watch_sees_each_commit_whole_and_in_order(store: Store) {
    let leader = Leader::of(&store).await;
    let before = leader.put("jobs/0", "before").await;
    let mut watch = store.watch(&jobs(), before);
    let writes = vec![
        Write::put(key("nodes/a"), "x"),
        Write::put(key("jobs/2"), "b"),
        Write::put(key("jobs/1"), "a"),
        Write::delete(key("jobs/0")),
        Write::delete(key("jobs/never")),
    ];
    let first = leader.commit(writes).await.expect("commit");
    leader.put("nodes/b", "x").await;
    let last = leader.put("jobs/1", "c").await;

    let batch = within(watch.next()).await.expect("batch");
    let deleted = Change::Delete { key: key("jobs/0") };
    assert_eq!(
        (batch.revision, batch.changes),
        (first, vec![deleted, put("jobs/1", "a"), put("jobs/2", "b")])
    );
    let batch = within(watch.next()).await.expect("batch");
    assert_eq!((batch.revision, batch.changes), (last, vec![put("jobs/1", "c")]));
    assert_eq!(watch.position(), last);
}

pub(super) async fn a_watch_resumes_without_gap_or_repetition(store: Store) {
    let leader = Leader::of(&store).await;
    let start = leader.put("nodes/a", "x").await;
    let writer = async {
        let mut written = Vec::new();
        for i in 0..100 {
            written.push(leader.put(&format!("jobs/{i}"), "x").await);
        }
        written
    };
    let reader = async {
        let (mut seen, mut position) = (Vec::new(), start);
        while seen.len() < 100 {
            // A new watch every few batches, as after a reconnect.
            let mut watch = store.watch(&jobs(), position);
            for _ in 0..7 {
                if seen.len() == 100 {
                    break;
                }
                let batch = within(watch.next()).await.expect("batch");
                assert_eq!(batch.changes.len(), 1);
                seen.push(batch.revision);
            }
            position = watch.position();
        }
        seen
    };
    let (written, seen) = tokio::join!(writer, reader);
    assert_eq!(seen, written);
}

pub(super) async fn a_watch_position_advances_while_its_prefix_is_quiet(store: Store) {
    let leader = Leader::of(&store).await;
    let start = leader.put("jobs/1", "x").await;
    let mut watch = store.watch(&jobs(), start);
    let elsewhere = leader.put("nodes/a", "x").await;
    let quiet = async {
        while watch.position() < elsewhere {
            tokio::select! {
                batch = watch.next() => panic!("nothing changed under the prefix: {batch:?}"),
                // Wakes to look at the position; `next` keeps what it has received.
                () = tokio::time::sleep(std::time::Duration::from_millis(5)) => {}
            }
        }
    };
    within(quiet).await;
}

pub(super) async fn a_watch_from_forgotten_history_says_compacted(store: Store) {
    let leader = Leader::of(&store).await;
    let first = leader.put("jobs/0", "x").await;
    // More than the embedded stores remember; etcd is told to forget.
    for i in 0..40 {
        leader.put(&format!("jobs/{}", i % 4), vec![0; 512 * 1024]).await;
    }
    within(store.compact(2)).await.expect("compact");
    let mut watch = store.watch(&jobs(), first);
    let Err(Error::Compacted { oldest }) = within(watch.next()).await else { panic!("must say compacted") };
    assert!(oldest > first);
    assert!(within(watch.next()).await.is_err(), "a compacted watch is at its end");
    let mut watch = store.watch(&jobs(), oldest);
    let batch = within(watch.next()).await.expect("the oldest possible start works");
    assert!(batch.revision > oldest && batch.revision > Revision(0));
}
