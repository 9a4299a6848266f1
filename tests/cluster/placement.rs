//! Where jobs go, in which order, and why they do not.

use dockmgr_proto::v1::{Job, TaskState};
use dockmgr_tests::Cluster;

fn node_of(job: &Job) -> String {
    job.task
        .as_ref()
        .and_then(|task| task.attempts.last())
        .map(|attempt| attempt.node_name.clone())
        .unwrap_or_default()
}

fn started(job: &Job) -> (i64, i32) {
    let time = job.start_time.as_ref().expect("it has started");
    (time.seconds, time.nanos)
}

#[tokio::test]
async fn a_constraint_chooses_the_node() {
    let cluster = Cluster::builder().workers(2).label("zone=a").label("zone=b").start().await;
    for (constraint, node) in [("zone=a", "worker-0"), ("zone=b", "worker-1"), ("zone!=a", "worker-1")] {
        let job = cluster.submit(["--constraint", constraint, "exit 0"]).await;
        cluster.wait(job).await.expect_code(0);
        assert_eq!(node_of(&cluster.job(job).await), node, "{constraint}");
    }
}

#[tokio::test]
async fn a_job_no_node_can_ever_run_is_refused_with_the_reason_of_each() {
    let cluster = Cluster::builder().workers(2).cpus("2").label("zone=a").label("zone=b").start().await;
    let refused = cluster.cli(["submit", "--cpus", "64", "exit 0"]).run().await.expect_code(3);
    refused.expect_error("worker-0").expect_error("worker-1").expect_error("cpu");
    cluster.run(["--constraint", "zone=c", "exit 0"]).await.expect_code(125).expect_error("zone");
    let dry = cluster.cli(["submit", "--dry-run", "--memory", "4t", "exit 0"]).run().await.expect_code(3);
    assert!(dry.text().contains("worker-0") && dry.text().contains("memory"), "{}", dry.describe());
    cluster.cli(["submit", "--dry-run", "exit 0"]).ok().await;
    assert_eq!(cluster.cli(["ps", "-a", "-q"]).ok().await.text(), "", "nothing was stored");
}

#[tokio::test]
async fn before_any_worker_a_job_waits_and_says_so() {
    let mut cluster = Cluster::builder().coordinator_only().await;
    let job = cluster.submit(["exit 6"]).await;
    let page = cluster.cli(["describe", &job.to_string()]).ok().await;
    assert!(page.text().contains("worker"), "{}", page.describe());
    cluster.start_worker(0).await;
    cluster.wait(job).await.expect_code(6);
}

#[tokio::test]
async fn a_larger_priority_runs_earlier_and_equal_ones_by_age() {
    let cluster = Cluster::builder().cpus("1").start().await;
    let blocker = cluster.submit(["sleep 3"]).await;
    cluster.wait_state(blocker, TaskState::Running).await;
    let low = cluster.submit(["--priority", "-5", "exit 0"]).await;
    let first = cluster.submit(["exit 0"]).await;
    let second = cluster.submit(["exit 0"]).await;
    let high = cluster.submit(["--priority", "5", "exit 0"]).await;
    assert_eq!(cluster.job(high).await.queue_position, 1);
    assert_eq!(cluster.job(low).await.queue_position, 4);
    let mut order = Vec::new();
    for job in [high, first, second, low] {
        cluster.wait(job).await.expect_code(0);
        order.push(started(&cluster.job(job).await));
    }
    assert!(order.is_sorted(), "{order:?}");
}

#[tokio::test]
async fn a_waiting_job_says_what_each_node_lacks() {
    let cluster = Cluster::builder().workers(2).cpus("1").start().await;
    for _ in 0..2 {
        let job = cluster.submit(["sleep 600"]).await;
        cluster.wait_state(job, TaskState::Running).await;
    }
    let waiting = cluster.submit(["exit 0"]).await;
    let page = cluster.cli(["describe", &waiting.to_string()]).ok().await.text();
    for words in ["worker-0", "worker-1", "cpu"] {
        assert!(page.contains(words), "'{words}' is missing:\n{page}");
    }
}

#[tokio::test]
async fn nothing_is_placed_beyond_what_a_node_has() {
    let cluster = Cluster::builder().cpus("2").memory("2GiB").start().await;
    let job = cluster.submit(["--array", "0-9", "--cpus", "0.5", "--memory", "1g", "sleep 0.3"]).await;
    dockmgr_tests::wait_until("the array to end", dockmgr_tests::STEP_LIMIT, async || {
        let nodes = cluster.client().await.all_nodes().await.expect("an answer");
        let used = nodes[0].used.as_ref().map_or(0, |used| used.memory_bytes);
        assert!(used <= 2 << 30, "{used} bytes are promised of 2 GiB");
        let counts = cluster.job(job).await.tasks.expect("counts");
        if counts.succeeded == 10 { Ok(()) } else { Err(format!("{counts:?}")) }
    })
    .await;
}
