//! Limits of real containers: memory, time, processes.

use std::time::{Duration, Instant};

use dockmgr_proto::v1::EndReason;
use dockmgr_tests::Store;

use crate::docker_cluster;

#[tokio::test]
async fn too_much_memory_ends_with_137_and_says_oom() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let output = cluster.run(["--memory", "32m", "--", "tail", "/dev/zero"]).await.expect_code(137);
    let job = cluster.job(1).await;
    assert_eq!(job.end_reason(), EndReason::Oom, "{}", output.describe());
    let attempt = job.task.expect("one task").attempts.pop().expect("one attempt");
    assert!(attempt.oom_seen, "{attempt:?}");
}

#[tokio::test]
async fn a_run_timeout_stops_the_container_and_gives_124() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let begun = Instant::now();
    let output =
        cluster.run(["--timeout", "2s", "--grace", "1s", "echo ready; sleep 600"]).await.expect_code(124);
    assert_eq!(output.stdout, b"ready\n");
    output.expect_error("--timeout");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(cluster.job(1).await.end_reason(), EndReason::Timeout);
    cluster.expect_clean().await;
}

#[tokio::test]
async fn a_cpu_share_and_a_process_limit_are_real() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let read = "cat /sys/fs/cgroup/cpu.max 2>/dev/null || echo $(cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us) $(cat /sys/fs/cgroup/cpu/cpu.cfs_period_us); \
                cat /sys/fs/cgroup/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids/pids.max; \
                cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes";
    let output = cluster.run(["--cpus", "0.25", "--memory", "64m", read]).await.expect_code(0);
    assert_eq!(output.text(), "25000 100000\n4096\n67108864");
}

#[tokio::test]
async fn usage_of_a_longer_attempt_is_recorded() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    cluster.run(["end=$((SECONDS+4)); while [ $SECONDS -lt $end ]; do :; done"]).await.expect_code(0);
    let attempt = cluster.job(1).await.task.expect("one task").attempts.pop().expect("one attempt");
    let usage = attempt.usage.expect("four seconds are enough for a sample");
    assert!(usage.cpu_seconds > 0.05 && usage.cpu_seconds < 8.0, "{usage:?}");
    assert!(usage.peak_memory_bytes > 100_000, "{usage:?}");
    let run = attempt.run_duration.expect("an ended attempt has it");
    assert!((3..30).contains(&run.seconds), "{run:?}");
}

#[tokio::test]
async fn a_failing_command_is_retried_in_a_new_container() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let script =
        "test -e /mark && echo dirty; touch /mark; echo attempt $DOCKMGR_ATTEMPT; [ $DOCKMGR_ATTEMPT = 2 ]";
    let output = cluster.run(["--retries", "3", script]).await.expect_code(0);
    assert_eq!(output.stdout, b"attempt 1\nattempt 2\n");
    cluster.expect_clean().await;
}
