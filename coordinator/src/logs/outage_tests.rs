//! Output while the storage of what is sealed is away, slow or refuses: nothing that was acknowledged is lost, what comes in
//! does not wait, and what cannot be read now says so.

use std::path::Path;
use std::time::Duration;

use dockmgr_core::ids::{AttemptId, Epoch};
use dockmgr_core::log::{End, Entry, Offsets, Progress, Stream};
use dockmgr_support::tasks::Tasks;
use tokio::time::timeout;

use super::sealed::test_s3::{Gate, S3Server};
use super::sealing_tests::{AT_ONCE, any_bytes, id, keep, open_at, sealed, text, until};
use super::tests::data;
use super::*;

/// Longest wait for what must not wait for the storage.
const SOON: Duration = Duration::from_secs(8);

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// Everything kept of an attempt, or the first error.
async fn read(store: &LogStore, attempt: AttemptId) -> Result<(Vec<u8>, Option<End>), Error> {
    let mut reader = store.reader(attempt, Offsets::default()).await?;
    let (mut bytes, mut end) = (Vec::new(), None);
    while end.is_none() {
        let entries = reader.read().await?;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            match entry {
                Entry::Data(record) => bytes.extend_from_slice(&record.bytes),
                Entry::End(ended) => end = Some(ended),
            }
        }
    }
    Ok((bytes, end))
}

async fn keeps_soon(store: &LogStore, attempt: AttemptId, bytes: &[u8]) {
    timeout(SOON, keep(store, attempt, bytes)).await.expect("output that comes in does not wait");
    assert_eq!(timeout(SOON, text(store, attempt)).await.expect("nor does reading it"), bytes);
}

async fn refused(store: &LogStore, attempt: AttemptId) {
    let error = read(store, attempt).await.expect_err("it cannot be read now");
    assert!(error.is_retryable(), "{error:?}");
}

