use std::time::Duration;

use dockmgr_core::agent::{DaemonRun, Phase, Stop};
use dockmgr_core::cluster::StopCause;
use dockmgr_core::outcome::{AttemptEnd, EndReason};
use dockmgr_core::spec::Signal;
use dockmgr_core::time::{BootTime, WallTime};

use super::super::{Change, ImagePin, StartedAt};
use super::*;
use crate::testing::start;

fn daemon(instance: &str) -> DaemonRun {
    DaemonRun { id: "d".into(), instance: Some(instance.into()), live_restore: true }
}

fn end() -> Box<AttemptEnd> {
    Box::new(AttemptEnd {
        reason: EndReason::Exited,
        exit_code: Some(7),
        message: String::new(),
        oom_seen: false,
        started: Some(WallTime(5)),
        ended: Some(WallTime(6)),
        run: Duration::from_millis(1),
        usage: None,
        log_end: None,
        container: Some("c1".into()),
        image_digest: Some("sha256:d".into()),
        retryable: false,
    })
}

/// Everything that happens to one attempt, in order.
fn story(job: u64) -> Vec<Record> {
    let start = start(job, "image:1", "exit 7");
    let attempt = start.attempt;
    let stop = Stop { cause: StopCause::Stop, signal: Signal::TERM, grace: Duration::from_secs(3) };
    [
        Change::Intent(start),
        Change::Created {
            container: "c1".into(),
            image: ImagePin { id: "sha256:i".into(), digest: "sha256:d".into() },
            daemon: Some(daemon("1")),
        },
        Change::StartIntent { boot_id: "boot".into(), daemon: Some(daemon("1")) },
        Change::Started(StartedAt { wall: WallTime(5), exact: true, boot: BootTime(6) }),
        Change::Stopping { stop, kill: false },
        Change::Ended(end()),
    ]
    .map(|change| Record { attempt, change })
    .to_vec()
}

fn write(path: &Path, records: Vec<Record>) -> BTreeMap<AttemptId, Entry> {
    let mut journal = JournalFile::open(path).expect("opens");
    journal.append(records).expect("writes");
    journal.entries().clone()
}

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("journal");
    let mut records = story(1);
    records.extend(story(2));
    records.push(Record { attempt: story(2)[0].attempt, change: Change::Forgotten });
    let written = write(&path, records);
    let read = JournalFile::open(&path).expect("opens again").entries().clone();
    assert_eq!(read, written);
    assert_eq!(read.len(), 1, "the second was forgotten");
    let entry = read.values().next().expect("one");
    assert_eq!((entry.phase, entry.end.as_deref()), (Phase::Ended, Some(&*end())));
}

#[test]
fn a_file_cut_at_any_byte_gives_the_records_before_and_can_be_written_on() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("journal");
    let mut borders = Vec::new();
    for record in story(1) {
        write(&path, vec![record]);
        borders.push(fs::metadata(&path).expect("exists").len());
    }
    let whole = fs::read(&path).expect("reads");
    let phases =
        [Phase::Intent, Phase::Created, Phase::StartIntent, Phase::Started, Phase::Started, Phase::Ended];
    for cut in 0..=whole.len() {
        fs::write(&path, &whole[..cut]).expect("writes");
        let mut journal = JournalFile::open(&path).expect("a cut file opens");
        let complete = borders.iter().filter(|border| **border <= cut as u64).count();
        let phase = journal.entries().values().next().map(|entry| entry.phase);
        assert_eq!(phase, complete.checked_sub(1).map(|last| phases[last]), "cut at {cut}");
        journal.append(story(2)).expect("writes on");
        let reopened = JournalFile::open(&path).expect("opens again");
        assert!(reopened.entries().contains_key(&story(2)[0].attempt), "cut at {cut}");
    }
}

#[test]
fn a_damaged_middle_is_refused_with_its_place_and_left_alone() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("journal");
    write(&path, story(1));
    let mut bytes = fs::read(&path).expect("reads");
    bytes[MAGIC.len() + FRAME_HEAD + 3] ^= 1;
    fs::write(&path, &bytes).expect("writes");
    match JournalFile::open(&path) {
        Err(Error::Corrupt { offset, .. }) => assert_eq!(offset, MAGIC.len() as u64),
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read(&path).expect("reads"), bytes);
    fs::write(&path, b"something else").expect("writes");
    assert!(matches!(JournalFile::open(&path), Err(Error::NotAJournal(_))));
}

#[test]
fn a_long_journal_is_rewritten_to_what_is_live() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("journal");
    let mut journal = JournalFile::open(&path).expect("opens");
    let forgotten = Record { attempt: story(1)[0].attempt, change: Change::Forgotten };
    let live = story(2);
    journal.append(live).expect("writes");
    for _ in 0..40 {
        let mut records = story(1);
        records.push(forgotten.clone());
        let many = std::iter::repeat_n(records, 100).flatten().collect();
        journal.append(many).expect("writes");
    }
    assert!(journal.rewritten > MAGIC.len() as u64, "it was never rewritten");
    let read = JournalFile::open(&path).expect("opens again").entries().clone();
    assert_eq!(&read, journal.entries());
}

/// Damaged files that are tried.
const MUTATIONS: u64 = 2000;

/// Changes some bytes; gives the first changed one.
fn damage(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) -> usize {
    let at = random.usize(..bytes.len());
    match random.u8(..4) {
        0 | 1 => bytes[at] ^= 1 << random.u8(..8),
        2 => {
            let end = bytes.len().min(at + 4096);
            bytes[at..end].fill(0);
        }
        _ => bytes.truncate(at),
    }
    at
}

#[test]
fn a_damaged_journal_is_refused_or_loses_only_its_torn_tail() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("journal");
    let mut borders = vec![MAGIC.len()];
    let mut states = vec![BTreeMap::new()];
    for record in (1..6).flat_map(story) {
        states.push(write(&path, vec![record]));
        borders.push(usize::try_from(fs::metadata(&path).expect("exists").len()).expect("short"));
    }
    let whole = fs::read(&path).expect("reads");
    let mut random = fastrand::Rng::with_seed(7);
    let (mut refused, mut opened) = (0, 0);
    for n in 0..MUTATIONS {
        let mut bytes = whole.clone();
        let at = damage(&mut bytes, &mut random);
        let cut = bytes.len() < whole.len();
        let zeros = bytes[at..].iter().all(|byte| *byte == 0);
        fs::write(&path, &bytes).expect("writes");
        let Ok(journal) = JournalFile::open(&path) else {
            refused += 1;
            continue;
        };
        opened += 1;
        let kept = states.iter().position(|state| state == journal.entries());
        let kept = kept.unwrap_or_else(|| panic!("damage {n} at {at}: a state that never was"));
        // Everything before the damage is there; what is missing behind it was torn off, not rotten in the middle.
        let due = borders.iter().rposition(|border| *border <= at).unwrap_or(0);
        assert!(kept >= due, "damage {n} at {at}: {kept} records of {due} before it");
        let last = at >= borders[borders.len() - 2];
        assert!(cut || zeros || last || bytes == whole, "damage {n} at {at} was taken for a torn tail");
    }
    assert!(refused > 100 && opened > 100, "{refused} refused, {opened} opened");
}
