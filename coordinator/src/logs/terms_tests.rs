//! Several coordinators that take turns in one log folder.

use std::path::Path;

use dockmgr_core::ids::Epoch;
use dockmgr_core::log::{End, Entry, Offsets, Progress, Stream};
use dockmgr_support::tasks::Tasks;

use super::tests::{attempt, data, durable, read_to_end};
use super::*;

/// A coordinator of several that share the folder `root`.
fn shared(root: &Path) -> (LogStore, Tasks) {
    let tasks = Tasks::default();
    (LogStore::open(root.to_owned(), Sharing::Terms, Sealing::default(), &tasks).expect("opens"), tasks)
}

fn leader(root: &Path, epoch: u64) -> (LogStore, Tasks) {
    let (store, tasks) = shared(root);
    store.begin_term(Epoch(epoch));
    (store, tasks)
}

async fn put(store: &LogStore, offset: u64, bytes: &[u8]) -> Result<(), Error> {
    store.append(attempt(), vec![data(Stream::Stdout, offset, bytes)]).await
}

async fn end(store: &LogStore, stdout: u64) {
    let end = Entry::End(End::complete(Offsets { stdout, stderr: 0 }));
    store.append(attempt(), vec![end]).await.expect("kept");
    durable(store, attempt(), Progress::is_ended).await;
}

async fn whole(store: &LogStore, from: u64) -> Vec<u8> {
    let reader = store.reader(attempt(), Offsets { stdout: from, stderr: 0 }).await.expect("opens");
    let (stdout, _, end) = read_to_end(reader).await;
    assert!(end.is_some());
    stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_leader_takes_output_in_and_a_follower_reads_it() {
    let dir = tempfile::tempdir().expect("folder");
    let (follower, tasks) = shared(dir.path());
    assert!(matches!(put(&follower, 0, b"no").await, Err(Error::NotLeading)));
    let (leader, _tasks) = leader(dir.path(), 5);
    let reader = follower.reader(attempt(), Offsets::default()).await.expect("opens");
    let following = tasks.spawn("follower", read_to_end(reader));
    put(&leader, 0, b"hello").await.expect("kept");
    end(&leader, 5).await;
    assert_eq!(following.await.expect("no panic").0, b"hello");
    leader.end_term();
    assert!(matches!(put(&leader, 5, b"no").await, Err(Error::NotLeading)));
    assert_eq!(whole(&leader, 1).await, b"ello");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deposed_leader_writes_late_damages_nothing() {
    let dir = tempfile::tempdir().expect("folder");
    let (old, _tasks) = leader(dir.path(), 5);
    put(&old, 0, b"0123").await.expect("kept");
    let (new, _tasks) = leader(dir.path(), 9);
    put(&new, 4, b"4567").await.expect("goes on where the old one stood");
    // It has not heard yet that it leads no more; the worker sent the same bytes to both.
    put(&old, 4, b"45").await.expect("its own file");
    put(&old, 6, b"6").await.expect("its own file");
    end(&old, 7).await;
    put(&new, 8, b"89").await.expect("kept");
    end(&new, 10).await;
    assert_eq!(whole(&new, 0).await, b"0123456789");
    let (third, _tasks) = leader(dir.path(), 12);
    assert_eq!(whole(&third, 0).await, b"0123456789");
    assert_eq!(whole(&third, 3).await, b"3456789");
    assert_eq!(third.attempts_of(attempt().job()).await.expect("listed"), [attempt()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deposed_leader_acknowledged_last_is_found_by_its_successor() {
    let dir = tempfile::tempdir().expect("folder");
    let (old, _tasks) = leader(dir.path(), 5);
    put(&old, 0, b"0123").await.expect("kept");
    let (new, tasks) = leader(dir.path(), 9);
    // Somebody reads at the new leader before the old one has heard of it.
    let mut reader = new.reader(attempt(), Offsets::default()).await.expect("opens");
    assert_eq!(reader.read().await.expect("readable").len(), 1);
    let following = tasks.spawn("follower", read_to_end(reader));
    put(&old, 4, b"45").await.expect("its own file");
    // The worker hears that the end is durable, forgets its copy, and never opens the log at the new leader.
    end(&old, 6).await;
    assert_eq!(following.await.expect("no panic").0, b"45");
    assert_eq!(whole(&new, 0).await, b"012345");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_comes_back_goes_on_in_a_further_file() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, _tasks) = leader(dir.path(), 5);
    put(&store, 0, b"0123").await.expect("kept");
    durable(&store, attempt(), |now| now.offsets.stdout == 4).await;
    store.end_term();
    store.begin_term(Epoch(9));
    assert!(matches!(put(&store, 7, b"7").await, Err(Error::Missing(Offsets { stdout: 4, stderr: 0 }))));
    for (offset, byte) in (4_u64..).zip(b"456789") {
        put(&store, offset, &[*byte]).await.expect("kept");
    }
    end(&store, 10).await;
    assert_eq!(whole(&store, 0).await, b"0123456789");
    let mut reader = store.reader(attempt(), Offsets::default()).await.expect("opens");
    reader.skip_to_last_lines(1, None).await.expect("found");
    assert_eq!(reader.progress().offsets.stdout, 0, "one line over two files");
    let files = std::fs::read_dir(dir.path().join("42/0")).expect("listed").count();
    assert_eq!(files, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_of_a_dead_leader_is_written_again_by_its_successor() {
    let dir = tempfile::tempdir().expect("folder");
    let (old, tasks) = leader(dir.path(), 5);
    put(&old, 0, b"0123").await.expect("kept");
    durable(&old, attempt(), |now| now.offsets.stdout == 4).await;
    drop((old, tasks));
    let path = dir.path().join("42/0/7.1.5-0-0.log");
    let mut torn = std::fs::read(&path).expect("written");
    torn.extend_from_slice(b"half a fra");
    std::fs::write(&path, &torn).expect("torn");
    let (new, _tasks) = leader(dir.path(), 9);
    put(&new, 2, b"2345").await.expect("overlap is dropped");
    end(&new, 6).await;
    assert_eq!(whole(&new, 0).await, b"012345");
    let (third, _tasks) = leader(dir.path(), 12);
    assert_eq!(whole(&third, 0).await, b"012345");
}
