//! What is tried again, how often and when; what a limit ends.

use std::time::Duration;

use dockmgr_proto::v1::{Attempt, EndReason};
use dockmgr_tests::Cluster;

fn gap(earlier: &Attempt, later: &Attempt) -> Duration {
    let end = earlier.end_time.expect("it has ended");
    let placed = later.place_time.expect("it was placed");
    let millis = (placed.seconds - end.seconds) * 1000 + i64::from(placed.nanos - end.nanos) / 1_000_000;
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[tokio::test]
async fn a_failing_command_is_tried_again_as_often_as_asked_with_growing_delays() {
    let cluster = Cluster::fake().await;
    let output =
        cluster.run(["--retries", "2", "echo attempt $DOCKMGR_ATTEMPT; exit 3"]).await.expect_code(3);
    assert_eq!(output.stdout, b"attempt 1\nattempt 2\nattempt 3\n");
    output.expect_error("attempt 1.0.2 begins").expect_error("attempt 1.0.3 begins");
    let task = cluster.job(1).await.task.expect("one task");
    let numbers: Vec<u32> = task.attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    let (first, second) =
        (gap(&task.attempts[0], &task.attempts[1]), gap(&task.attempts[1], &task.attempts[2]));
    // 1 s and 2 s, give or take a quarter and the time of a report.
    assert!(first >= Duration::from_millis(700), "{first:?}");
    assert!(second >= Duration::from_millis(1400), "{second:?}");
    let one = cluster.cli(["logs", "--attempt", "2", "1"]).ok().await;
    assert_eq!(one.stdout, b"attempt 2\n");
    assert_eq!(cluster.cli(["logs", "1"]).ok().await.stdout, b"attempt 3\n");
}

#[tokio::test]
async fn a_command_that_succeeds_is_not_tried_again() {
    let cluster = Cluster::fake().await;
    cluster.run(["--retries", "5", "exit 0"]).await.expect_code(0);
    assert_eq!(cluster.job(1).await.task.expect("one task").attempts.len(), 1);
}

#[tokio::test]
async fn a_stopped_job_is_not_tried_again() {
    let cluster = Cluster::fake().await;
    let job = cluster.submit(["--retries", "5", "sleep 600"]).await;
    cluster.wait_state(job, dockmgr_proto::v1::TaskState::Running).await;
    cluster.cli(["stop", &job.to_string()]).ok().await;
    cluster.wait(job).await.expect_code(143);
    assert_eq!(cluster.job(job).await.task.expect("one task").attempts.len(), 1);
}

#[tokio::test]
async fn memory_and_signals_are_told_apart() {
    let cluster = Cluster::fake().await;
    cluster.run(["fake:oom"]).await.expect_code(137);
    assert_eq!(cluster.job(1).await.end_reason(), EndReason::Oom);
    cluster.run(["fake:crash; true"]).await.expect_code(139);
    assert_eq!(cluster.job(2).await.end_reason(), EndReason::Signaled);
}

#[tokio::test]
async fn a_run_timeout_ends_the_job_with_124() {
    let cluster = Cluster::fake().await;
    cluster
        .run(["--timeout", "1s", "--grace", "1s", "sleep 600"])
        .await
        .expect_code(124)
        .expect_error("--timeout");
    assert_eq!(cluster.job(1).await.end_reason(), EndReason::Timeout);
}

#[tokio::test]
async fn a_queue_timeout_ends_a_job_that_finds_no_place_with_124() {
    let cluster = Cluster::builder().cpus("2").start().await;
    let output = cluster.run(["--queue-timeout", "1s", "--cpus", "64", "exit 0"]).await.expect_code(124);
    output.expect_error("queue");
    let job = cluster.job(1).await;
    assert_eq!(job.end_reason(), EndReason::Timeout);
    assert!(job.task.expect("one task").attempts.is_empty());
}
