//! D2, D16, D19: single containers that cannot be looked at, removed or told apart.

use std::time::Duration;

use serde_json::{Value, json};

use super::Rig;
use super::rig::IDENTITY;
use crate::runtime::docker::testing::{Effect, Fault};
use crate::runtime::{Call, ContainerSpec, PullProgress, Runtime as _};
use crate::sweep::sweep;

#[tokio::test]
async fn d02_one_container_that_cannot_be_inspected_holds_up_no_other() {
    let rig = Rig::new().await;
    let (stuck, fine) = (rig.run(1, "sleep 0.2; exit 3"), rig.run(2, "sleep 0.5; exit 4"));
    rig.running(stuck).await;
    rig.running(fine).await;
    let state = rig.daemon.fake.inspect(Rig::container(stuck).as_str()).await.expect("answers");
    let id = state.expect("is there").id;
    rig.daemon.always_for(Call::Inspect, id.as_str(), Fault::Hang(Effect::None));
    rig.expect_exit(fine, 4, "beside a stuck one").await;
    let later = rig.run(3, "exit 5");
    rig.expect_exit(later, 5, "begun beside a stuck one").await;
    rig.warned("attempt 1.0.1: the container daemon did not answer inspect").await;
    rig.probe().await;
    assert!(rig.health.status().not_ready.is_empty(), "one container makes no node not ready");
    assert_eq!(rig.end_of(stuck), None);
    rig.daemon.mend();
    rig.expect_exit(stuck, 3, "when it can be inspected again").await;
    crate::testing::wait_until("the warning goes", || rig.health.status().warnings.is_empty().then_some(()))
        .await;
}

#[tokio::test]
async fn d16_a_removal_that_fails_is_repeated_told_and_leaves_nothing() {
    let rig = Rig::new().await;
    let faults = [
        Fault::Status(Effect::None, 409, "removal of container x is already in progress"),
        Fault::Status(Effect::None, 500, "driver \"overlay2\" failed to remove: device or resource busy"),
        Fault::Status(Effect::None, 204, ""),
        Fault::Status(Effect::Before, 500, "something inside the daemon"),
        Fault::Hang(Effect::None),
        Fault::Hang(Effect::Before),
        Fault::Drop(Effect::Before),
    ];
    for (job, fault) in (1..).zip(faults) {
        let case = format!("{fault:?}");
        let attempt = rig.run(job, "exit 3");
        rig.expect_exit(attempt, 3, &case).await;
        rig.daemon.order(Call::Remove, fault.clone());
        rig.daemon.order(Call::Remove, fault);
        rig.settle_clean(attempt, &case).await;
        rig.daemon.mend();
    }
    // One that goes on failing is a warning of the node.
    let busy = Fault::Status(Effect::None, 500, "device or resource busy");
    rig.daemon.always(Call::Remove, Some(busy));
    let attempt = rig.run(20, "exit 3");
    let end = rig.expect_exit(attempt, 3, "busy").await;
    assert!(end.log_end.is_some());
    for report in rig.attempts.context().outbox.all() {
        rig.attempts.acknowledge(attempt, report.sequence);
    }
    rig.attempts.log_end_durable(attempt);
    rig.warned("device or resource busy").await;
    rig.daemon.mend();
    rig.settle_clean(attempt, "mended").await;
    assert!(rig.health.status().warnings.is_empty());
}

#[tokio::test]
async fn d19_the_sweep_believes_no_list_and_removes_only_what_inspection_calls_ours() {
    let rig = Rig::new().await;
    let attempt = rig.run(1, "sleep 1000");
    rig.running(attempt).await;
    let progress = tokio::sync::watch::Sender::new(PullProgress::default());
    rig.daemon.fake.pull("image:1", None, &progress).await.expect("pulls");
    let make = async |name: &str, labels| {
        let mut spec = ContainerSpec::new(name, "image:1", vec!["sleep".into(), "1000".into()]);
        spec.labels = labels;
        let id = rig.daemon.fake.create(&spec).await.expect("creates");
        rig.daemon.fake.start(&id).await.expect("starts");
        id
    };
    let stranger = make("stranger", std::collections::BTreeMap::new()).await;
    let left = "9.0.1".parse().expect("an id");
    let stray = make("stray", IDENTITY.labels_of(left)).await;
    let driven = rig
        .daemon
        .fake
        .inspect(Rig::container(attempt).as_str())
        .await
        .expect("answers")
        .expect("is there")
        .id;
    let ours = serde_json::to_value(IDENTITY.labels_of(left)).expect("texts");
    let (foreign, own) = (stranger.to_string(), driven.to_string());
    rig.daemon.edit(Call::List, move |answer| {
        let Some(rows) = answer.as_array_mut() else { return };
        // Stale and false rows, each twice, and ten thousand containers of others.
        let row = |id: &str, labels: &Value| json!({ "Id": id, "Names": ["/x"], "Labels": labels, "State": "running" });
        for _ in 0..2 {
            rows.extend([&foreign, &own].map(|id| row(id, &ours)));
            rows.push(row(&"f".repeat(64), &ours));
        }
        rows.extend((0..10_000).map(|n| row(&format!("{n:064x}"), &json!({ "a": "b" }))));
    });
    sweep(&rig.attempts).await.expect("sweeps");
    let lives = async |id: &crate::runtime::ContainerId| {
        rig.daemon
            .fake
            .inspect(id.as_str())
            .await
            .expect("answers")
            .is_some_and(|state| state.status.may_run())
    };
    assert!(lives(&stranger).await, "a list that lies costs nobody anything");
    assert!(lives(&driven).await, "what an attempt drives is not swept");
    assert!(!lives(&stray).await, "what is ours and nobody's goes");
    // A list that forgets everything ends nothing.
    rig.daemon.edit(Call::List, |answer| *answer = json!([]));
    sweep(&rig.attempts).await.expect("sweeps");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(lives(&driven).await && rig.end_of(attempt).is_none());
}
