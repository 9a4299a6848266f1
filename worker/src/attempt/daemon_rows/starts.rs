//! D3 to D8: creating and starting.

use std::time::Duration;

use dockmgr_core::agent::container_name;
use dockmgr_core::outcome::EndReason;
use dockmgr_core::spec::OnLost;

use super::Rig;
use super::rig::IDENTITY;
use crate::runtime::docker::testing::{Effect, Fault};
use crate::runtime::{Call, ContainerSpec, PullProgress, Runtime as _};
use crate::testing::start;

const LATE: Effect = Effect::After(Duration::from_millis(700));
const INTERNAL: &str = "something inside the daemon";

#[tokio::test]
async fn d03_a_create_whose_reply_is_lost_makes_one_container() {
    let rig = Rig::new().await;
    let faults = [
        Fault::Drop(Effect::None),
        Fault::Drop(Effect::Before),
        Fault::Drop(LATE),
        Fault::Hang(Effect::None),
        Fault::Hang(Effect::Before),
        Fault::Status(Effect::Before, 500, INTERNAL),
        Fault::Status(Effect::None, 500, INTERNAL),
    ];
    for (job, fault) in (1..).zip(faults) {
        let case = format!("{fault:?}");
        rig.daemon.order(Call::Create, fault);
        let attempt = rig.run(job, "exit 3");
        rig.expect_exit(attempt, 3, &case).await;
        assert_eq!(rig.runs(attempt), Some(1), "{case}");
        rig.settle_clean(attempt, &case).await;
    }
}

#[tokio::test]
async fn d04_a_strangers_container_of_our_name_is_never_touched() {
    let rig = Rig::new().await;
    let progress = tokio::sync::watch::Sender::new(PullProgress::default());
    rig.daemon.fake.pull("image:1", None, &progress).await.expect("pulls");
    for (job, labelled) in [(1, false), (2, true)] {
        let start = start(job, "image:1", "exit 3");
        let name = container_name(IDENTITY.cluster, start.attempt);
        let mut spec = ContainerSpec::new(name, "image:1", vec!["sleep".into(), "1000".into()]);
        if labelled {
            // Everything of ours but the node.
            spec.labels = IDENTITY.labels_of(start.attempt);
            spec.labels.insert("dockmgr.node".into(), "another".into());
        }
        let stranger = rig.daemon.fake.create(&spec).await.expect("creates");
        rig.daemon.fake.start(&stranger).await.expect("starts");
        let attempt = rig.run_as(start);
        let end = rig.ended(attempt).await;
        assert_eq!(end.reason, EndReason::StartFailed, "{end:?}");
        assert!(end.message.contains("name conflict"), "{end:?}");
        rig.settle(attempt).await;
        let state = rig.daemon.fake.inspect(stranger.as_str()).await.expect("answers").expect("is there");
        assert!(state.status.may_run() && rig.daemon.fake.runs(stranger.as_str()) == Some(1));
    }
    assert_eq!((rig.daemon.count(Call::Signal), rig.daemon.count(Call::Remove)), (0, 0));
}

#[tokio::test]
async fn d05_a_conflict_with_nobody_ends_after_few_tries_and_another_attempt_may_help() {
    let rig = Rig::new().await;
    let conflict = "Conflict. The container name is already in use by container \"x\"";
    rig.daemon.always(Call::Create, Some(Fault::Status(Effect::None, 409, conflict)));
    let attempt = rig.run(1, "exit 3");
    let end = rig.ended(attempt).await;
    assert_eq!((end.reason, end.retryable), (EndReason::StartFailed, true), "{end:?}");
    assert!((3..=5).contains(&rig.daemon.count(Call::Create)), "{}", rig.daemon.count(Call::Create));
    // The next attempt has another name.
    rig.daemon.mend();
    let mut next = start(1, "image:1", "exit 3");
    next.attempt = "1.0.2".parse().expect("an id");
    let next = rig.run_as(next);
    rig.expect_exit(next, 3, "the next attempt").await;
}

