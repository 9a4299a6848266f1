//! I1 to I8: images.

use std::time::Duration;

use dockmgr_core::cluster::StopCause;
use dockmgr_core::outcome::EndReason;
use dockmgr_core::spec::PullPolicy;

use super::Rig;
use crate::runtime::docker::testing::{Effect, Fault};
use crate::runtime::{Call, PullProgress, Runtime as _};
use crate::testing::start;

/// A pull that answers success and then fails with these words, as the daemon does.
fn failing_pull(words: &str) -> Fault {
    let error = serde_json::json!({ "errorDetail": { "message": words }, "error": words });
    Fault::body(200, &format!("{{\"status\":\"Pulling\"}}\r\n{error}\r\n"))
}

#[tokio::test]
async fn i01_a_pull_without_a_byte_is_given_up_after_three_tries_and_others_go_on() {
    let rig = Rig::new().await;
    rig.daemon.always_for(Call::Pull, "fromImage=hanging", Fault::Hang(Effect::None));
    rig.daemon.always_for(Call::Pull, "fromImage=dripping", Fault::Drip(Duration::from_secs(4)));
    let hanging = rig.run_as(start(1, "hanging:1", "exit 3"));
    let dripping = rig.run_as(start(2, "dripping:1", "exit 3"));
    let fine = rig.run_as(start(3, "fine:1", "exit 4"));
    rig.expect_exit(fine, 4, "beside pulls that hang").await;
    assert_eq!((rig.end_of(hanging), rig.end_of(dripping)), (None, None));
    for attempt in [hanging, dripping] {
        let end = rig.ended(attempt).await;
        assert_eq!((end.reason, end.retryable), (EndReason::ImageFailed, true), "{end:?}");
        rig.settle_clean(attempt, "nothing was made").await;
    }
    assert_eq!(rig.daemon.count(Call::Pull), 3 + 3 + 1);
}

#[tokio::test]
async fn i02_a_registrys_refusal_has_its_class_and_only_what_may_pass_is_tried_again() {
    let rig = Rig::new().await;
    let rows = [
        ("manifest for a/b:1 not found: manifest unknown: manifest unknown", "not_found", false),
        (
            "pull access denied for a/b, repository does not exist or may require 'docker login'",
            "auth",
            false,
        ),
        ("unauthorized: authentication required", "auth", false),
        (
            "error parsing HTTP 403 response body: denied: requested access to the resource is denied",
            "auth",
            false,
        ),
        ("filesystem layer verification failed for digest sha256:11", "broken", false),
        ("toomanyrequests: You have reached your pull rate limit", "rate_limit", true),
        ("received unexpected HTTP status: 500 Internal Server Error", "network", true),
        ("Get \"https://r/v2/\": x509: certificate signed by unknown authority", "network", true),
        ("Get \"https://r/v2/\": net/http: TLS handshake timeout", "network", true),
    ];
    let begun: Vec<_> = (1..)
        .zip(rows)
        .map(|(job, (words, class, again))| {
            let image = format!("row{job}/x");
            rig.daemon.always_for(Call::Pull, &format!("fromImage={image}"), failing_pull(words));
            (rig.run_as(start(job, &format!("{image}:1"), "exit 3")), image, class, again)
        })
        .collect();
    for (attempt, image, class, again) in begun {
        let end = rig.ended(attempt).await;
        assert_eq!((end.reason, end.retryable), (EndReason::ImageFailed, again), "{class}: {end:?}");
        assert!(end.message.starts_with(&format!("{class}: ")), "{class}: {end:?}");
        let tries = rig.daemon.count_of(Call::Pull, &format!("fromImage={image}"));
        assert_eq!(tries, if again { 3 } else { 1 }, "{class}");
    }
}

#[tokio::test]
async fn i03_an_image_that_vanished_before_create_is_pulled_once_more() {
    let rig = Rig::new().await;
    rig.daemon.order(Call::Create, Fault::Status(Effect::None, 404, "No such image: image:1"));
    let attempt = rig.run(1, "exit 3");
    rig.expect_exit(attempt, 3, "vanished once").await;
    assert_eq!(rig.daemon.count(Call::Pull), 2);
    rig.daemon.always(Call::Create, Some(Fault::Status(Effect::None, 404, "No such image: image:1")));
    let attempt = rig.run(2, "exit 3");
    let end = rig.ended(attempt).await;
    assert_eq!(end.reason, EndReason::ImageFailed, "{end:?}");
    assert_eq!(rig.daemon.count(Call::Pull), 3, "once more, not for ever");
}

