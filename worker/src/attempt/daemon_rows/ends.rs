//! D9 to D11, D17, D18, D20: how an end is seen.

use std::time::Duration;

use dockmgr_core::cluster::{Progress, StopCause};
use dockmgr_core::log::Mark;
use dockmgr_core::outcome::EndReason;
use serde_json::{Value, json};

use super::Rig;
use crate::runtime::docker::testing::{Effect, Fault};
use crate::runtime::{Call, Runtime as _};
use crate::testing::wait_until;

#[tokio::test]
async fn d09_only_inspection_decides_whatever_wait_answers() {
    let rig = Rig::new().await;
    let faults = [
        Fault::body(200, r#"{"StatusCode":0}"#),
        Fault::body(200, r#"{"StatusCode":-1,"Error":{"Message":"lost"}}"#),
        Fault::body(200, r#"{"StatusCode":137}"#),
        Fault::body(200, ""),
        Fault::body(200, "garbage"),
        Fault::Status(Effect::None, 404, "No such container"),
        Fault::Status(Effect::None, 500, "something inside the daemon"),
        Fault::Drop(Effect::None),
        Fault::Hang(Effect::None),
    ];
    for (job, fault) in (1..).zip(faults) {
        let case = format!("{fault:?}");
        rig.daemon.always(Call::Wait, Some(fault));
        let attempt = rig.run(job, "echo out; sleep 0.4; exit 5");
        let end = rig.expect_exit(attempt, 5, &case).await;
        assert!(end.log_end.is_some_and(|log| log.is_complete() && log.offsets.stdout == 4), "{case}");
        rig.settle_clean(attempt, &case).await;
    }
    assert!(rig.daemon.count(Call::Wait) < 200, "a wait that answers at once must not be asked in a circle");
}

#[tokio::test]
async fn d10_a_container_removed_by_somebody_else_is_unknown_and_its_output_marked() {
    let rig = Rig::new().await;
    let attempt = rig.run(1, "echo out; sleep 1000");
    rig.running(attempt).await;
    rig.daemon.fake.remove(&Rig::container(attempt), true).await.expect("removes");
    let end = rig.expect_unknown(attempt, "while it ran").await;
    assert!(end.message.contains("removed by someone else"), "{end:?}");
    let marks = end.log_end.expect("an end").marks;
    assert!(marks.iter().any(|mark| matches!(mark, Mark::Gap { .. })), "{marks:?}");
    rig.settle(attempt).await;
    // After its end, before anybody looked: its code is gone with it.
    let attempt = rig.run(2, "sleep 0.5; exit 4");
    rig.running(attempt).await;
    rig.daemon.always(Call::Inspect, Some(Fault::Hang(Effect::None)));
    tokio::time::sleep(Duration::from_millis(700)).await;
    rig.daemon.fake.remove(&Rig::container(attempt), true).await.expect("removes");
    rig.daemon.mend();
    rig.expect_unknown(attempt, "after its end").await;
    // After its result was written it no longer matters.
    let attempt = rig.run(3, "exit 4");
    rig.expect_exit(attempt, 4, "removed after the result").await;
    rig.daemon.fake.remove(&Rig::container(attempt), true).await.expect("removes");
    rig.settle_clean(attempt, "removed after the result").await;
}

#[tokio::test]
async fn d11_a_paused_container_counts_as_running() {
    let rig = Rig::new().await;
    let attempt = rig.run(1, "sleep 0.6; exit 5");
    rig.running(attempt).await;
    rig.daemon.edit(Call::Inspect, |answer| {
        if answer["State"]["Status"] == "running" {
            answer["State"]["Status"] = json!("paused");
        }
    });
    rig.expect_exit(attempt, 5, "paused in between").await;
}

#[tokio::test]
async fn d11_a_container_that_somebody_started_again_is_ended_and_its_code_not_taken() {
    let rig = Rig::new().await;
    for (job, script) in [(1, "sleep 1000"), (2, "sleep 0.5; exit 0")] {
        let attempt = rig.run(job, script);
        rig.running(attempt).await;
        let id = Rig::container(attempt);
        rig.daemon.fake.signal(&id, "SIGKILL").await.expect("kills");
        // A start in the same millisecond would look the same.
        tokio::time::sleep(Duration::from_millis(5)).await;
        rig.daemon.fake.start(&id).await.expect("starts");
        // If the worker saw the first end it kept that; else it must not take the second one for it.
        let end = rig.ended(attempt).await;
        let first = end.reason == EndReason::Signaled && end.exit_code == Some(137);
        assert!(first || end.reason == EndReason::InfraUnknown, "{end:?}");
        rig.settle_clean(attempt, "the second run is ended and removed").await;
        assert_eq!(rig.daemon.count(Call::Start), usize::try_from(job).expect("small"), "none of it by us");
    }
}

#[tokio::test]
async fn d11_the_first_exit_is_kept_when_somebody_starts_the_container_later() {
    let rig = Rig::new().await;
    let attempt = rig.run(1, "sleep 0.2; exit 4");
    rig.expect_exit(attempt, 4, "the first run").await;
    rig.daemon.fake.start(&Rig::container(attempt)).await.expect("starts");
    let rig = rig.crash(async |_| ()).await;
    rig.expect_exit(attempt, 4, "after a restart of the worker").await;
    rig.settle_clean(attempt, "the second run is ended").await;
}

#[tokio::test]
async fn d17_a_container_that_does_not_die_is_called_stuck_until_it_does() {
    let rig = Rig::new().await;
    let attempt = rig.run(1, "trap '' TERM; sleep 1000");
    rig.running(attempt).await;
    // The daemon says yes, and nothing happens.
    rig.daemon.always(Call::Signal, Some(Fault::Status(Effect::None, 204, "")));
    rig.attempts.stop(attempt, StopCause::Kill, None, Some(Duration::ZERO));
    let stuck = || matches!(rig.progress(attempt)?, Progress::Stopping { stuck: true }).then_some(());
    wait_until("it is called stuck", stuck).await;
    assert_eq!(rig.end_of(attempt), None, "its place stays taken");
    rig.daemon.mend();
    let end = rig.ended(attempt).await;
    assert_eq!((end.reason, end.exit_code), (EndReason::Killed, Some(137)), "{end:?}");
    // A stop that hangs is sent again.
    let attempt = rig.run(2, "sleep 1000");
    rig.running(attempt).await;
    rig.daemon.order(Call::Signal, Fault::Hang(Effect::None));
    rig.attempts.stop(attempt, StopCause::Stop, None, Some(Duration::from_secs(5)));
    let end = rig.ended(attempt).await;
    assert_eq!(end.reason, EndReason::Stopped, "{end:?}");
}

#[tokio::test]
async fn d18_an_exit_that_nobody_tells_of_is_found_by_looking() {
    // The worker asks for no events at all; its one hint is `wait`, which here is deaf for ever.
    let rig = Rig::new().await;
    rig.daemon.always(Call::Wait, Some(Fault::Hang(Effect::None)));
    let attempt = rig.run(1, "sleep 0.3; exit 5");
    rig.expect_exit(attempt, 5, "deaf").await;
}

#[tokio::test]
async fn d20_odd_answers_of_inspect_are_unknown_and_never_success() {
    type Edit = fn(&mut Value);
    let rig = Rig::new().await;
    let codes: [Edit; 6] = [
        |answer| answer["State"]["ExitCode"] = json!(300),
        |answer| answer["State"]["ExitCode"] = json!(-1),
        |answer| answer["State"]["ExitCode"] = json!("0"),
        |answer| answer["State"]["ExitCode"] = Value::Null,
        |answer| answer["State"]["ExitCode"] = json!(0.5),
        |answer| drop(answer["State"].as_object_mut().and_then(|state| state.remove("ExitCode"))),
    ];
    for (job, edit) in (1..).zip(codes) {
        rig.daemon.edit(Call::Inspect, edit);
        let attempt = rig.run(job, "sleep 0.1; exit 0");
        rig.expect_unknown(attempt, &format!("code {job}")).await;
        rig.settle_clean(attempt, "an odd code").await;
    }
    // Nothing is decided by these, and nothing breaks; when they are over, the truth is found.
    let shapes: [Edit; 7] = [
        |answer| answer["State"]["Status"] = json!("vanished"),
        |answer| answer["State"]["Status"] = Value::Null,
        |answer| answer["State"] = Value::Null,
        |answer| *answer = json!([]),
        |answer| *answer = json!({ "Id": "../../x" }),
        |answer| {
            answer["Config"] = json!({ "Env": "x".repeat(9 << 20), "Labels": answer["Config"]["Labels"] });
        },
        |answer| *answer = json!("text"),
    ];
    for (job, edit) in (10..).zip(shapes) {
        let attempt = rig.run(job, "sleep 0.3; exit 3");
        rig.running(attempt).await;
        rig.daemon.edit(Call::Inspect, edit);
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(rig.end_of(attempt), None, "shape {job}");
        rig.daemon.mend();
        rig.expect_exit(attempt, 3, &format!("shape {job}")).await;
        rig.settle_clean(attempt, "an odd shape").await;
    }
}
