//! Output that goes from plain files into segments: the same before and after, whatever happens in between.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use dockmgr_core::ids::{AttemptId, Epoch, JobId};
use dockmgr_core::log::{End, Entry, Mark, Offsets, Progress, Record, Stream};
use dockmgr_core::time::WallTime;
use dockmgr_support::tasks::Tasks;
use tokio_util::sync::CancellationToken;

use super::tests::{data, durable, read_to_end};
use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

/// Everything that has ended, at once.
pub(super) const AT_ONCE: Sealing = Sealing { bytes: 1 << 20, after: Duration::from_millis(1) };

pub(super) fn id(job: u64, index: u32) -> AttemptId {
    AttemptId::from_parts(job, index, 1).expect("valid")
}

pub(super) fn job(number: u64) -> JobId {
    JobId::new(number).expect("valid")
}

/// A store that seals at once as soon as its term begins; cancelling ends it like a crash.
pub(super) fn open(root: &Path) -> (LogStore, CancellationToken) {
    let stop = CancellationToken::new();
    let tasks = Tasks::new(stop.clone());
    (LogStore::open(root.to_owned(), Sharing::Alone, AT_ONCE, &tasks).expect("opens"), stop)
}

/// As [`open`], with sealed output at `at`.
pub(super) fn open_at(root: &Path, at: &SealedAt) -> (LogStore, CancellationToken) {
    let stop = CancellationToken::new();
    let tasks = Tasks::new(stop.clone());
    let store = LogStore::open_at(root.to_owned(), at, Sharing::Alone, AT_ONCE, &tasks);
    (store.expect("opens"), stop)
}

pub(super) async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{what}");
}

/// Waits until the attempts are in segments and their plain files gone.
pub(super) async fn sealed(store: &LogStore, root: &Path, attempts: &[AttemptId]) {
    let plain = |attempt: &AttemptId| layout::Name::first(*attempt).path(root).exists();
    until("sealed", || attempts.iter().all(|attempt| store.is_sealed(*attempt) && !plain(attempt))).await;
}

pub(super) async fn keep(store: &LogStore, attempt: AttemptId, text: &[u8]) {
    let end = End::complete(Offsets { stdout: text.len() as u64, stderr: 0 });
    let entries = vec![data(Stream::Stdout, 0, text), Entry::End(end)];
    store.append(attempt, entries).await.expect("kept");
    durable(store, attempt, Progress::is_ended).await;
}

pub(super) async fn text(store: &LogStore, attempt: AttemptId) -> Vec<u8> {
    let reader = store.reader(attempt, Offsets::default()).await.expect("opens");
    read_to_end(reader).await.0
}

/// Each byte with its stream, offset and time, however it is cut into records; and the end.
#[derive(Debug, Default, PartialEq)]
struct Answer {
    stdout: Vec<(u64, u8, i64)>,
    stderr: Vec<(u64, u8, i64)>,
    end: Option<End>,
    skipped_to: Offsets,
}

/// The last so many lines, of one stream or of both.
type LastOf = Option<(u64, Option<Stream>)>;

/// What a reader gets from `from` on, or of the last lines.
async fn answer(store: &LogStore, attempt: AttemptId, from: Offsets, lines: LastOf) -> Answer {
    let mut reader = store.reader(attempt, from).await.expect("opens");
    let mut answer = Answer::default();
    if let Some((lines, only)) = lines {
        reader.skip_to_last_lines(lines, only).await.expect("found");
    }
    answer.skipped_to = reader.progress().offsets;
    while answer.end.is_none() {
        reader.wait().await;
        for entry in reader.read().await.expect("readable") {
            match entry {
                Entry::End(end) => answer.end = Some(end),
                Entry::Data(Record { stream, offset, time, bytes }) => {
                    let of = if stream == Stream::Stdout { &mut answer.stdout } else { &mut answer.stderr };
                    of.extend((offset..).zip(bytes).map(|(offset, byte)| (offset, byte, time.0)));
                }
            }
        }
    }
    assert!(reader.read().await.expect("readable").is_empty(), "nothing is behind the end");
    answer
}

