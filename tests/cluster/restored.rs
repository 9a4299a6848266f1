//! What others do to our etcd: an older snapshot restored, values that are not ours.

use dockmgr_proto::v1::TaskState;
use dockmgr_tests::process::Process;
use dockmgr_tests::{Cluster, STEP_LIMIT, needs, wait_until};

/// A job that writes a line a fifth of a second and exits with 9.
const COUNTING: &str = "for i in $(seq 1 60); do echo line $i; sleep 0.2; done; exit 9";

#[tokio::test]
async fn e09_an_etcd_that_went_back_is_refused_until_a_person_accepts_the_loss() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().own_etcd(1, &[]).start().await;
    let kept = cluster.submit(["--on-lost", "wait", COUNTING]).await;
    cluster.wait_state(kept, TaskState::Running).await;
    let snapshot = cluster.folder().join("snapshot");
    cluster.etcd().save(&snapshot).await;
    for _ in 0..5 {
        cluster.run(["exit 0"]).await.expect_code(0);
    }
    let newest = cluster.etcd().revision().await;
    let memory = cluster.coordinator_folder().join("etcd.json");
    wait_until("the coordinator to remember", STEP_LIMIT, async || {
        let text = std::fs::read_to_string(&memory).map_err(|error| error.to_string())?;
        let text: serde_json::Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if text["position"].as_u64() >= Some(newest) { Ok(()) } else { Err(text.to_string()) }
    })
    .await;

    cluster.etcd().restore(&snapshot).await;
    let ended = cluster.coordinator().wait(STEP_LIMIT).await;
    assert_eq!(ended.code(), Some(1), "a running coordinator stops");
    let mut refused = start(&cluster, &[]);
    assert_eq!(refused.wait(STEP_LIMIT).await.code(), Some(1), "and none starts");
    assert!(refused.log_tail(3).contains("--accept-data-loss"), "{}", refused.log_tail(3));
    drop(refused);

    let accepted = start(&cluster, &["--accept-data-loss"]);
    wait_until("the accepted state to be served", STEP_LIMIT, async || {
        cluster.try_client().await?.all_nodes().await.map_err(|error| error.to_string())
    })
    .await;
    // The worker believes the epochs that begin above all it has heard, and goes on with what it runs.
    cluster.wait(kept).await.expect_code(9);
    assert_eq!(cluster.job(kept).await.task.expect("one task").attempts.len(), 1);
    cluster.cli(["describe", &(kept + 1).to_string()]).run().await.expect_code(1);
    accepted.kill().await;
    cluster.start_coordinator().await;
    cluster.run(["exit 4"]).await.expect_code(4);
}

fn start(cluster: &Cluster, args: &[&str]) -> Process {
    let mut command = cluster.coordinator_command();
    Process::start("coordinator", command.args(args), &cluster.folder().join("again.log"))
}

#[tokio::test]
async fn e11_values_that_are_not_ours_cost_their_own_record_and_nothing_else() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().own_etcd(1, &[]).start().await;
    for code in [3, 4, 5] {
        cluster.run([format!("exit {code}")]).await.expect_code(code);
    }
    let keys = cluster.etcd().ctl(&["get", "--prefix", "dockmgr-test-", "--keys-only"]).await;
    let find = |part: &str| keys.lines().find(|key| key.contains(part)).expect("it is stored").to_owned();
    let (job, node) = (find("/data/jobs/0000000000000002"), find("/data/nodes/"));
    let prefix = job.split("/data/").next().expect("a prefix").to_owned();
    cluster.stop_coordinator().await;
    for (key, value) in [
        (job.as_str(), "garbage"),
        (&node, "\u{1}garbage"),
        (&format!("{prefix}/data/jobs/foreign"), "x"),
        (&format!("{prefix}/data/requests/foreign"), "x"),
        (&format!("{prefix}/data/else/where"), "x"),
        (&format!("{prefix}/other"), "x"),
    ] {
        cluster.etcd().ctl(&["put", key, value]).await;
    }
    cluster.start_coordinator().await;
    cluster.wait_ready().await;
    for (job, code) in [(1, 3), (3, 5)] {
        cluster.wait(job).await.expect_code(code);
    }
    cluster.cli(["describe", "2"]).run().await.expect_code(1).expect_error("2");
    cluster.expect_coordinator_log("jobs/0000000000000002").await;
    assert_eq!(cluster.submit(["exit 6"]).await, 4, "numbers go on");
    cluster.wait(4).await.expect_code(6);
    assert!(cluster.etcd().ctl(&["get", &job]).await.contains("garbage"), "it is left as it is");

    cluster.stop_coordinator().await;
    cluster.etcd().ctl(&["put", &find("/data/numbers/cluster"), "\u{1}garbage"]).await;
    let mut refused = start(&cluster, &[]);
    assert_eq!(
        refused.wait(STEP_LIMIT).await.code(),
        Some(1),
        "without its numbers it would give them out again"
    );
    assert!(refused.log_tail(3).contains("numbers/cluster"), "{}", refused.log_tail(3));
}
