//! Images: policies, credentials, pinned digests, errors, clean-up.

use dockmgr_proto::v1::EndReason;
use dockmgr_tests::docker::{docker, try_docker};
use dockmgr_tests::registry::Registry;
use dockmgr_tests::{Cluster, Output, needs, wait_until};

async fn version(cluster: &Cluster, image: &str, policy: &str) -> Output {
    cluster.run(["--image", image, "--pull", policy, "cat /version"]).await
}

async fn is_here(image: &str) -> bool {
    try_docker(&["image", "inspect", image]).await.is_ok()
}

#[tokio::test]
async fn pull_policies_mean_what_they_say() {
    if !needs::docker() {
        return;
    }
    let mut registry = Registry::start(false).await;
    let image = registry.publish("policy", "v", "one").await;
    let cluster = Cluster::builder().docker().start().await;
    version(&cluster, &image, "never").await.expect_code(125).expect_error(&image);
    assert!(!is_here(&image).await, "never pulls nothing");
    assert_eq!(version(&cluster, &image, "missing").await.expect_code(0).text(), "one");
    // The tag moves at the registry, then goes back to what this daemon has.
    registry.publish_elsewhere("policy", "v", "two").await;
    assert_eq!(version(&cluster, &image, "missing").await.expect_code(0).text(), "one");
    assert_eq!(version(&cluster, &image, "always").await.expect_code(0).text(), "two");
    let attempt = cluster.job(4).await.task.expect("one task").attempts.pop().expect("one attempt");
    assert!(attempt.image_digest.starts_with("sha256:"), "{attempt:?}");
}

#[tokio::test]
async fn all_attempts_of_a_job_run_the_same_image_though_its_tag_moves() {
    if !needs::docker() {
        return;
    }
    let mut registry = Registry::start(false).await;
    let image = registry.publish("moving", "v", "one").await;
    let cluster = Cluster::builder().docker().start().await;
    let script =
        "cat /version; [ $DOCKMGR_ATTEMPT = 2 ] && exit 7; until [ -e /go ]; do sleep 0.1; done; exit 1";
    let job = cluster.submit(["--image", &image, "--pull", "always", "--retries", "1", script]).await;
    wait_until("the first attempt", dockmgr_tests::STEP_LIMIT, async || {
        let output = cluster.logs(job).await;
        if output.text() == "one" { Ok(()) } else { Err(output.describe()) }
    })
    .await;
    registry.publish_elsewhere("moving", "v", "two").await;
    let container = cluster.on_docker().await.containers.first().cloned().expect("it runs");
    docker(&["exec", &container, "touch", "/go"]).await;
    cluster.wait(job).await.expect_code(7);
    assert_eq!(cluster.logs(job).await.text(), "one", "the second attempt ran another image");
    let attempts = cluster.job(job).await.task.expect("one task").attempts;
    assert_eq!(attempts[0].image_digest, attempts[1].image_digest);
}

#[tokio::test]
async fn a_private_registry_is_opened_by_the_docker_configuration() {
    if !needs::docker() {
        return;
    }
    let mut registry = Registry::start(true).await;
    let image = registry.publish("private", "v", "secret").await;
    let good = registry.docker_config().display().to_string();
    let cluster = Cluster::builder().docker().worker_env("DOCKER_CONFIG", &good).start().await;
    assert_eq!(version(&cluster, &image, "missing").await.expect_code(0).text(), "secret");
    let log = std::fs::read_to_string(cluster.folder().join("worker-0.log")).expect("the worker logs");
    assert!(!log.contains("open sesame") && !log.contains("ZG9yYTpvcGVuIHNlc2FtZQ"), "a password was logged");
    drop(cluster);
    try_docker(&["rmi", "-f", &image]).await.expect("remove the image");
    let wrong = registry.wrong_docker_config().display().to_string();
    let cluster = Cluster::builder().docker().worker_env("DOCKER_CONFIG", &wrong).start().await;
    version(&cluster, &image, "missing").await.expect_code(125);
    let job = cluster.job(1).await;
    assert_eq!(job.end_reason(), EndReason::ImageFailed);
    assert!(job.message.starts_with("auth"), "{}", job.message);
}

#[tokio::test]
async fn an_image_that_does_not_exist_says_so_at_once() {
    if !needs::docker() {
        return;
    }
    let mut registry = Registry::start(false).await;
    let image = registry.publish("there", "v", "x").await;
    let cluster = Cluster::builder().docker().start().await;
    let missing = image.replace(":v", ":no-such-tag");
    version(&cluster, &missing, "missing").await.expect_code(125).expect_error("no-such-tag");
    let job = cluster.job(1).await;
    assert_eq!(job.end_reason(), EndReason::ImageFailed);
    assert!(job.message.starts_with("not_found"), "{}", job.message);
    assert_eq!(job.task.expect("one task").attempts.len(), 1, "what does not exist is not tried again");
}

#[tokio::test]
async fn many_tasks_share_one_pull() {
    if !needs::docker() {
        return;
    }
    let mut registry = Registry::start(false).await;
    let image = registry.publish("shared", "v", "same").await;
    let cluster = Cluster::builder().docker().cpus("8").start().await;
    let job = cluster.submit(["--image", &image, "--array", "0-7", "--cpus", "0.5", "cat /version"]).await;
    cluster.wait(job).await.expect_code(0);
    assert_eq!(cluster.logs(job).await.text().lines().filter(|line| line.ends_with("| same")).count(), 8);
    let pulls = registry.manifest_reads("shared");
    assert!(pulls <= 4, "eight tasks made {pulls} manifest reads");
}

#[tokio::test]
async fn unused_images_are_removed_over_the_budget_but_never_those_that_were_here_before() {
    if !needs::docker() {
        return;
    }
    let mut registry = Registry::start(false).await;
    let ours = registry.publish("ours", "v", "pulled by dockmgr").await;
    let kept = registry.publish("kept", "v", "kept on purpose").await;
    let theirs = registry.publish("theirs", "v", "pulled by a person before").await;
    docker(&["pull", "-q", &theirs]).await;
    let folder = tempfile::TempDir::new().expect("a folder");
    let config = folder.path().join("worker.toml");
    std::fs::write(&config, "[images]\nkeep_for = \"1s\"\nbudget = \"1MiB\"\n")
        .expect("write the worker's settings");
    let cluster =
        Cluster::builder().docker().worker_args(&["--config", &config.display().to_string()]).start().await;
    for (image, more) in [(&ours, "--pull=missing"), (&kept, "--keep-image"), (&theirs, "--pull=always")] {
        cluster.run(["--image", image, more, "cat /version"]).await.expect_code(0);
    }
    wait_until("the unused image to be removed", std::time::Duration::from_secs(150), async || {
        if is_here(&ours).await { Err("it is still here".to_owned()) } else { Ok(()) }
    })
    .await;
    assert!(is_here(&kept).await, "--keep-image was ignored");
    assert!(is_here(&theirs).await, "an image of somebody else was removed");
    try_docker(&["rmi", "-f", &kept, &theirs]).await.expect("remove what the test pulled");
}