#[tokio::test]
async fn d06_a_start_whose_reply_is_lost_is_never_sent_twice() {
    let rig = Rig::new().await;
    let mut job = 0;
    for effect in [Effect::None, Effect::Before, LATE] {
        for fault in [Fault::Drop(effect), Fault::Hang(effect), Fault::Status(effect, 500, INTERNAL)] {
            for script in ["exit 3", "sleep 1; exit 3"] {
                job += 1;
                let case = format!("{fault:?} {script}");
                let before = rig.daemon.count(Call::Start);
                rig.daemon.order(Call::Start, fault.clone());
                let attempt = rig.run(job, script);
                let end = rig.ended(attempt).await;
                assert_eq!(rig.daemon.count(Call::Start), before + 1, "{case}");
                assert!(rig.runs(attempt).unwrap_or(0) <= 1, "{case}: ran twice");
                match end.reason {
                    EndReason::Exited => assert_eq!(end.exit_code, Some(3), "{case}"),
                    EndReason::InfraUnknown => {
                        assert!(end.retryable && effect != Effect::Before, "{case}: {end:?}");
                    }
                    other => panic!("{case}: {other}"),
                }
                rig.settle_clean(attempt, &case).await;
            }
        }
    }
}

#[tokio::test]
async fn d06_a_worker_that_died_at_its_start_never_starts_again() {
    for effect in [Effect::None, Effect::Before] {
        for policy in [OnLost::Retry, OnLost::Wait] {
            let rig = Rig::new().await;
            let mut start = start(1, "image:1", "sleep 0.5; exit 3");
            start.spec.on_lost = policy;
            rig.daemon.order(Call::Start, Fault::Hang(effect));
            let attempt = rig.run_as(start);
            crate::testing::wait_until("the start is sent", || {
                (rig.daemon.count(Call::Start) > 0).then_some(())
            })
            .await;
            let rig = rig.crash(async |_| ()).await;
            let end = rig.ended(attempt).await;
            assert_eq!(rig.daemon.count(Call::Start), 1);
            let expected = if effect == Effect::None { EndReason::InfraUnknown } else { EndReason::Exited };
            assert_eq!(end.reason, expected, "{effect:?} {end:?}");
            rig.settle_clean(attempt, "after the crash").await;
        }
    }
}

#[tokio::test]
async fn d07_a_refused_start_keeps_its_words_and_leaves_nothing() {
    let rig = Rig::new().await;
    let long: &'static str = Box::leak(format!("OCI runtime create failed: {}", "x".repeat(20_000)).into());
    let rows = [
        (400, "OCI runtime create failed: exec: \"x\": executable file not found in $PATH: unknown", 127),
        (400, "OCI runtime create failed: exec: \"/etc\": permission denied: unknown", 126),
        (500, "OCI runtime create failed: container_linux.go:380: starting container process caused", 125),
        (500, "driver failed programming external connectivity: network port is already allocated", 125),
        (400, long, 125),
    ];
    for (job, (status, words, code)) in (1..).zip(rows) {
        rig.daemon.order(Call::Start, Fault::Status(Effect::None, status, words));
        let attempt = rig.run(job, "exit 3");
        let end = rig.ended(attempt).await;
        assert_eq!((end.reason, end.exit_code), (EndReason::StartFailed, Some(code)), "{end:?}");
        assert!(!end.retryable && end.message.len() <= 4096, "{end:?}");
        assert!(end.message.contains(&words[..40]), "{end:?}");
        rig.settle_clean(attempt, words.get(..60).unwrap_or(words)).await;
    }
}

#[tokio::test]
async fn d08_a_start_that_says_already_started_is_one() {
    let rig = Rig::new().await;
    rig.daemon.order(Call::Start, Fault::Status(Effect::Before, 304, ""));
    let attempt = rig.run(1, "exit 3");
    rig.expect_exit(attempt, 3, "304").await;
    assert_eq!(rig.runs(attempt), Some(1));
    // The same answer without anything started: inspection tells, and no second start is sent.
    rig.daemon.order(Call::Start, Fault::Status(Effect::None, 304, ""));
    let attempt = rig.run(2, "exit 3");
    rig.expect_unknown(attempt, "304 without effect").await;
    assert_eq!(rig.daemon.count(Call::Start), 2);
}
