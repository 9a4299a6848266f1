//! Stop, grace, kill and Ctrl-C on real containers.

use std::time::{Duration, Instant};

use dockmgr_proto::v1::{EndReason, TaskState};
use dockmgr_tests::{Cluster, STEP_LIMIT, Store};
use rustix::process::Signal;

use crate::docker_cluster;

/// Submits a script and waits until it has printed `ready`.
async fn ready(cluster: &Cluster, args: &[&str]) -> u64 {
    let job = cluster.submit(args).await;
    cluster.wait_state(job, TaskState::Running).await;
    dockmgr_tests::wait_until("the script to be ready", STEP_LIMIT, async || {
        let output = cluster.logs(job).await;
        if output.text().contains("ready") { Ok(()) } else { Err(output.describe()) }
    })
    .await;
    job
}

async fn stop_gives_143_kill_137_and_nothing_outlives_its_grace(store: Store) {
    let Some(cluster) = docker_cluster(store).await else { return };
    let job = ready(&cluster, &["echo ready; sleep 600"]).await;
    let asked = Instant::now();
    cluster.cli(["stop", &job.to_string()]).ok().await;
    cluster.wait(job).await.expect_code(143);
    assert!(
        asked.elapsed() < Duration::from_secs(8),
        "an obedient script ends at once: {:?}",
        asked.elapsed()
    );
    assert_eq!(cluster.job(job).await.end_reason(), EndReason::Stopped);

    let job = ready(&cluster, &["echo ready; sleep 600"]).await;
    cluster.cli(["kill", &job.to_string()]).ok().await;
    cluster.wait(job).await.expect_code(137);
    assert_eq!(cluster.job(job).await.end_reason(), EndReason::Killed);

    let job =
        ready(&cluster, &["--grace", "3s", "trap '' TERM; echo ready; while :; do sleep 0.1; done"]).await;
    let asked = Instant::now();
    cluster.cli(["stop", &job.to_string()]).ok().await;
    cluster.wait(job).await.expect_code(137);
    let took = asked.elapsed();
    assert!(took >= Duration::from_secs(3), "the grace was not given: {took:?}");
    assert!(took < Duration::from_secs(5), "dead within the grace and 2 s: {took:?}");
    assert_eq!(cluster.job(job).await.end_reason(), EndReason::Stopped);
    cluster.expect_clean().await;
}

#[tokio::test]
async fn stop_gives_143_kill_137_and_nothing_outlives_its_grace_on_redb() {
    stop_gives_143_kill_137_and_nothing_outlives_its_grace(Store::Redb).await;
}

#[tokio::test]
async fn stop_gives_143_kill_137_and_nothing_outlives_its_grace_on_etcd() {
    stop_gives_143_kill_137_and_nothing_outlives_its_grace(Store::Etcd).await;
}

#[tokio::test]
async fn a_child_that_needs_a_second_to_end_gets_it_in_shell_form() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let child = "bash -c 'trap \"sleep 1; echo child saved >&2; exit 0\" TERM; echo ready; while :; do sleep 0.1; done'";
    for script in [format!("{child}; echo after"), format!("{child} | cat"), child.to_owned()] {
        let job = ready(&cluster, &[&script]).await;
        cluster.cli(["stop", &job.to_string()]).ok().await;
        cluster.wait(job).await;
        let output = cluster.logs(job).await;
        // A pipe's other end hears the signal too, so the child speaks past it.
        assert!(output.errors().contains("child saved"), "{script}: {}", output.describe());
        assert_eq!(cluster.job(job).await.end_reason(), EndReason::Stopped, "{script}");
    }
}

#[tokio::test]
async fn a_stop_signal_of_ones_own_is_the_one_that_is_sent() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let script = "trap 'echo got usr1; exit 12' USR1; trap 'echo got term; exit 13' TERM; echo ready; while :; do sleep 0.1; done";
    let job = ready(&cluster, &["--stop-signal", "SIGUSR1", script]).await;
    cluster.cli(["stop", &job.to_string()]).ok().await;
    cluster.wait(job).await;
    assert!(cluster.logs(job).await.text().contains("got usr1"));
    let job = ready(&cluster, &[script]).await;
    cluster.cli(["kill", "-s", "USR1", &job.to_string()]).ok().await;
    cluster.wait(job).await.expect_code(12);
}

#[tokio::test]
async fn ctrl_c_once_stops_what_run_started_and_twice_kills_it() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let run = cluster
        .cli(["run", "trap 'echo saved; exit 143' TERM; echo ready; while :; do sleep 0.1; done"])
        .spawn();
    run.expect_stdout("ready\n", STEP_LIMIT).await;
    run.signal(Signal::INT);
    let output = run.wait(STEP_LIMIT).await.expect_code(143);
    assert_eq!(output.stdout, b"ready\nsaved\n");

    let run = cluster
        .cli(["run", "--grace", "10m", "trap 'echo heard' TERM; echo ready; while :; do sleep 0.1; done"])
        .spawn();
    run.expect_stdout("ready\n", STEP_LIMIT).await;
    run.signal(Signal::INT);
    run.expect_stdout("heard\n", STEP_LIMIT).await;
    run.signal(Signal::INT);
    run.wait(STEP_LIMIT).await.expect_code(137);
    assert_eq!(cluster.job(2).await.end_reason(), EndReason::Killed);
    cluster.expect_clean().await;
}

#[tokio::test]
async fn a_supervisors_sigterm_stops_the_job_too() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let run = cluster.cli(["run", "echo ready; sleep 600"]).spawn();
    run.expect_stdout("ready\n", STEP_LIMIT).await;
    run.signal(Signal::TERM);
    run.wait(STEP_LIMIT).await.expect_code(143);
}