fn has_plain(root: &Path, attempt: AttemptId) -> bool {
    layout::Name::first(attempt).path(root).exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn any_bytes_are_the_same_when_they_are_sealed_in_s3() {
    let server = S3Server::start().await;
    any_bytes(&server.at("some/where")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_coordinator_serves_what_the_leader_sealed_in_s3() {
    let server = S3Server::start().await;
    let dir = tempfile::tempdir().expect("folder");
    let open = || {
        let (root, tasks) = (dir.path().to_owned(), Tasks::default());
        LogStore::open_at(root, &server.at(""), Sharing::Terms, AT_ONCE, &tasks).expect("opens")
    };
    let (leader, follower) = (open(), open());
    leader.begin_term(Epoch(5));
    keep(&leader, id(1, 0), b"one").await;
    until("sealed", || leader.is_sealed(id(1, 0)) && !dir.path().join("1").exists()).await;
    // It began before there was a segment; its term shows it what there is.
    follower.begin_term(Epoch(6));
    until("found", || follower.is_sealed(id(1, 0))).await;
    assert_eq!(text(&follower, id(1, 0)).await, b"one");
    assert_eq!(text(&open(), id(1, 0)).await, b"one", "without ever leading");
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_that_is_away_at_a_start_holds_up_no_output_and_is_used_when_it_comes_back() {
    let mut server = S3Server::start().await;
    let dir = tempfile::tempdir().expect("folder");
    let at = server.at("");
    let (store, stop) = open_at(dir.path(), &at);
    store.begin_term(Epoch(5));
    for n in 0..3 {
        keep(&store, id(1, n), b"from before").await;
    }
    sealed(&store, dir.path(), &[id(1, 0), id(1, 1), id(1, 2)]).await;
    stop.cancel();
    server.kill();
    let (store, _stop) = open_at(dir.path(), &at);
    store.begin_term(Epoch(6));
    keeps_soon(&store, id(2, 0), b"while it is away").await;
    // A worker that never heard that its output was kept: all of it, a part of it, or only asking.
    keeps_soon(&store, id(1, 0), b"from before").await;
    store.append(id(1, 1), vec![data(Stream::Stdout, 0, b"from")]).await.expect("kept");
    let asked = store.durable(id(1, 2)).await.expect("answered").expect("not known to be sealed");
    assert_eq!(*asked.borrow(), Progress::default());
    refused(&store, id(1, 2)).await;
    server.start_again().await;
    sealed(&store, dir.path(), &[id(1, 0), id(1, 1), id(1, 2), id(2, 0)]).await;
    for n in 0..3 {
        assert_eq!(text(&store, id(1, n)).await, b"from before");
        assert!(store.durable(id(1, n)).await.expect("answered").is_none(), "all is kept");
    }
    assert!(store.log(id(1, 2)).await.expect("opens").progress().is_ended());
    assert_eq!(text(&store, id(2, 0)).await, b"while it is away");
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_that_refuses_leaves_plain_files_which_are_sealed_when_it_takes_them() {
    let mut server = S3Server::start().await;
    let dir = tempfile::tempdir().expect("folder");
    let (store, _stop) = open_at(dir.path(), &server.at(""));
    store.begin_term(Epoch(5));
    for (n, trouble) in (1..).zip([Some(500), Some(503), Some(507), None]) {
        let (before, during) = (id(n, 0), id(n, 1));
        keep(&store, before, &noise(3_000_000, n)).await;
        sealed(&store, dir.path(), &[before]).await;
        match trouble {
            Some(status) => server.gate(Gate::Answers(status)),
            None => server.kill(),
        }
        keeps_soon(&store, during, b"while it refuses").await;
        refused(&store, before).await;
        assert!(has_plain(dir.path(), during) && !store.is_sealed(during));
        match trouble {
            Some(_) => server.gate(Gate::Open),
            None => server.start_again().await,
        }
        sealed(&store, dir.path(), &[during]).await;
        assert!(text(&store, before).await == noise(3_000_000, n));
        assert_eq!(text(&store, during).await, b"while it refuses");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_the_middle_of_an_upload_costs_nothing() {
    let mut server = S3Server::start().await;
    let dir = tempfile::tempdir().expect("folder");
    let (store, _stop) = open_at(dir.path(), &server.at(""));
    store.begin_term(Epoch(5));
    let bytes = noise(20_000_000, 1);
    server.gate(Gate::CutsAfter(5_000_000));
    keep(&store, id(1, 0), &bytes).await;
    keeps_soon(&store, id(2, 0), b"meanwhile").await;
    server.pause();
    server.gate(Gate::Open);
    keeps_soon(&store, id(2, 1), b"while it stands still").await;
    server.kill();
    assert!(has_plain(dir.path(), id(1, 0)), "nothing durable has it");
    server.start_again().await;
    server.pause();
    server.resume();
    sealed(&store, dir.path(), &[id(1, 0), id(2, 0), id(2, 1)]).await;
    assert!(text(&store, id(1, 0)).await == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_wait_for_silent_storage_leave_room_for_output_that_comes_in() {
    let server = S3Server::start().await;
    let dir = tempfile::tempdir().expect("folder");
    let (store, _stop) = open_at(dir.path(), &server.at(""));
    store.begin_term(Epoch(5));
    let attempts: Vec<_> = (0..300).map(|n| id(1, n)).collect();
    for attempt in &attempts {
        keep(&store, *attempt, b"sealed").await;
    }
    sealed(&store, dir.path(), &attempts).await;
    server.gate(Gate::Silent);
    let tasks = Tasks::default();
    let (told, mut heard) = tokio::sync::mpsc::channel(attempts.len());
    for attempt in attempts {
        let (store, told) = (store.clone(), told.clone());
        tasks.spawn("reader", async move {
            let _full = told.send(read(&store, attempt).await.map(|(bytes, _)| bytes)).await;
        });
    }
    drop(told);
    let first = timeout(SOON, heard.recv()).await.expect("one too many hears so at once").expect("told");
    assert!(first.expect_err("refused").is_retryable());
    keeps_soon(&store, id(2, 0), b"while it is silent").await;
    server.gate(Gate::Open);
    while let Some(read) = heard.recv().await {
        match read {
            Ok(bytes) => assert_eq!(bytes, b"sealed"),
            Err(error) => assert!(error.is_retryable(), "{error:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_storage_comes_and_goes_every_read_is_whole_or_refused() {
    let server = S3Server::start().await;
    let dir = tempfile::tempdir().expect("folder");
    let (store, _stop) = open_at(dir.path(), &server.at(""));
    store.begin_term(Epoch(5));
    // More than is kept in memory.
    let written: Vec<_> = (0..12).map(|n| (id(1, n), noise(1_500_000, u64::from(n)))).collect();
    for (attempt, bytes) in &written {
        keep(&store, *attempt, bytes).await;
    }
    sealed(&store, dir.path(), &written.iter().map(|(attempt, _)| *attempt).collect::<Vec<_>>()).await;
    let mut random = fastrand::Rng::with_seed(7);
    let (mut whole, mut none) = (0, 0);
    for round in 0..30 {
        server.gate(match round % 3 {
            0 => Gate::Open,
            1 => Gate::Answers(*random.choice(&[500, 503, 404, 403]).expect("one")),
            _ => Gate::CutsAfter(random.u64(0..3000)),
        });
        let (attempt, bytes) = random.choice(&written).expect("one");
        match read(&store, *attempt).await {
            Ok((found, end)) => {
                assert!(found == *bytes && end.is_some(), "round {round}");
                whole += 1;
            }
            Err(error) => {
                assert!(error.is_retryable(), "{error:?}");
                none += 1;
            }
        }
    }
    assert!(whole >= 10 && none > 0, "{whole} whole, {none} refused");
}
