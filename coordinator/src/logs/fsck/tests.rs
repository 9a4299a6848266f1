//! Every damage is found and named; an index is made anew and everything reads as before.

use std::fs;
use std::path::{Path, PathBuf};

use dockmgr_core::ids::Epoch;
use dockmgr_core::log::Offsets;

use super::super::sealed::test_s3::S3Server;
use super::super::sealing_tests::{id, job, keep, open_at, sealed, text};
use super::super::*;
use super::*;

fn noise(seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; 1_500_000];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// Output of four attempts, each in a segment of several frames, and a plain file.
async fn kept(root: &Path, at: &SealedAt) {
    let (store, stop) = open_at(root, at);
    let attempts: Vec<_> = (0..4).map(|n| id(1, n)).collect();
    for (attempt, seed) in attempts.iter().zip(0..) {
        keep(&store, *attempt, &noise(seed)).await;
    }
    store.begin_term(Epoch(5));
    sealed(&store, root, &attempts).await;
    stop.cancel();
    let (store, stop) = open_at(root, at);
    keep(&store, id(2, 0), b"plain").await;
    stop.cancel();
}

async fn look(root: &Path, at: &SealedAt, mend: bool) -> (Report, Vec<Problem>) {
    let mut problems = Vec::new();
    let report = fsck(root, Some(at), mend, &mut |problem| problems.push(problem.clone())).await;
    (report.expect("looked through"), problems)
}

async fn reads_as_before(root: &Path, at: &SealedAt) {
    let (store, _stop) = open_at(root, at);
    for n in 0..4 {
        assert!(text(&store, id(1, n)).await == noise(u64::from(n)), "attempt {n}");
    }
    assert_eq!(text(&store, id(2, 0)).await, b"plain");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).into_iter().flatten();
    listed.map(|entry| entry.expect("listed").path()).collect()
}

fn damage(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("there");
    change(&mut bytes);
    fs::write(path, bytes).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_whole_is_sound_on_a_folder_and_in_s3() {
    let (dir, server) = (tempfile::tempdir().expect("folder"), S3Server::start().await);
    for (n, at) in [SealedAt::Folder(dir.path().join("elsewhere")), server.at("")].iter().enumerate() {
        let root = dir.path().join(n.to_string());
        kept(&root, at).await;
        let (report, problems) = look(&root, at, true).await;
        assert_eq!((report.problems, problems), (0, Vec::new()));
        assert!(report.is_sound() && report.segments >= 1 && report.frames >= 2, "{report}");
        assert_eq!((report.attempts, report.files), (4, 1));
        let (store, stop) = open_at(&root, at);
        store.delete_job(job(1)).await.expect("deleted");
        stop.cancel();
        assert_eq!(look(&root, at, false).await, (report, Vec::new()), "a note of what was deleted is sound");
    }
    let nowhere = fsck(&dir.path().join("none"), None, false, &mut |_| ()).await;
    nowhere.expect_err("a folder that is not there is not sound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_index_is_made_anew_from_the_frames() {
    for part in ["footer", "directory", "filter", "begin", "cut"] {
        let dir = tempfile::tempdir().expect("folder");
        let at = SealedAt::Folder(dir.path().join("sealed"));
        kept(dir.path(), &at).await;
        for segment in files(&dir.path().join("sealed/segments")) {
            damage(&segment, |bytes| {
                let len = bytes.len();
                match part {
                    "footer" => bytes[len - 20] ^= 1,
                    "directory" => bytes[len - 60] ^= 1,
                    "filter" => {
                        let index = bytes.windows(4).rposition(|four| four == b"dmgI").expect("an index");
                        bytes[index + 40] ^= 1;
                    }
                    "begin" => bytes[3] ^= 1,
                    _ => bytes.truncate(len - 50),
                }
            });
        }
        let (report, problems) = look(dir.path(), &at, false).await;
        assert!(!report.is_sound() && report.mended == 0, "{part}: {report}");
        assert!(
            problems.iter().all(|problem| problem.name.starts_with("segments/5-")),
            "{part}: {problems:?}"
        );
        assert_eq!(files(&dir.path().join("sealed/damaged")), Vec::<PathBuf>::new(), "nothing was touched");
        let (report, problems) = look(dir.path(), &at, true).await;
        assert!(report.is_sound() && report.mended > 0, "{part}: {problems:?}");
        assert_eq!(files(&dir.path().join("sealed/damaged")).len(), report.mended);
        assert_eq!(look(dir.path(), &at, false).await.0.problems, 0, "{part}");
        reads_as_before(dir.path(), &at).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_output_is_named_with_its_attempts_and_nothing_else_is() {
    let dir = tempfile::tempdir().expect("folder");
    let at = SealedAt::Folder(dir.path().join("sealed"));
    kept(dir.path(), &at).await;
    let mut segments = files(&dir.path().join("sealed/segments"));
    segments.sort();
    damage(&segments[0], |bytes| bytes[200] ^= 1);
    damage(&dir.path().join("2/0/0.1.log"), |bytes| bytes[40] ^= 1);
    fs::create_dir_all(dir.path().join("sealed/deleted")).expect("made");
    fs::write(dir.path().join("sealed/deleted/stray"), b"x").expect("written");
    let (report, problems) = look(dir.path(), &at, true).await;
    assert!(!report.is_sound() && report.mended == 0, "{report}");
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert!(told[0].starts_with("bad: segments/5-") && told[0].contains("bytes 8 to "), "{told:?}");
    assert!(told[0].contains("not whole: 1.0.1"), "{told:?}");
    assert!(told.contains(&"bad: deleted/stray: not an object of dockmgr".to_owned()), "{told:?}");
    assert!(told.last().is_some_and(|last| last.starts_with("bad: 2/0/0.1.log: at byte 28: ")), "{told:?}");
    let not_whole: Vec<_> = problems.iter().flat_map(|problem| problem.attempts.clone()).collect();
    assert_eq!(not_whole, [id(1, 0), id(2, 0)], "{told:?}");
    let (store, _stop) = open_at(dir.path(), &at);
    let error = read_to_the_damage(&store, id(1, 0)).await;
    assert!(error.is_damage() && !error.is_retryable(), "{error:?}");
}

async fn read_to_the_damage(store: &LogStore, attempt: AttemptId) -> crate::logs::Error {
    let mut reader = match store.reader(attempt, Offsets::default()).await {
        Ok(reader) => reader,
        Err(error) => return error,
    };
    loop {
        match reader.read().await {
            Ok(entries) => assert!(!entries.is_empty(), "all of {attempt} could be read"),
            Err(error) => return error,
        }
    }
}