/// What readers ask for.
fn questions() -> Vec<(Offsets, LastOf)> {
    let at = |stdout, stderr| Offsets { stdout, stderr };
    vec![
        (at(0, 0), None),
        (at(17, 3), None),
        (at(0, u64::MAX), None),
        (at(u64::MAX, 5), None),
        (at(4000, 0), None),
        (at(0, 0), Some((1, None))),
        (at(0, 0), Some((7, None))),
        (at(0, u64::MAX), Some((3, Some(Stream::Stdout)))),
        (at(0, 0), Some((1000, None))),
    ]
}

/// Any bytes in any pieces, a few of which may be as long as `longest`, with an end that says anything.
pub(super) fn output(seed: u64, longest: usize) -> Vec<Entry> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut at = Offsets::default();
    let mut entries = Vec::new();
    let mut time = random.i64(-5..5_000_000);
    for _ in 0..random.usize(..60) {
        let stream = if random.bool() { Stream::Stdout } else { Stream::Stderr };
        let longest = if random.u8(..20) == 0 { longest } else { 60 };
        let bytes: Vec<u8> = (0..random.usize(1..longest))
            .map(|_| if random.u8(..9) == 0 { b'\n' } else { random.u8(..) })
            .collect();
        time += random.i64(-2..4);
        let offset = at.of(stream);
        at.set(stream, offset + bytes.len() as u64);
        entries.push(Entry::Data(Record { stream, offset, time: WallTime(time), bytes: Bytes::from(bytes) }));
    }
    let mut end = End::complete(at);
    if random.bool() {
        end.marks.push(Mark::Suspect { reason: "ümlaut\n".repeat(random.usize(..20)) });
    }
    entries.push(Entry::End(end));
    entries
}

#[tokio::test(flavor = "multi_thread")]
async fn any_bytes_are_the_same_to_every_question_when_they_are_sealed_and_after_a_restart() {
    let elsewhere = tempfile::tempdir().expect("folder");
    any_bytes(&SealedAt::Folder(elsewhere.path().join("other"))).await;
}

/// Output is the same before and after it was sealed at `at`.
pub(super) async fn any_bytes(at: &SealedAt) {
    const ATTEMPTS: u32 = 60;
    let dir = tempfile::tempdir().expect("folder");
    let (store, stop) = open_at(dir.path(), at);
    let attempts: Vec<_> = (0..ATTEMPTS).map(|index| id(1 + u64::from(index % 3), index)).collect();
    let mut before = Vec::new();
    for (seed, attempt) in (0..).zip(&attempts) {
        store.append(*attempt, output(seed, 200_000)).await.expect("kept");
        durable(&store, *attempt, Progress::is_ended).await;
        for (from, lines) in questions() {
            before.push(answer(&store, *attempt, from, lines).await);
        }
    }
    let plain = store.usage();
    store.begin_term(Epoch(5));
    sealed(&store, dir.path(), &attempts).await;
    assert!(store.usage() > 0 && store.usage() < plain + plain / 8, "{} of {plain} bytes", store.usage());
    stop.cancel();
    let (again, _stop) = open_at(dir.path(), at);
    for store in [store, again] {
        let mut expected = before.iter();
        for attempt in &attempts {
            for (from, lines) in questions() {
                let now = answer(&store, *attempt, from, lines).await;
                assert!(Some(&now) == expected.next(), "attempt {attempt} from {from} lines {lines:?}");
            }
        }
        assert_eq!(store.attempts_of(job(2)).await.expect("listed").len(), 20);
        assert_eq!(store.jobs().await.expect("listed"), [3, 2, 1].map(job));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_in_the_middle_goes_on_in_the_segment_and_a_worker_that_sends_again_hears_it_is_kept() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, _stop) = open(dir.path());
    let line = [b'x'; 1000];
    let long: Vec<u8> = line.repeat(3000);
    for (at, piece) in (0..).zip(long.chunks(1000)) {
        store.append(id(1, 0), vec![data(Stream::Stdout, at * 1000, piece)]).await.expect("kept");
    }
    let mut reader = store.reader(id(1, 0), Offsets::default()).await.expect("opens");
    let began = reader.read().await.expect("readable").iter().map(Entry::payload_len).sum::<usize>();
    assert!(began > 0 && began < long.len());
    store.begin_term(Epoch(5));
    let end = Entry::End(End::complete(Offsets { stdout: long.len() as u64, stderr: 0 }));
    store.append(id(1, 0), vec![end.clone()]).await.expect("kept");
    sealed(&store, dir.path(), &[id(1, 0)]).await;
    until("its folder is gone", || !dir.path().join("1").exists()).await;
    let (rest, _, ended) = read_to_end(reader).await;
    assert_eq!((began + rest.len(), ended.is_some()), (long.len(), true));
    store.append(id(1, 0), vec![data(Stream::Stdout, 0, b"xxx"), end]).await.expect("known already");
    let beyond = store.append(id(1, 0), vec![data(Stream::Stdout, long.len() as u64, b"!")]).await;
    assert!(matches!(beyond, Err(Error::Conflict(_))), "{beyond:?}");
    assert!(!dir.path().join("1").exists(), "no plain file is made again");
    let log = store.log(id(1, 0)).await.expect("opens");
    assert!(log.durable().borrow().is_ended());
}

