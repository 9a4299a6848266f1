//! What a search finds in plain files and in segments, however output moves between them, is what a naive look at every
//! line finds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use dockmgr_core::ids::{AttemptId, Epoch};
use dockmgr_core::log::{End, Entry, Offsets, Record, Stream as Of};
use dockmgr_core::search::{LineSplitter, Query, Times};
use dockmgr_core::time::WallTime;
use dockmgr_proto::v1::SearchLogsRequest;
use dockmgr_support::tasks::Tasks;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::candidates::Candidate;
use super::place::Place;
use super::shared::Shared;
use super::work::sort;
use super::*;
use crate::logs::{Sealing, Sharing};

const PATIENCE: Duration = Duration::from_secs(60);

/// Queries of each kind that prunes, or does not.
const QUERIES: [&str; 12] = [
    "",
    "rare17",
    "common",
    "common rare3",
    "rare5 OR rare6",
    "common NOT word1",
    "NOT common",
    "*ommo*",
    r"/rare[0-9]+ \w+/",
    "level:error",
    "user.id=7 stream:stderr",
    "\"word1 word2\"",
];

/// What is kept of one attempt.
type Output = Vec<Record>;

/// A store that seals what has ended at once; cancelling ends it like a crash.
fn open(root: &Path) -> (LogStore, CancellationToken) {
    let stop = CancellationToken::new();
    let at_once = Sealing { bytes: 1 << 20, after: Duration::from_millis(1) };
    let tasks = Tasks::new(stop.clone());
    (LogStore::open(root.to_owned(), Sharing::Alone, at_once, &tasks).expect("opens"), stop)
}

fn id(task: u32) -> AttemptId {
    AttemptId::from_parts(u64::from(task / 8) + 1, task, 1).expect("valid")
}

/// Lines of text in records that are cut anywhere, on both streams; now and then one that is longer than is looked at whole.
fn output(random: &mut fastrand::Rng) -> Output {
    let mut at = Offsets::default();
    let mut time = random.i64(0..10_000);
    let mut records = Vec::new();
    let most = [3, 40, 1200][random.usize(..3)];
    for _ in 0..random.usize(1..most) {
        let stream = if random.u8(..4) == 0 { Of::Stderr } else { Of::Stdout };
        let mut bytes = line(random).into_bytes();
        if random.u16(..2000) == 0 {
            bytes.splice(0..0, b"common ".repeat(random.usize(1..40_000)));
        }
        if random.u8(..5) > 0 {
            bytes.push(b'\n');
        }
        time += random.i64(-1..5);
        let offset = at.of(stream);
        at.set(stream, offset + bytes.len() as u64);
        records.push(Record { stream, offset, time: WallTime(time), bytes: Bytes::from(bytes) });
    }
    records
}

fn line(random: &mut fastrand::Rng) -> String {
    match random.u8(..6) {
        0 => format!("rare{} word{}", random.u16(..500), random.u8(..4)),
        1 => format!(r#"{{"level":"error","user":{{"id":{}}}}}"#, random.u8(..20)),
        2 => format!("level=warn user.id={} common", random.u8(..20)),
        3 => String::new(),
        _ => format!("common word{} word{} \u{fc}", random.u8(..4), random.u8(..4)),
    }
}

/// Keeps output; the end is left out of what goes on.
async fn keep(store: &LogStore, attempt: AttemptId, output: &Output, ended: bool) {
    let mut to = Offsets::default();
    let mut entries: Vec<Entry> = Vec::new();
    for record in output {
        to.set(record.stream, record.end().expect("short"));
        entries.push(Entry::Data(record.clone()));
    }
    if ended {
        entries.push(Entry::End(End::complete(to)));
    }
    store.append(attempt, entries).await.expect("kept");
    let mut durable = store.log(attempt).await.expect("opens").durable();
    durable.wait_for(|now| now.offsets == to && now.is_ended() == ended).await.expect("the log lives");
}

/// A hit in a form that can be compared.
type Found = BTreeMap<Place, (u64, Vec<u8>)>;

/// What looking at every line finds.
fn naive(kept: &BTreeMap<AttemptId, Output>, query: &Query, times: Times) -> Found {
    let mut found = Found::new();
    for (attempt, output) in kept {
        let mut look = |line: dockmgr_core::search::Line<'_>| {
            if times.covers(line.time) && query.matches(line.stream, line.bytes) {
                let place =
                    Place { time: line.time, attempt: *attempt, stream: line.stream, offset: line.offset };
                found.insert(place, (line.number, line.bytes.to_vec()));
            }
        };
        let mut lines = LineSplitter::default();
        for record in output {
            lines.push(record, &mut look);
        }
        lines.finish(look);
    }
    found
}

