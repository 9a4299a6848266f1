use bytes::Bytes;
use dockmgr_core::log::{Record, Stream};
use dockmgr_core::time::WallTime;

use super::*;
use crate::runtime::fake::Fake;
use crate::runtime::{ContainerSpec, Runtime as _};
use crate::spool::Spool;

/// What the fake's program writes: 300,000 pseudo-random bytes and a last line without a newline.
const PROGRAM: &str = "fake:bytes 300000 7; echo -n last";

async fn container(fake: &Fake, script: &str) -> ContainerId {
    let image = "image:1";
    let (progress, _) = tokio::sync::watch::channel(crate::runtime::PullProgress::default());
    fake.pull(image, None, &progress).await.expect("pulls");
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    fake.create(&ContainerSpec::new("one", image, argv)).await.expect("creates")
}

async fn capture(fake: &Fake, container: &ContainerId, spool: &Spool, cap: u64) -> Capture {
    Capture {
        runtime: AnyRuntime::Fake(fake.clone()),
        container: container.clone(),
        spool: spool.attempt("1.0.1".parse().expect("an id")).await.expect("opens"),
        cap,
        daemon: None,
        health: Health::default(),
        captured: Counter::default(),
        token: CancellationToken::new(),
    }
}

/// All spooled bytes of stdout.
async fn spooled(capture: &AttemptSpool) -> Vec<u8> {
    let mut cursor = capture.cursor(dockmgr_core::log::Offsets::default());
    let mut bytes = Vec::new();
    loop {
        let entries = cursor.read().await.expect("reads");
        if entries.is_empty() {
            return bytes;
        }
        for entry in entries {
            if let Entry::Data(Record { stream: Stream::Stdout, bytes: piece, .. }) = entry {
                bytes.extend_from_slice(&piece);
            }
        }
    }
}

/// The output by the live path, against which the other paths are compared.
async fn live_output(fake: &Fake) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("temporary folder");
    let spool = Spool::open(folder.path().to_owned()).await.expect("opens");
    let id = container(fake, PROGRAM).await;
    let attached = fake.attach(&id).await.expect("attaches");
    fake.start(&id).await.expect("starts");
    let capture = capture(fake, &id, &spool, u64::MAX).await;
    let attempt = capture.spool.clone();
    let end = capture.run(Some(attached)).await.expect("ends");
    assert!(end.is_complete(), "{end:?}");
    spooled(&attempt).await
}

#[tokio::test]
async fn a_capture_that_was_cut_goes_on_from_the_kept_log_without_a_byte_more_or_less() {
    let fake = Fake::new(4, 1 << 30);
    let whole = live_output(&fake).await;
    assert_eq!(whole.len(), 300_004);
    for cut in [0usize, 1, 1000, 299_999, whole.len()] {
        let folder = tempfile::tempdir().expect("temporary folder");
        let spool = Spool::open(folder.path().to_owned()).await.expect("opens");
        let id = ContainerId::parse("one").expect("a name");
        let capture = capture(&fake, &id, &spool, u64::MAX).await;
        let attempt = capture.spool.clone();
        for (index, piece) in whole[..cut].chunks(200_000).enumerate() {
            let bytes = Bytes::copy_from_slice(piece);
            let record =
                Record { stream: Stream::Stdout, offset: index as u64 * 200_000, time: WallTime(0), bytes };
            attempt.append(vec![Entry::Data(record)]).await.expect("appends");
        }
        let end = capture.run(None).await.expect("ends");
        assert!(spooled(&attempt).await == whole, "cut at {cut}");
        assert_eq!(end.offsets.stdout, whole.len() as u64);
        assert!(end.marks.iter().all(|mark| !matches!(mark, Mark::Gap { .. })), "{end:?}");
    }
}

#[tokio::test]
async fn a_kept_log_that_differs_from_what_was_captured_is_suspect() {
    let fake = Fake::new(4, 1 << 30);
    live_output(&fake).await;
    let folder = tempfile::tempdir().expect("temporary folder");
    let spool = Spool::open(folder.path().to_owned()).await.expect("opens");
    let capture = capture(&fake, &ContainerId::parse("one").expect("a name"), &spool, u64::MAX).await;
    let record = Record {
        stream: Stream::Stdout,
        offset: 0,
        time: WallTime(0),
        bytes: Bytes::from_static(b"something else"),
    };
    capture.spool.append(vec![Entry::Data(record)]).await.expect("appends");
    let end = capture.run(None).await.expect("ends");
    assert!(end.marks.iter().any(|mark| matches!(mark, Mark::Suspect { .. })), "{end:?}");
}

#[tokio::test]
async fn a_container_that_is_gone_leaves_a_gap_of_unknown_length_not_silence() {
    let fake = Fake::new(4, 1 << 30);
    let folder = tempfile::tempdir().expect("temporary folder");
    let spool = Spool::open(folder.path().to_owned()).await.expect("opens");
    let capture = capture(&fake, &ContainerId::parse("gone").expect("a name"), &spool, u64::MAX).await;
    let end = capture.run(None).await.expect("ends");
    assert!(end.marks.iter().any(|mark| matches!(mark, Mark::Gap { .. })), "{end:?}");
}

#[tokio::test]
async fn the_cap_is_kept_and_said() {
    let fake = Fake::new(4, 1 << 30);
    let folder = tempfile::tempdir().expect("temporary folder");
    let spool = Spool::open(folder.path().to_owned()).await.expect("opens");
    let id = container(&fake, PROGRAM).await;
    let attached = fake.attach(&id).await.expect("attaches");
    fake.start(&id).await.expect("starts");
    let end = capture(&fake, &id, &spool, 1000).await.run(Some(attached)).await.expect("ends");
    assert_eq!(end.offsets.total(), 1000);
    assert!(end.marks.iter().any(|mark| matches!(mark, Mark::Truncated { cap: 1000, .. })), "{end:?}");
}