/// Copies all files below a folder.
pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let entry = entry.expect("listed");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("copied");
        }
    }
}

pub(super) fn segments(root: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(root.join("sealed/segments")).into_iter().flatten();
    listed.map(|entry| entry.expect("listed").path()).collect()
}

/// A folder with three sealed attempts, and a copy of what their plain files were.
async fn sealed_folder(root: &Path) -> [AttemptId; 3] {
    let attempts = [id(1, 0), id(1, 1), id(2, 0)];
    let (store, stop) = open(root);
    for attempt in attempts {
        keep(&store, attempt, attempt.to_string().as_bytes()).await;
    }
    for job in ["1", "2"] {
        copy(&root.join(job), &root.join("before").join(job));
    }
    store.begin_term(Epoch(5));
    sealed(&store, root, &attempts).await;
    stop.cancel();
    attempts
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_files_that_a_crash_left_beside_their_segment_go_at_the_next_start() {
    let dir = tempfile::tempdir().expect("folder");
    let attempts = sealed_folder(dir.path()).await;
    // As after a crash once the segment was stored, with one of the plain files gone already.
    for job in ["1", "2"] {
        copy(&dir.path().join("before").join(job), &dir.path().join(job));
    }
    fs::remove_file(dir.path().join("1/0/1.1.log")).expect("there");
    let (store, stop) = open(dir.path());
    for attempt in attempts {
        assert_eq!(text(&store, attempt).await, attempt.to_string().as_bytes());
    }
    store.begin_term(Epoch(6));
    sealed(&store, dir.path(), &attempts).await;
    until("folders are gone", || !dir.path().join("1").exists() && !dir.path().join("2").exists()).await;
    stop.cancel();
    assert_eq!(segments(dir.path()).len(), 1, "nothing was sealed a second time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_was_cut_or_changed_costs_nothing_while_the_plain_files_are_there() {
    for damage in ["cut", "changed", "empty"] {
        let dir = tempfile::tempdir().expect("folder");
        let attempts = sealed_folder(dir.path()).await;
        for job in ["1", "2"] {
            copy(&dir.path().join("before").join(job), &dir.path().join(job));
        }
        let path = segments(dir.path()).remove(0);
        let mut bytes = fs::read(&path).expect("there");
        match damage {
            "cut" => bytes.truncate(bytes.len() - 7),
            "changed" => bytes[40] ^= 1,
            _ => bytes.clear(),
        }
        fs::write(&path, bytes).expect("damaged");
        let (store, stop) = open(dir.path());
        store.begin_term(Epoch(6));
        // What cannot be read of a segment is sealed again, from the plain files.
        until("sealed again", || segments(dir.path()).len() >= 2).await;
        sealed(&store, dir.path(), &attempts).await;
        stop.cancel();
        for store in [store, open(dir.path()).0] {
            for attempt in attempts {
                assert_eq!(text(&store, attempt).await, attempt.to_string().as_bytes(), "{damage}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_deleted_from_a_shared_segment_stays_deleted_and_the_others_stay() {
    let dir = tempfile::tempdir().expect("folder");
    let attempts = sealed_folder(dir.path()).await;
    let (store, stop) = open(dir.path());
    let mut reader = store.reader(attempts[0], Offsets::default()).await.expect("opens");
    store.delete_job(job(1)).await.expect("deleted");
    assert!(matches!(reader.read().await, Err(Error::Deleted)));
    assert_eq!(store.attempts_of(job(1)).await.expect("listed"), []);
    stop.cancel();
    let (store, _stop) = open(dir.path());
    store.begin_term(Epoch(6));
    assert_eq!(store.attempts_of(job(1)).await.expect("listed"), []);
    assert_eq!(store.attempts_of(job(2)).await.expect("listed"), [attempts[2]]);
    assert_eq!(text(&store, attempts[2]).await, b"2.0.1");
    let frames = store.sealed_frames(None, None).await.expect("listed");
    let open = store.open_frame(&frames[0]).expect("readable").expect("there");
    assert_eq!(attempts.map(|attempt| open.owns(attempt)), [false, false, true]);
    let found: Vec<_> = open.frame().expect("readable").runs().map(|run| run.attempt).collect();
    assert_eq!(found, attempts, "the bytes are there until the segment goes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_goes_when_all_its_jobs_are_deleted_by_whoever_leads_then() {
    let dir = tempfile::tempdir().expect("folder");
    let attempts = sealed_folder(dir.path()).await;
    let (store, stop) = open(dir.path());
    store.begin_term(Epoch(6));
    store.delete_job(job(1)).await.expect("deleted");
    assert_eq!(text(&store, attempts[2]).await, b"2.0.1");
    assert_eq!(segments(dir.path()).len(), 1, "the other job still needs it");
    stop.cancel();
    let (store, stop) = open(dir.path());
    // It does not lead: it removes nothing.
    store.delete_job(job(2)).await.expect("deleted");
    stop.cancel();
    assert_eq!(segments(dir.path()).len(), 1);
    let (store, _stop) = open(dir.path());
    store.begin_term(Epoch(7));
    until("the segment is gone", || segments(dir.path()).is_empty() && store.usage() == 0).await;
    keep(&store, id(3, 0), b"later").await;
    sealed(&store, dir.path(), &[id(3, 0)]).await;
    assert_eq!(store.jobs().await.expect("listed"), [job(3)]);
    assert_eq!(text(&store, id(3, 0)).await, b"later");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_are_deleted_while_they_are_sealed_do_not_come_back() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, stop) = open(dir.path());
    store.begin_term(Epoch(5));
    for n in 1..60 {
        keep(&store, id(n, 0), b"soon gone").await;
        if n % 3 == 0 {
            tokio::task::yield_now().await;
        }
        store.delete_job(job(n)).await.expect("deleted");
        assert_eq!(store.attempts_of(job(n)).await.expect("listed"), [], "job {n}");
    }
    keep(&store, id(99, 0), b"stays").await;
    sealed(&store, dir.path(), &[id(99, 0)]).await;
    stop.cancel();
    let (store, _stop) = open(dir.path());
    assert_eq!(store.jobs_older_than(Duration::ZERO).await.expect("listed"), [job(99)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_many_batches_is_sealed_without_waiting() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, stop) = open(dir.path());
    let attempts: Vec<_> = (0..12).map(|index| id(1, index)).collect();
    for attempt in &attempts {
        keep(&store, *attempt, &b"x".repeat(400_000)).await;
    }
    stop.cancel();
    let tasks = Tasks::default();
    let hourly = Sealing { bytes: 1 << 20, after: Duration::from_hours(1) };
    let store = LogStore::open(dir.path().to_owned(), Sharing::Alone, hourly, &tasks).expect("opens");
    store.begin_term(Epoch(5));
    sealed(&store, dir.path(), &attempts).await;
    assert_eq!(segments(dir.path()).len(), 4, "three attempts are more than a mebibyte");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_takes_nothing_leaves_plain_files_and_is_used_again_when_it_does() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, _stop) = open(dir.path());
    let folder = dir.path().join("sealed/segments");
    fs::write(&folder, b"in the way").expect("written");
    keep(&store, id(1, 0), b"kept").await;
    store.begin_term(Epoch(5));
    keep(&store, id(1, 1), b"kept").await;
    assert_eq!(text(&store, id(1, 1)).await, b"kept");
    assert!(layout::Name::first(id(1, 0)).path(dir.path()).exists());
    fs::remove_file(&folder).expect("there");
    sealed(&store, dir.path(), &[id(1, 0), id(1, 1)]).await;
    assert_eq!(text(&store, id(1, 0)).await, b"kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deposed_leader_seals_and_removes_is_found_by_its_successor() {
    let dir = tempfile::tempdir().expect("folder");
    let shared = |sealing| {
        let tasks = Tasks::default();
        LogStore::open(dir.path().to_owned(), Sharing::Terms, sealing, &tasks).expect("opens")
    };
    let old = shared(AT_ONCE);
    old.begin_term(Epoch(5));
    old.append(id(1, 0), vec![data(Stream::Stdout, 0, b"0123")]).await.expect("kept");
    let new = shared(Sealing::default());
    new.begin_term(Epoch(9));
    let mut reader = new.reader(id(1, 0), Offsets::default()).await.expect("opens");
    assert_eq!(reader.read().await.expect("readable").len(), 1);
    // The old one has not heard that it leads no more.
    let end = Entry::End(End::complete(Offsets { stdout: 6, stderr: 0 }));
    old.append(id(1, 0), vec![data(Stream::Stdout, 4, b"45"), end]).await.expect("kept");
    until("sealed", || old.is_sealed(id(1, 0)) && !dir.path().join("1").exists()).await;
    until("found", || new.is_sealed(id(1, 0))).await;
    assert_eq!(text(&new, id(1, 0)).await, b"012345");
    assert_eq!(read_to_end(reader).await.0, b"45", "and by who reads there already");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_seals_what_all_leaders_before_it_wrote_and_its_successor_reads_it() {
    let dir = tempfile::tempdir().expect("folder");
    let shared = |epoch| {
        let tasks = Tasks::default();
        let store = LogStore::open(dir.path().to_owned(), Sharing::Terms, AT_ONCE, &tasks).expect("opens");
        store.begin_term(Epoch(epoch));
        store
    };
    let old = shared(5);
    old.append(id(1, 0), vec![data(Stream::Stdout, 0, b"0123")]).await.expect("kept");
    let new = shared(9);
    let end = Entry::End(End::complete(Offsets { stdout: 6, stderr: 0 }));
    new.append(id(1, 0), vec![data(Stream::Stdout, 4, b"45"), end]).await.expect("kept");
    until("sealed", || new.is_sealed(id(1, 0)) && !dir.path().join("1").exists()).await;
    assert_eq!(text(&new, id(1, 0)).await, b"012345");
    assert_eq!(text(&shared(12), id(1, 0)).await, b"012345");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_output_takes_is_told_of_each_job_sealed_or_not_and_is_nothing_once_deleted() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, _stop) = open(dir.path());
    // Bytes that cannot be packed; words of them are in an index beside.
    let mut noise = vec![0; 150_000];
    fastrand::Rng::with_seed(7).fill(&mut noise);
    keep(&store, id(1, 0), &noise[..100_000]).await;
    keep(&store, id(2, 0), &noise[100_000..]).await;
    let near =
        |bytes: Option<&u64>, due: u64| bytes.is_some_and(|bytes| (due..due + due / 4).contains(bytes));
    for is_sealed in [false, true] {
        if is_sealed {
            store.begin_term(Epoch(5));
            sealed(&store, dir.path(), &[id(1, 0), id(2, 0)]).await;
        }
        let sizes = store.sizes().await.expect("told");
        assert!(near(sizes.get(&job(1)), 100_000) && near(sizes.get(&job(2)), 50_000), "{sizes:?}");
    }
    store.delete_job(job(1)).await.expect("deleted");
    let sizes = store.sizes().await.expect("told");
    assert!(!sizes.contains_key(&job(1)) && near(sizes.get(&job(2)), 50_000), "{sizes:?}");
}
