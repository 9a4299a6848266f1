use std::path::Path;

use bytes::Bytes;
use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::{Conflict, End, Entry, Offsets, Record, Stream};
use dockmgr_core::time::WallTime;

use super::*;

fn attempt() -> AttemptId {
    AttemptId::from_parts(42, 7, 1).expect("valid")
}

fn data(stream: Stream, offset: u64, bytes: &[u8]) -> Entry {
    Entry::Data(Record { stream, offset, time: WallTime(7), bytes: Bytes::copy_from_slice(bytes) })
}

async fn reopen(root: &Path) -> (Spool, AttemptSpool) {
    let spool = Spool::open(root.to_owned()).await.expect("opens");
    let log = spool.attempt(attempt()).await.expect("opens");
    (spool, log)
}

async fn read_all(log: &AttemptSpool, from: Offsets) -> Vec<Entry> {
    let mut cursor = log.cursor(from);
    let mut all = Vec::new();
    loop {
        let entries = cursor.read().await.expect("readable");
        if entries.is_empty() {
            return all;
        }
        all.extend(entries);
    }
}

#[tokio::test]
async fn a_spool_cut_at_any_byte_goes_on_from_its_captured_end() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("42.7.1/log");
    let (_, log) = reopen(dir.path()).await;
    let entries =
        [data(Stream::Stdout, 0, b"one"), data(Stream::Stderr, 0, b"two"), data(Stream::Stdout, 3, b"three")];
    for entry in &entries {
        log.append(vec![entry.clone()]).await.expect("appended");
    }
    let whole = std::fs::read(&path).expect("written through at once");
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).expect("cut");
        let (_, log) = reopen(dir.path()).await;
        let end = log.captured().offsets;
        let text = |stream: Stream| if stream == Stream::Stdout { &b"onethree"[..] } else { b"two" };
        for stream in Stream::ALL {
            let held = usize::try_from(end.of(stream)).expect("small");
            let expected = crc32fast::hash(&text(stream)[..held]);
            assert_eq!(
                log.prefix_crc(stream, end.of(stream)).await.expect("readable"),
                Some(expected),
                "{cut}"
            );
        }
        log.append(entries.to_vec()).await.expect("a re-read from 0 is accepted");
        assert_eq!(std::fs::read(&path).expect("readable"), whole, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_prefix_checksum_is_that_of_the_bytes() {
    let dir = tempfile::tempdir().expect("folder");
    let (_, log) = reopen(dir.path()).await;
    log.append(vec![data(Stream::Stdout, 0, b"abc"), data(Stream::Stdout, 3, b"def")])
        .await
        .expect("appended");
    for len in 0..=6 {
        let crc = log.prefix_crc(Stream::Stdout, len).await.expect("readable");
        assert_eq!(crc, Some(crc32fast::hash(&b"abcdef"[..usize::try_from(len).expect("small")])));
    }
    assert_eq!(log.prefix_crc(Stream::Stdout, 7).await.expect("readable"), None);
    assert_eq!(log.remaining(10), 4);
}

#[tokio::test]
async fn the_end_is_taken_once_and_nothing_after_it() {
    let dir = tempfile::tempdir().expect("folder");
    let (_, log) = reopen(dir.path()).await;
    let end = Entry::End(End::complete(Offsets { stdout: 3, stderr: 0 }));
    assert!(matches!(log.append(vec![end.clone()]).await, Err(Error::Missing(Offsets { stdout: 0, .. }))));
    log.append(vec![data(Stream::Stdout, 0, b"abc"), end.clone()]).await.expect("appended");
    log.append(vec![data(Stream::Stdout, 0, b"abc"), end.clone()]).await.expect("repeats are skipped");
    let late = log.append(vec![data(Stream::Stdout, 3, b"d")]).await;
    assert!(matches!(late, Err(Error::Conflict(Conflict::BeyondEnd))));
    let (spool, log) = reopen(dir.path()).await;
    assert!(log.captured().is_ended());
    assert_eq!(read_all(&log, Offsets { stdout: 1, stderr: 0 }).await, [data(Stream::Stdout, 1, b"bc"), end]);
    spool.remove(attempt()).await.expect("removed");
    spool.remove(attempt()).await.expect("removing twice is fine");
    assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 0);
    assert_eq!(spool.attempts(), []);
}

#[tokio::test]
async fn a_waiting_cursor_wakes_for_what_is_appended() {
    let dir = tempfile::tempdir().expect("folder");
    let (_, log) = reopen(dir.path()).await;
    let mut cursor = log.cursor(Offsets::default());
    let writer = log.clone();
    let (entries, ()) = tokio::join!(
        async {
            cursor.wait().await;
            cursor.read().await.expect("readable")
        },
        async { writer.append(vec![data(Stream::Stderr, 0, b"late")]).await.expect("appended") }
    );
    assert_eq!(entries, [data(Stream::Stderr, 0, b"late")]);
}

#[test]
fn a_small_disk_wants_a_tenth_and_a_large_one_two_gib() {
    let mark = Watermark::default();
    let gib = 1u64 << 30;
    assert!(!mark.allows(FreeSpace { free: gib / 2, total: 10 * gib, files: None }));
    assert!(mark.allows(FreeSpace { free: gib + 1, total: 10 * gib, files: None }));
    assert!(!mark.allows(FreeSpace { free: gib, total: 4000 * gib, files: None }));
    assert!(mark.allows(FreeSpace { free: 3 * gib, total: 4000 * gib, files: None }));
    assert!(free_space(Path::new("/")).expect("measured").total > 0);
}
