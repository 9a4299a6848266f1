//! L2 and L5: what the daemon says of output is not always what the container wrote.

use bytes::Bytes;
use dockmgr_core::log::{End, Entry, Mark, Offsets, Record, Stream};

use super::Rig;
use crate::runtime::docker::testing::{Effect, Fault};
use crate::runtime::{Call, Runtime as _};

const UPGRADED: &[u8] = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
const LOGS: &[u8] = b"HTTP/1.0 200 OK\r\n\r\n";
const SCRIPT: &str = "echo one; sleep 0.3; echo two; fake:bytes 300000 7; sleep 0.2; echo -n end; exit 3";

fn frame(kind: u8, length: u32, payload: &[u8]) -> Vec<u8> {
    [&[kind, 0, 0, 0][..], &length.to_be_bytes(), payload].concat()
}

/// Answers that lie about what follows them.
fn lies(head: &[u8]) -> Vec<(&'static str, Fault)> {
    let raw = |tail: Vec<u8>| Fault::Raw(Bytes::from([head, &tail].concat()));
    vec![
        ("a frame of 4 GiB", raw(frame(1, u32::MAX, b"x"))),
        ("a frame of 17 MiB", raw(frame(1, 17 << 20, b"x"))),
        ("an unknown kind", raw(frame(9, 1, b"x"))),
        ("the daemon's own error", raw(frame(3, 5, b"oops!"))),
        ("cut inside a header", raw(vec![1, 0, 0])),
        ("cut inside a frame", raw(frame(1, 100, b"only this"))),
        ("no frames at all", raw(b"plain text of a terminal".to_vec())),
        ("an early end", raw(Vec::new())),
    ]
}

async fn stdout(rig: &Rig, attempt: dockmgr_core::ids::AttemptId) -> Vec<u8> {
    let spool = rig.attempts.context().spool.attempt(attempt).await.expect("a spool");
    let (mut cursor, mut bytes) = (spool.cursor(Offsets::default()), Vec::new());
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

/// What the script writes, by a run without faults.
async fn due(rig: &Rig) -> Vec<u8> {
    let attempt = rig.run(999, SCRIPT);
    let end = rig.expect_exit(attempt, 3, "without faults").await;
    assert!(end.log_end.as_ref().is_some_and(End::is_complete), "{end:?}");
    let bytes = stdout(rig, attempt).await;
    assert!(bytes.len() == 300_000 + 11, "{}", bytes.len());
    bytes
}

#[tokio::test]
async fn l02_live_output_that_lies_is_never_kept_and_the_kept_log_gives_what_was_written() {
    let rig = Rig::new().await;
    let due = due(&rig).await;
    for (job, (case, fault)) in (1..).zip(lies(UPGRADED)) {
        rig.daemon.order(Call::Attach, fault);
        let attempt = rig.run(job, SCRIPT);
        let end = rig.expect_exit(attempt, 3, case).await;
        let kept = stdout(&rig, attempt).await;
        // Bytes of a frame that is cut are the daemon's word until then: the kept log then differs, which is said.
        let honest = kept == due || end.log_end.as_ref().is_some_and(|log| !log.marks.is_empty());
        assert!(honest, "{case}: {} bytes, {:?}", kept.len(), end.log_end);
        if case != "cut inside a frame" && case != "a frame of 17 MiB" {
            assert!(kept == due, "{case}: {} bytes", kept.len());
        }
        rig.settle_clean(attempt, case).await;
    }
}

#[tokio::test]
async fn l02_a_kept_log_that_lies_is_read_again_at_its_offset_or_marked() {
    let rig = Rig::new().await;
    let due = due(&rig).await;
    let cut = [vec![("cut after 10,000 bytes", Fault::Cut(10_000))], lies(LOGS)].concat();
    for (job, (case, fault)) in (1..).zip(cut) {
        rig.daemon.order(Call::Attach, Fault::Raw(Bytes::from_static(UPGRADED)));
        rig.daemon.order(Call::RecoverLog, fault.clone());
        rig.daemon.order(Call::RecoverLog, fault);
        let attempt = rig.run(job, SCRIPT);
        let end = rig.expect_exit(attempt, 3, case).await;
        let kept = stdout(&rig, attempt).await;
        assert!(kept == due, "{case}: {} of {} bytes, {:?}", kept.len(), due.len(), end.log_end);
        rig.settle_clean(attempt, case).await;
    }
    // One that never makes sense is not resumable: what is missing is said.
    rig.daemon.order(Call::Attach, Fault::Raw(Bytes::from_static(UPGRADED)));
    rig.daemon
        .always(Call::RecoverLog, Some(Fault::Raw(Bytes::from([LOGS, &frame(1, u32::MAX, b"")].concat()))));
    let attempt = rig.run(100, SCRIPT);
    let end = rig.expect_exit(attempt, 3, "never").await;
    let marks = end.log_end.expect("an end").marks;
    assert!(marks.iter().any(|mark| matches!(mark, Mark::Gap { .. })), "{marks:?}");
}

#[tokio::test]
async fn l05_output_that_cannot_be_read_any_more_is_a_gap_and_the_result_is_kept() {
    let rig = Rig::new().await;
    let no_driver = "configured logging driver does not support reading";
    rig.daemon.order(Call::Attach, Fault::Raw(Bytes::from_static(UPGRADED)));
    rig.daemon.always(Call::RecoverLog, Some(Fault::Status(Effect::None, 500, no_driver)));
    let attempt = rig.run(1, SCRIPT);
    let end = rig.expect_exit(attempt, 3, "no driver").await;
    let marks = end.log_end.expect("an end").marks;
    let says = |mark: &Mark| matches!(mark, Mark::Gap { reason, .. } if reason.contains(no_driver));
    assert!(marks.iter().any(says), "{marks:?}");
    rig.settle_clean(attempt, "no driver").await;
    // The container goes while its kept log is still to be read.
    rig.daemon.mend();
    rig.daemon.order(Call::Attach, Fault::Raw(Bytes::from_static(UPGRADED)));
    rig.daemon.always(Call::RecoverLog, Some(Fault::Hang(Effect::None)));
    let attempt = rig.run(2, "echo out; sleep 1000");
    rig.running(attempt).await;
    rig.daemon.fake.remove(&Rig::container(attempt), true).await.expect("removes");
    let end = rig.expect_unknown(attempt, "removed unread").await;
    let marks = end.log_end.expect("an end").marks;
    assert!(marks.iter().any(|mark| matches!(mark, Mark::Gap { .. })), "{marks:?}");
}
