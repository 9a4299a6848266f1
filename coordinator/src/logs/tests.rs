use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use dockmgr_core::ids::{AttemptId, JobId};
use dockmgr_core::log::{End, Entry, Offsets, Progress, Record, Stream};
use dockmgr_core::time::WallTime;
use dockmgr_support::tasks::Tasks;

use super::*;

/// Longest wait for something that takes moments.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn attempt() -> AttemptId {
    AttemptId::from_parts(42, 7, 1).expect("valid")
}

pub(super) fn data(stream: Stream, offset: u64, bytes: &[u8]) -> Entry {
    Entry::Data(Record { stream, offset, time: WallTime(7), bytes: Bytes::copy_from_slice(bytes) })
}

fn open(root: &Path) -> (LogStore, Tasks) {
    let tasks = Tasks::default();
    (LogStore::open(root.to_owned(), Sharing::Alone, Sealing::default(), &tasks).expect("opens"), tasks)
}

pub(super) async fn durable(store: &LogStore, attempt: AttemptId, wanted: impl Fn(&Progress) -> bool) {
    let mut durable = store.log(attempt).await.expect("opens").durable();
    let reached = tokio::time::timeout(PATIENCE, durable.wait_for(|now| wanted(now))).await;
    reached.expect("durable in time").expect("the log lives");
}

pub(super) async fn read_to_end(mut reader: LogReader) -> (Vec<u8>, Vec<u8>, Option<End>) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    loop {
        reader.wait().await;
        for entry in reader.read().await.expect("readable") {
            match entry {
                Entry::Data(record) if record.stream == Stream::Stdout => {
                    stdout.extend_from_slice(&record.bytes);
                }
                Entry::Data(record) => stderr.extend_from_slice(&record.bytes),
                Entry::End(end) => return (stdout, stderr, Some(end)),
            }
        }
    }
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; len];
    random.fill(&mut bytes);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_durable_is_there_after_a_crash_and_the_sender_goes_on() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, _tasks) = open(dir.path());
    store
        .append(attempt(), vec![data(Stream::Stdout, 0, b"hello "), data(Stream::Stderr, 0, b"x")])
        .await
        .expect("kept");
    durable(&store, attempt(), |now| now.offsets == Offsets { stdout: 6, stderr: 1 }).await;
    let path = dir.path().join("42/0/7.1.log");
    let mut torn = std::fs::read(&path).expect("written");
    torn.extend_from_slice(b"half a fra");
    drop(store);
    std::fs::write(&path, &torn).expect("torn");
    let (store, _tasks) = open(dir.path());
    let log = store.log(attempt()).await.expect("recovers");
    assert_eq!(log.durable().borrow().offsets, Offsets { stdout: 6, stderr: 1 });
    let hole = store.append(attempt(), vec![data(Stream::Stdout, 9, b"!")]).await;
    assert!(matches!(hole, Err(Error::Missing(Offsets { stdout: 6, stderr: 1 }))));
    let end = Entry::End(End::complete(Offsets { stdout: 11, stderr: 1 }));
    store
        .append(attempt(), vec![data(Stream::Stdout, 4, b"o world"), end])
        .await
        .expect("overlap is dropped");
    durable(&store, attempt(), Progress::is_ended).await;
    let reader = store.reader(attempt(), Offsets { stdout: 3, stderr: 0 }).await.expect("opens");
    let (stdout, stderr, end) = read_to_end(reader).await;
    assert_eq!((&stdout[..], &stderr[..], end.is_some()), (&b"lo world"[..], &b"x"[..], true));
    let size = std::fs::metadata(&path).expect("there").len();
    assert_eq!(store.usage(), size);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_followers_read_exactly_what_is_written_and_a_stalled_one_delays_nobody() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, tasks) = open(dir.path());
    let stalled = store.reader(attempt(), Offsets::default()).await.expect("opens");
    let followers: Vec<_> = [Offsets::default(), Offsets { stdout: 1000, stderr: 5 }]
        .into_iter()
        .map(|from| {
            let store = store.clone();
            let follow =
                async move { read_to_end(store.reader(attempt(), from).await.expect("opens")).await };
            (from, tasks.spawn("follower", follow))
        })
        .collect();
    let (out, err) = (noise(32 << 20, 1), noise(32 << 20, 2));
    let began = tokio::time::Instant::now();
    for (n, (o, e)) in out.chunks(32 << 10).zip(err.chunks(32 << 10)).enumerate() {
        let offset = (n as u64) << 15;
        let entries = vec![data(Stream::Stdout, offset, o), data(Stream::Stderr, offset, e)];
        store.append(attempt(), entries).await.expect("kept");
    }
    let offsets = Offsets { stdout: 32 << 20, stderr: 32 << 20 };
    store.append(attempt(), vec![Entry::End(End::complete(offsets))]).await.expect("kept");
    for (from, follower) in followers {
        let (stdout, stderr, end) =
            tokio::time::timeout(PATIENCE, follower).await.expect("in time").expect("no panic");
        assert!(stdout == out[usize::try_from(from.stdout).expect("small")..], "stdout differs");
        assert!(stderr == err[usize::try_from(from.stderr).expect("small")..], "stderr differs");
        assert_eq!(end, Some(End::complete(offsets)));
    }
    let seconds = began.elapsed().as_secs_f64();
    durable(&store, attempt(), Progress::is_ended).await;
    tracing::info!(mib_per_second = 64.0 / seconds, "two followers beside ingest");
    assert!(seconds < 30.0, "64 MiB took {seconds} s");
    let (stdout, _, _) = read_to_end(stalled).await;
    assert_eq!(stdout.len(), 32 << 20, "the stalled reader finds everything");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_attempts_of_a_job_are_kept_with_few_open_files_and_deleted_together() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, _tasks) = open(dir.path());
    let id = |index| AttemptId::from_parts(1, index, 1).expect("valid");
    for index in 0..10_000 {
        let end = Entry::End(End::complete(Offsets { stdout: 2, stderr: 0 }));
        store.append(id(index), vec![data(Stream::Stdout, 0, b"ok"), end]).await.expect("kept");
    }
    for index in [0, 4_999, 9_999] {
        durable(&store, id(index), Progress::is_ended).await;
        let reader = store.reader(id(index), Offsets::default()).await.expect("opens");
        assert_eq!(read_to_end(reader).await.0, b"ok");
    }
    let files = std::fs::read_dir("/proc/self/fd").expect("listed").count();
    assert!(files < 600, "{files} files are open");
    let mut reader = store.reader(id(3), Offsets::default()).await.expect("opens");
    let job = JobId::new(1).expect("valid");
    store.delete_job(job).await.expect("deleted");
    assert!(matches!(reader.read().await, Err(Error::Deleted)));
    assert_eq!(store.usage(), 0);
    assert!(!dir.path().join("1").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_lines_are_found_far_behind_the_start() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, _tasks) = open(dir.path());
    let line = [b'x'; 999];
    let mut offset = 0;
    for _ in 0..4000 {
        let bytes = [&line[..], b"\n"].concat();
        store.append(attempt(), vec![data(Stream::Stdout, offset, &bytes)]).await.expect("kept");
        offset += 1000;
    }
    for (lines, from) in [(1u64, 3_999_000u64), (10, 3_990_000), (3000, 1_000_000), (9000, 0)] {
        let mut reader = store.reader(attempt(), Offsets::default()).await.expect("opens");
        reader.skip_to_last_lines(lines, None).await.expect("found");
        assert_eq!(reader.progress().offsets.stdout, from, "{lines} lines");
    }
}