/// What a search found in all.
struct Answer {
    hits: Found,
    all: u64,
    counted: u64,
    bytes: u64,
    unreadable: u64,
    more: bool,
}

async fn search(
    store: &LogStore,
    attempts: impl Iterator<Item = AttemptId>,
    asked: &SearchLogsRequest,
) -> Answer {
    let wanted = Arc::new(Wanted::read(asked).expect("a search"));
    let threads = Arc::new(Semaphore::new(scans()));
    let shared = Arc::new(Shared::new(store.clone(), Arc::clone(&wanted), threads));
    let candidate = |id| {
        let (query, node_name, job_name) = (wanted.query.clone(), String::new(), String::new());
        Arc::new(Candidate { id, query, node_name, job_name })
    };
    let work = sort(&shared, attempts.map(candidate).collect()).await.expect("loaded");
    futures_util::future::join_all(work.into_iter().map(|work| work.run(Arc::clone(&shared)))).await;
    let mut found = shared.found();
    let counted = found.histogram.iter().flat_map(|counts| counts.spans().map(|span| span.hits)).sum();
    let all = found.hits;
    let (best, more) = found.take_best();
    let hits = best.into_iter().map(|(place, hit)| (place, (hit.number, hit.bytes.to_vec()))).collect();
    let bytes = shared.bytes.load(Ordering::Relaxed);
    Answer { hits, all, counted, bytes, unreadable: shared.unreadable(), more }
}

fn asked(query: &str, times: Times) -> SearchLogsRequest {
    let wire = |time: WallTime| dockmgr_proto::convert::time::wall_to_wire(time);
    SearchLogsRequest {
        query: query.to_owned(),
        since_time: times.since.map(wire),
        until_time: times.until.map(wire),
        limit: 1000,
        max_line_bytes: 64 * 1024,
        histogram_buckets: 50,
        ..SearchLogsRequest::default()
    }
}

