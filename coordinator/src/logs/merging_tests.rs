//! Segments that become one: what is kept stays the same, whatever happens in between, and what is not goes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dockmgr_archive::plan::FAN;
use dockmgr_core::ids::{AttemptId, Epoch};
use dockmgr_core::log::{End, Entry, Offsets, Progress, Record, Stream};
use dockmgr_support::tasks::Tasks;

use super::sealing_tests::{AT_ONCE, copy, id, job, keep, open, output, sealed, segments, text, until};
use super::tests::{data, durable, read_to_end};
use super::*;

/// Most small segments that are left alone, in the tiers that these tests reach.
const FEW: usize = 2 * FAN;

/// Makes `count` segments of one attempt each, of different jobs.
async fn many(store: &LogStore, root: &Path, jobs: std::ops::Range<u64>) -> Vec<AttemptId> {
    let attempts: Vec<_> = jobs.map(|number| id(number, 0)).collect();
    for attempt in &attempts {
        keep(store, *attempt, attempt.to_string().as_bytes()).await;
        sealed(store, root, &[*attempt]).await;
    }
    attempts
}

fn notes(root: &Path) -> usize {
    fs::read_dir(root.join("sealed/deleted")).map_or(0, Iterator::count)
}

/// Every byte of an attempt with what is known of it.
async fn all(store: &LogStore, attempt: AttemptId) -> (Vec<(Stream, u64, u8, i64)>, Option<End>) {
    let mut reader = store.reader(attempt, Offsets::default()).await.expect("opens");
    let (mut bytes, mut end) = (Vec::new(), None);
    while end.is_none() {
        reader.wait().await;
        for entry in reader.read().await.expect("readable") {
            match entry {
                Entry::End(kept) => end = Some(kept),
                Entry::Data(Record { stream, offset, time, bytes: new }) => {
                    bytes.extend((offset..).zip(new).map(|(offset, byte)| (stream, offset, byte, time.0)));
                }
            }
        }
    }
    bytes.sort_by_key(|(stream, offset, ..)| (*stream == Stream::Stderr, *offset));
    (bytes, end)
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_segments_become_few_and_a_reader_in_the_middle_goes_on() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, stop) = open(dir.path());
    store.begin_term(Epoch(5));
    let long = b"line\n".repeat(300_000);
    let first = id(1, 0);
    keep(&store, first, &long).await;
    sealed(&store, dir.path(), &[first]).await;
    let mut reader = store.reader(first, Offsets::default()).await.expect("opens");
    let began: usize = reader.read().await.expect("readable").iter().map(Entry::payload_len).sum();
    let attempts = many(&store, dir.path(), 2..40).await;
    until("few segments", || segments(dir.path()).len() <= FEW).await;
    let (rest, _, end) = read_to_end(reader).await;
    assert!(end.is_some() && began + rest.len() == long.len(), "{began} + {}", rest.len());
    stop.cancel();
    for store in [store, open(dir.path()).0] {
        assert_eq!(text(&store, first).await, long);
        for attempt in &attempts {
            assert_eq!(text(&store, *attempt).await, attempt.to_string().as_bytes());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_frames_that_were_listed_before_a_merge_one_counts_for_each_attempt() {
    let dir = tempfile::tempdir().expect("folder");
    let lingers = Sealing { bytes: 1, after: Duration::from_secs(3600) };
    let tasks = Tasks::default();
    let store = LogStore::open(dir.path().to_owned(), Sharing::Alone, lingers, &tasks).expect("opens");
    store.begin_term(Epoch(5));
    let attempts = many(&store, dir.path(), 1..FAN as u64).await;
    let before = store.sealed_frames(None, None).await.expect("listed");
    let last = many(&store, dir.path(), 8..9).await;
    until("merged", || segments(dir.path()).len() == FAN + 1).await;
    let counting = |frames: &[SealedFrame]| {
        let mut found = Vec::new();
        for frame in frames {
            let open = store.open_frame(frame).expect("readable").expect("not gone yet");
            let owned = open.entry().sections.iter().map(|section| section.attempt);
            found.extend(owned.filter(|attempt| open.owns(*attempt)));
        }
        found.sort_unstable();
        found
    };
    let both: Vec<_> = attempts.iter().chain(&last).copied().collect();
    until("adopted", || {
        let now = store.shared.sealed.merges();
        now > 0
    })
    .await;
    assert_eq!(counting(&before), attempts);
    let now = store.sealed_frames(None, None).await.expect("listed");
    assert_eq!(counting(&now), both);
    store.delete_job(job(3)).await.expect("deleted");
    for frames in [&before, &now] {
        assert!(!counting(frames).contains(&id(3, 0)));
    }
}

/// Random bytes: they take the same on a disk as in memory.
fn noise(of: AttemptId) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(of.job().get());
    (0..200_000).map(|_| random.u8(..)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_output_gives_its_bytes_back_while_its_neighbours_stay() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, stop) = open(dir.path());
    let attempts: Vec<_> = (1..=20).map(|number| id(number, 0)).collect();
    for attempt in &attempts {
        keep(&store, *attempt, &noise(*attempt)).await;
    }
    store.begin_term(Epoch(5));
    sealed(&store, dir.path(), &attempts).await;
    assert!(store.usage() >= 3_900_000, "{}", store.usage());
    for attempt in attempts.iter().filter(|attempt| attempt.job().get() % 4 != 0) {
        store.delete_job(attempt.job()).await.expect("deleted");
    }
    // At most half as much again as what is kept.
    until("given back", || store.usage() < 1_000_000 * 3 / 2 + 10_000).await;
    until("the inputs go", || segments(dir.path()).len() <= FEW).await;
    stop.cancel();
    for store in [store, open(dir.path()).0] {
        let kept = [20, 16, 12, 8, 4].map(job);
        assert_eq!(store.jobs().await.expect("listed"), kept);
        for job in kept {
            let attempt = id(job.get(), 0);
            assert!(text(&store, attempt).await == noise(attempt));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_notes_of_deletions_become_one_and_what_they_say_stays() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, stop) = open(dir.path());
    let attempts: Vec<_> = (1..=100).map(|number| id(number, 0)).collect();
    for attempt in &attempts {
        keep(&store, *attempt, b"some").await;
    }
    store.begin_term(Epoch(5));
    sealed(&store, dir.path(), &attempts).await;
    copy(&dir.path().join("sealed/segments"), &dir.path().join("before"));
    for attempt in &attempts[..90] {
        store.delete_job(attempt.job()).await.expect("deleted");
    }
    until("folded", || notes(dir.path()) <= 33).await;
    stop.cancel();
    // A segment that a deposed leader had been sealing brings nothing back.
    copy(&dir.path().join("before"), &dir.path().join("sealed/segments"));
    let (store, _stop) = open(dir.path());
    assert_eq!(store.jobs().await.expect("listed").len(), 10);
}

/// A folder in which segments were merged, and a copy of what they were.
async fn merged_folder(root: &Path) -> Vec<AttemptId> {
    let tasks = Tasks::default();
    let lingers = Sealing { bytes: 1, after: Duration::from_secs(3600) };
    let store = LogStore::open(root.to_owned(), Sharing::Alone, lingers, &tasks).expect("opens");
    store.begin_term(Epoch(6));
    let attempts = many(&store, root, 1..FAN as u64 + 1).await;
    until("merged", || segments(root).len() == FAN + 1 && store.shared.sealed.merges() > 0).await;
    tasks.token().cancel();
    attempts
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_goes_at_the_next_start() {
    let dir = tempfile::tempdir().expect("folder");
    let attempts = merged_folder(dir.path()).await;
    let half = segments(dir.path())[0].display().to_string() + "#1";
    fs::write(half, b"half of an object").expect("written");
    let (store, stop) = open(dir.path());
    store.begin_term(Epoch(7));
    until("the inputs are gone", || segments(dir.path()).len() == 1).await;
    stop.cancel();
    for store in [store, open(dir.path()).0] {
        for attempt in &attempts {
            assert_eq!(text(&store, *attempt).await, attempt.to_string().as_bytes());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_what_segments_became_is_damaged_they_count_again() {
    for at in ["a frame", "the end"] {
        let dir = tempfile::tempdir().expect("folder");
        let attempts = merged_folder(dir.path()).await;
        let newest = segments(dir.path()).into_iter().max().expect("some");
        let mut bytes = fs::read(&newest).expect("there");
        let place = if at == "a frame" { 40 } else { bytes.len() - 3 };
        bytes[place] ^= 1;
        fs::write(&newest, bytes).expect("damaged");
        for epoch in 7..9 {
            let (store, stop) = open(dir.path());
            store.begin_term(Epoch(epoch));
            for attempt in &attempts {
                let mut reader = store.reader(*attempt, Offsets::default()).await.expect("opens");
                let patience = tokio::time::Instant::now() + Duration::from_secs(60);
                while let Err(error) = reader.read().await {
                    assert!(tokio::time::Instant::now() < patience, "{error:?}");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                assert_eq!(text(&store, *attempt).await, attempt.to_string().as_bytes(), "{at}");
            }
            stop.cancel();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_leaders_that_merge_at_once_lose_nothing() {
    let dir = tempfile::tempdir().expect("folder");
    let shared = |epoch| {
        let tasks = Tasks::default();
        let store = LogStore::open(dir.path().to_owned(), Sharing::Terms, AT_ONCE, &tasks).expect("opens");
        store.begin_term(Epoch(epoch));
        (store, tasks)
    };
    let (old, _tasks) = shared(5);
    let mut attempts = Vec::new();
    for number in 1..=4 * FAN as u64 {
        let attempt = id(number, 0);
        let entries = vec![
            data(Stream::Stdout, 0, attempt.to_string().as_bytes()),
            Entry::End(End::complete(Offsets { stdout: attempt.to_string().len() as u64, stderr: 0 })),
        ];
        old.append(attempt, entries).await.expect("kept");
        attempts.push(attempt);
        if number % 2 == 0 {
            until("sealed", || attempts.iter().all(|attempt| old.is_sealed(*attempt))).await;
        }
        if number % FAN as u64 == 0 {
            let (new, tasks) = shared(5 + number);
            until("known", || attempts.iter().all(|attempt| new.is_sealed(*attempt))).await;
            for attempt in &attempts {
                assert_eq!(text(&new, *attempt).await, attempt.to_string().as_bytes());
            }
            tasks.token().cancel();
        }
    }
    let (new, _tasks) = shared(500);
    until("few segments", || segments(dir.path()).len() <= FEW).await;
    for attempt in &attempts {
        assert_eq!(text(&new, *attempt).await, attempt.to_string().as_bytes());
    }
}

/// The objects at the place, and what is in them.
fn objects(root: &Path) -> BTreeMap<PathBuf, Bytes> {
    let mut found = BTreeMap::new();
    for folder in ["sealed/segments", "sealed/deleted"] {
        for entry in fs::read_dir(root.join(folder)).into_iter().flatten().filter_map(Result::ok) {
            // It may go between the two looks, or be still written.
            let whole = !entry.path().display().to_string().contains('#');
            if whole && let Ok(bytes) = fs::read(entry.path()) {
                found.insert(entry.path(), Bytes::from(bytes));
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn any_output_is_the_same_through_any_sealing_merging_deleting_and_killing() {
    for seed in 0..4 {
        let mut random = fastrand::Rng::with_seed(seed);
        let dir = tempfile::tempdir().expect("folder");
        let mut kept: BTreeMap<AttemptId, _> = BTreeMap::new();
        let mut next = 1;
        for life in 0..6_u64 {
            let (store, stop) = open(dir.path());
            store.begin_term(Epoch(life + 1));
            for _ in 0..random.usize(1..12) {
                if random.u8(..4) == 0 && !kept.is_empty() {
                    let jobs: BTreeSet<_> = kept.keys().map(|attempt| attempt.job()).collect();
                    let gone = *jobs.iter().nth(random.usize(..jobs.len())).expect("inside");
                    store.delete_job(gone).await.expect("deleted");
                    kept.retain(|attempt, _| attempt.job() != gone);
                    continue;
                }
                for index in 0..random.u32(1..4) {
                    let attempt = id(next, index);
                    store.append(attempt, output(random.u64(..), 5000)).await.expect("kept");
                    durable(&store, attempt, Progress::is_ended).await;
                    kept.insert(attempt, all(&store, attempt).await);
                }
                next += 1;
                tokio::time::sleep(Duration::from_micros(random.u64(..4000))).await;
            }
            let before = objects(dir.path());
            tokio::time::sleep(Duration::from_millis(random.u64(..60))).await;
            // As by kill -9: what runs is dropped where it is.
            stop.cancel();
            until("nothing runs any more", || Arc::strong_count(&store.shared) == 1).await;
            drop(store);
            // What was removed at last may not have been.
            for (path, bytes) in before.into_iter().filter(|(path, _)| !path.exists()) {
                if random.bool() {
                    fs::write(path, bytes).expect("put back");
                }
            }
            let (store, _stop) = open(dir.path());
            for (attempt, expected) in &kept {
                assert!(&all(&store, *attempt).await == expected, "seed {seed} life {life} {attempt}");
            }
            let jobs: BTreeSet<_> = kept.keys().map(|attempt| attempt.job()).collect();
            let listed: BTreeSet<_> = store.jobs().await.expect("listed").into_iter().collect();
            assert_eq!(listed, jobs, "seed {seed} life {life}");
        }
    }
}