#[tokio::test]
async fn i04_a_later_attempt_uses_the_image_of_the_first_though_its_tag_has_moved() {
    let rig = Rig::new().await;
    let first = rig.run(1, "exit 3");
    let digest = rig.expect_exit(first, 3, "first").await.image_digest.expect("a digest");
    // Another node: the image is gone here, and its tag names another one.
    rig.settle(first).await;
    rig.daemon.fake.remove_image("image:1").await.expect("removes");
    let mut next = start(1, "image:1", "exit 3");
    next.attempt = "1.0.2".parse().expect("an id");
    next.pinned_digest = Some(digest.clone());
    let next = rig.run_as(next);
    let end = rig.expect_exit(next, 3, "second").await;
    assert_eq!(end.image_digest, Some(digest.clone()));
    assert_eq!(rig.daemon.count_of(Call::Pull, &format!("fromImage=image&tag={digest}")), 1);
}

#[tokio::test]
async fn i05_a_disk_that_is_full_during_a_pull_is_said_and_another_node_may_help() {
    let rig = Rig::new().await;
    rig.daemon.always(Call::Pull, Some(failing_pull("write /var/lib/docker/tmp/x: no space left on device")));
    let attempt = rig.run(1, "exit 3");
    let end = rig.ended(attempt).await;
    assert_eq!((end.reason, end.retryable), (EndReason::ImageFailed, true), "{end:?}");
    assert!(end.message.starts_with("disk: "), "{end:?}");
    assert_eq!(rig.daemon.count(Call::Pull), 1, "the same disk is as full a second later");
}

#[tokio::test]
async fn i06_a_pull_is_believed_only_when_the_image_is_there() {
    let rig = Rig::new().await;
    rig.daemon.order(Call::Pull, Fault::body(200, "{\"status\":\"Status: Downloaded newer image\"}\r\n"));
    let attempt = rig.run(1, "exit 3");
    let end = rig.ended(attempt).await;
    assert_eq!(end.reason, EndReason::ImageFailed, "{end:?}");
    assert!(end.message.contains("the image is not there"), "{end:?}");
    rig.daemon.order(Call::Pull, failing_pull("manifest unknown"));
    let attempt = rig.run(2, "exit 3");
    let end = rig.ended(attempt).await;
    assert_eq!(end.reason, EndReason::ImageFailed, "an error inside a success: {end:?}");
    let attempt = rig.run(3, "exit 3");
    rig.expect_exit(attempt, 3, "a good pull").await;
}

#[tokio::test]
async fn i07_fifty_attempts_of_one_image_pull_it_once_and_one_that_leaves_cancels_nothing() {
    let rig = Rig::new().await;
    rig.daemon.order(Call::Pull, Fault::Hang(Effect::None));
    let attempts: Vec<_> = (1..=50).map(|job| rig.run(job, "exit 3")).collect();
    crate::testing::wait_until("the pull", || (rig.daemon.count(Call::Pull) > 0).then_some(())).await;
    rig.attempts.stop(attempts[0], StopCause::Stop, None, None);
    let end = rig.ended(attempts[0]).await;
    assert_eq!(end.reason, EndReason::Stopped, "it does not wait for the pull: {end:?}");
    assert_eq!(rig.daemon.count(Call::Pull), 1);
    for attempt in &attempts[1..] {
        rig.expect_exit(*attempt, 3, "a waiter").await;
    }
    assert_eq!(rig.daemon.count(Call::Pull), 2, "the one that hung and the one that did not");
}

#[tokio::test]
async fn i08_an_image_that_cannot_run_here_fails_with_clear_words() {
    let rig = Rig::new().await;
    let progress = tokio::sync::watch::Sender::new(PullProgress::default());
    rig.daemon.fake.pull("image:1", None, &progress).await.expect("pulls");
    let rows = [
        (Call::Create, 400, "No command specified", 125),
        (Call::Create, 400, "invalid volume specification: '/': mount path must not be '/'", 125),
        (Call::Create, 400, "invalid mount target", 125),
        (Call::Start, 400, "unable to find user nobody-here: no matching entries in passwd file", 125),
        (Call::Start, 400, "OCI runtime create failed: exec: \"/x\": exec format error: unknown", 125),
    ];
    for (job, (call, status, words, code)) in (1..).zip(rows) {
        rig.daemon.order(call, Fault::Status(Effect::None, status, words));
        let attempt = rig.run(job, "exit 3");
        let end = rig.ended(attempt).await;
        assert_eq!((end.reason, end.exit_code), (EndReason::StartFailed, Some(code)), "{end:?}");
        assert!(end.message.contains(words) && !end.retryable, "{end:?}");
        rig.settle_clean(attempt, words).await;
    }
    let mut platform = start(20, "other:1", "exit 3");
    platform.spec.pull = PullPolicy::Always;
    rig.daemon
        .order(Call::Pull, failing_pull("no matching manifest for linux/amd64 in the manifest list entries"));
    let end = rig.ended(rig.run_as(platform)).await;
    assert!(end.reason == EndReason::ImageFailed && end.message.starts_with("platform: "), "{end:?}");
}