/// Whether every query finds what it should, page by page.
async fn finds_all(store: &LogStore, kept: &BTreeMap<AttemptId, Output>, queries: &[&str], when: &str) {
    let between = Times { since: Some(WallTime(4000)), until: Some(WallTime(9000)) };
    for query in queries {
        for times in [Times::default(), between] {
            let parsed = Query::parse(query).expect("a query");
            let expected = naive(kept, &parsed, times);
            let mut request = asked(query, times);
            let mut left: Vec<_> = expected.iter().rev().collect();
            for page in 0..3 {
                let found = search(store, kept.keys().copied(), &request).await;
                let what = format!("{when}: page {page} of {query} {times:?}");
                assert_eq!((found.all, found.unreadable), (expected.len() as u64, 0), "{what}");
                assert_eq!(found.counted, found.all, "{what}");
                let next = left.split_off(left.len().min(found.hits.len()));
                assert!(found.hits.iter().rev().eq(left), "{what}");
                assert_eq!(found.more, !next.is_empty(), "{what}");
                left = next;
                let Some((last, _)) = found.hits.first_key_value().filter(|_| found.more) else { break };
                let question = Wanted::read(&request).expect("a search").question;
                request.page_token = place::to_token(&question, *last);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_sealed_and_moving_output_is_found_as_a_look_at_every_line_finds_it() {
    let dir = tempfile::tempdir().expect("folder");
    let mut random = fastrand::Rng::with_seed(11);
    let (store, stop) = open(dir.path());
    let mut kept = BTreeMap::new();
    // It does not lead: nothing is sealed yet.
    for task in 0..40 {
        let output = output(&mut random);
        keep(&store, id(task), &output, task % 5 > 0).await;
        kept.insert(id(task), output);
    }
    finds_all(&store, &kept, &QUERIES, "plain").await;
    store.begin_term(Epoch(3));
    let is_done = |store: &LogStore| {
        kept.keys().all(|attempt| store.is_sealed(*attempt) || attempt.task.index.0 % 5 == 0)
    };
    for turn in 0.. {
        finds_all(&store, &kept, &QUERIES[turn % QUERIES.len()..][..1], "moving").await;
        if is_done(&store) {
            break;
        }
        assert!(turn < 10_000, "it is sealed in the end");
    }
    finds_all(&store, &kept, &QUERIES, "sealed").await;
    stop.cancel();
    drop(store);
    let (store, _stop) = open(dir.path());
    finds_all(&store, &kept, &QUERIES, "after a crash").await;
}

/// A store with sealed output of `count` attempts, and the files of its segments.
async fn sealed(
    root: &Path,
    count: u32,
) -> (LogStore, CancellationToken, BTreeMap<AttemptId, Output>, Vec<PathBuf>) {
    let mut random = fastrand::Rng::with_seed(5);
    let (store, stop) = open(root);
    let mut kept = BTreeMap::new();
    for task in 0..count {
        let output: Output = (0..40)
            .flat_map(|_| output(&mut random))
            .scan(Offsets::default(), |at, record| {
                let offset = at.of(record.stream);
                at.set(record.stream, offset + record.bytes.len() as u64);
                Some(Record { offset, ..record })
            })
            .collect();
        keep(&store, id(task), &output, true).await;
        kept.insert(id(task), output);
    }
    store.begin_term(Epoch(3));
    let all = async {
        while !kept.keys().all(|attempt| store.is_sealed(*attempt)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("sealed");
    let files = std::fs::read_dir(root.join("sealed/segments")).expect("there");
    let files = files.map(|file| file.expect("readable").path()).collect();
    (store, stop, kept, files)
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_without_the_word_or_of_other_times_are_not_looked_at() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, _stop, kept, _) = sealed(dir.path(), 6).await;
    let all = search(&store, kept.keys().copied(), &asked("", Times::default())).await;
    let in_all: usize = kept.values().flatten().map(|record| record.bytes.len()).sum();
    assert_eq!(all.bytes, in_all as u64);
    let none = search(&store, kept.keys().copied(), &asked("nowhere42", Times::default())).await;
    assert_eq!((none.all, none.unreadable), (0, 0));
    assert!(none.bytes < all.bytes / 4, "{} of {}", none.bytes, all.bytes);
    let later = Times { since: Some(WallTime(1 << 40)), until: None };
    let none = search(&store, kept.keys().copied(), &asked("", later)).await;
    assert_eq!((none.all, none.bytes), (0, 0));
    let first = search(&store, kept.keys().copied().take(1), &asked("", Times::default())).await;
    assert_eq!(first.bytes, kept[&id(0)].iter().map(|record| record.bytes.len() as u64).sum::<u64>());
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_cannot_be_read_is_told_and_the_rest_is_found() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, stop, kept, files) = sealed(dir.path(), 6).await;
    stop.cancel();
    drop(store);
    let (store, _stop) = open(dir.path());
    store.attempts_of(id(0).job()).await.expect("loaded");
    let mut bytes = std::fs::read(&files[0]).expect("readable");
    // In the first frame, behind its prefix.
    bytes[100] ^= 1;
    std::fs::write(&files[0], bytes).expect("written");
    let found = search(&store, kept.keys().copied(), &asked("common", Times::default())).await;
    let whole = naive(&kept, &Query::parse("common").expect("a query"), Times::default()).len() as u64;
    assert!((1..kept.len() as u64).contains(&found.unreadable), "{}", found.unreadable);
    assert!(found.all > 0 && found.all < whole, "{} of {whole}", found.all);
    for file in &files {
        std::fs::remove_file(file).expect("there");
    }
    let (store, _stop) = open(dir.path());
    let found = search(&store, kept.keys().copied(), &asked("common", Times::default())).await;
    assert_eq!((found.all, found.unreadable), (0, 0), "there is nothing any more");
}
