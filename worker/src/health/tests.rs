//! What a node says of itself as its daemon, disks and clock change.

use super::*;
use crate::runtime::fake::Fake;

const BOOT: u64 = 1_000_000_000_000;

#[tokio::test]
async fn a_full_disk_is_a_reason_and_is_gone_when_there_is_room_again() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (health, runtime) = (Health::default(), AnyRuntime::Fake(Fake::new(1, 1 << 30)));
    let never = Watermark { percent: 100, enough: u64::MAX };
    health.probe(&runtime, folder.path(), never).await;
    let reasons = health.status().not_ready;
    assert!(reasons.iter().all(|reason| reason.starts_with("disk low: ")), "{reasons:?}");
    assert_eq!(reasons.len(), 2, "the data folder and the daemon's: {reasons:?}");
    health.probe(&runtime, folder.path(), Watermark { percent: 0, enough: 0 }).await;
    assert_eq!(health.status().not_ready, Vec::<String>::new());
}

#[tokio::test]
async fn a_run_between_two_probes_of_a_low_disk_knows_of_it() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (health, runtime) = (Health::default(), AnyRuntime::Fake(Fake::new(1, 1 << 30)));
    health.probe(&runtime, folder.path(), Watermark { percent: 100, enough: u64::MAX }).await;
    let before = health.low_disk_count();
    assert!(health.low_disk_count() > before, "each look finds it low");
    health.probe(&runtime, folder.path(), Watermark { percent: 0, enough: 0 }).await;
    let before = health.low_disk_count();
    assert_eq!(health.low_disk_count(), before);
}

#[test]
fn c2_a_clock_of_another_rate_makes_the_node_not_ready_until_it_runs_true() {
    let health = Health::default();
    health.session_began();
    let beat = |sequence: u64, own_seconds: u64, leader_seconds: u64| {
        health.beat_sent(sequence, BootTime(BOOT + own_seconds * 1_000_000_000));
        health.beat_answered(sequence, Duration::from_secs(leader_seconds));
    };
    for step in 0..40 {
        beat(step, step * 2, step * 3);
    }
    let reasons = health.status().not_ready;
    assert!(reasons.len() == 1 && reasons[0].starts_with("clock: it runs 50 % slower"), "{reasons:?}");
    for step in 40..90 {
        beat(step, step * 2, 120 + (step - 40) * 2);
    }
    assert_eq!(health.status().not_ready, Vec::<String>::new());
    health.session_began();
    health.beat_answered(7, Duration::from_secs(1));
    assert_eq!(health.status().not_ready, Vec::<String>::new(), "an answer to nothing says nothing");
}

#[test]
fn troubles_of_attempts_are_named_until_they_are_over() {
    let health = Health::default();
    let attempt: AttemptId = "7.0.1".parse().expect("an id");
    health.trouble(attempt, Some("inspect hangs".to_owned()));
    assert_eq!(health.status().warnings, ["attempt 7.0.1: inspect hangs"]);
    health.trouble(attempt, None);
    assert!(health.status().warnings.is_empty());
}
