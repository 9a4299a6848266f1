//! Submit, run, wait, stop, kill, logs: what everybody does first.

use std::time::Duration;

use dockmgr_proto::v1::{EndReason, TaskState};
use dockmgr_tests::{Cluster, Store};

use crate::on_both_stores;

on_both_stores!(
    run_exits_with_the_commands_own_code,
    submit_wait_and_logs_belong_together,
    stop_and_kill_end_a_job_with_their_own_codes,
);

async fn run_exits_with_the_commands_own_code(store: Store) {
    let cluster = Cluster::builder().store(store).start().await;
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -KILL $$", 137)] {
        cluster.run(["--", "sh", "-c", script]).await.expect_code(code);
    }
    cluster.run(["--", "no-such-program", "x"]).await.expect_code(127);
    cluster.run(["--", "/etc/passwd", "x"]).await.expect_code(126);
    let output = cluster.run(["echo to stdout; echo to stderr >&2; exit 3"]).await.expect_code(3);
    assert_eq!(output.stdout, b"to stdout\n");
    assert!(output.errors().contains("to stderr\n"), "{}", output.describe());
}

async fn submit_wait_and_logs_belong_together(store: Store) {
    let cluster = Cluster::builder().store(store).start().await;
    let job = cluster.submit(["--name", "counter", "for i in 1 2 3; do echo line $i; done; exit 9"]).await;
    cluster.wait(job).await.expect_code(9);
    let uid = cluster.job(job).await.uid;
    let number = job.to_string();
    for reference in [number.as_str(), "counter", "last", &uid] {
        let output = cluster.cli(["logs", reference]).ok().await;
        assert_eq!(output.stdout, b"line 1\nline 2\nline 3\n", "{reference}");
    }
    let tail = cluster.cli(["logs", "-n", "1", "last"]).ok().await;
    assert_eq!(tail.stdout, b"line 3\n");
    cluster.cli(["submit", "--wait", "exit 4"]).run().await.expect_code(4);
    let output =
        cluster.cli(["submit", "--wait", "--follow", "echo seen; exit 5"]).run().await.expect_code(5);
    assert!(output.text().ends_with("seen"), "{}", output.describe());
}

async fn stop_and_kill_end_a_job_with_their_own_codes(store: Store) {
    let cluster = Cluster::builder().store(store).start().await;
    let stopped = cluster.submit(["sleep 600"]).await;
    let killed = cluster.submit(["trap '' TERM; sleep 600"]).await;
    cluster.wait_state(stopped, TaskState::Running).await;
    cluster.wait_state(killed, TaskState::Running).await;
    cluster.cli(["stop", &stopped.to_string()]).ok().await;
    cluster.cli(["kill", &killed.to_string()]).ok().await;
    cluster.wait(stopped).await.expect_code(143);
    cluster.wait(killed).await.expect_code(137);
    assert_eq!(cluster.job(stopped).await.end_reason(), EndReason::Stopped);
    assert_eq!(cluster.job(killed).await.end_reason(), EndReason::Killed);
    // Stopping what has ended is no error and changes nothing.
    cluster.cli(["stop", &stopped.to_string()]).ok().await;
    cluster.wait(stopped).await.expect_code(143);
}

#[tokio::test]
async fn a_job_that_ignores_the_stop_signal_is_killed_after_its_grace() {
    let cluster = Cluster::fake().await;
    let job = cluster.submit(["--grace", "1s", "trap '' TERM; sleep 600"]).await;
    cluster.wait_state(job, TaskState::Running).await;
    let asked = tokio::time::Instant::now();
    cluster.cli(["stop", &job.to_string()]).ok().await;
    cluster.wait(job).await.expect_code(137);
    assert!(asked.elapsed() >= Duration::from_secs(1), "the grace was not given");
    assert_eq!(cluster.job(job).await.end_reason(), EndReason::Stopped);
}

#[tokio::test]
async fn a_job_stopped_before_it_started_never_gets_a_container() {
    let cluster = Cluster::builder().coordinator_only().await;
    let (stopped, killed) = (cluster.submit(["exit 0"]).await, cluster.submit(["exit 0"]).await);
    cluster.cli(["stop", &stopped.to_string()]).ok().await;
    cluster.cli(["kill", &killed.to_string()]).ok().await;
    cluster.wait(stopped).await.expect_code(143);
    cluster.wait(killed).await.expect_code(137);
    assert!(cluster.job(stopped).await.task.expect("one task").attempts.is_empty());
}

#[tokio::test]
async fn a_wait_that_runs_out_leaves_the_job_alone() {
    let cluster = Cluster::fake().await;
    let job = cluster.submit(["sleep 600"]).await;
    cluster.wait_state(job, TaskState::Running).await;
    cluster
        .cli(["wait", "--timeout", "1s", &job.to_string()])
        .run()
        .await
        .expect_code(124)
        .expect_error("--timeout");
    assert_eq!(cluster.job(job).await.task.expect("one task").state(), TaskState::Running);
}

#[tokio::test]
async fn several_jobs_waited_for_give_the_highest_code() {
    let cluster = Cluster::fake().await;
    let jobs = [
        cluster.submit(["exit 3"]).await,
        cluster.submit(["exit 11"]).await,
        cluster.submit(["exit 0"]).await,
    ];
    let numbers: Vec<String> = jobs.iter().map(u64::to_string).collect();
    let args = std::iter::once("wait").chain(numbers.iter().map(String::as_str));
    cluster.cli(args).run().await.expect_code(11);
}

#[tokio::test]
async fn without_the_token_nothing_is_answered() {
    let cluster = Cluster::fake().await;
    for args in [vec!["ps"], vec!["submit", "exit 0"], vec!["node", "ls"]] {
        cluster.cli(args).without_env("DOCKMGR_TOKEN_FILE").run().await.expect_code(4);
    }
    cluster.cli(["run", "exit 0"]).without_env("DOCKMGR_TOKEN_FILE").run().await.expect_code(125);
    assert_eq!(cluster.cli(["ps", "-a", "-q"]).ok().await.text(), "");
}
