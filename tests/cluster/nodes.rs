//! Draining, silence, return and removal of nodes; who may hold a folder.

use std::time::Duration;

use dockmgr_proto::v1::{EndReason, TaskState};
use dockmgr_tests::process::Process;
use dockmgr_tests::{Cluster, Store, wait_until};
use rustix::process::Signal;

use crate::on_both_stores;

on_both_stores!(
    a_silent_workers_attempts_are_unknown_until_it_returns,
    a_drained_node_gets_nothing_new_until_it_is_resumed,
);

async fn a_silent_workers_attempts_are_unknown_until_it_returns(store: Store) {
    let mut cluster = Cluster::builder().store(store).suspect_after(Duration::from_secs(3)).start().await;
    let job = cluster.submit(["sleep 8; echo survived; exit 5"]).await;
    cluster.wait_state(job, TaskState::Running).await;
    cluster.worker(0).signal(Signal::STOP);
    cluster.wait_state(job, TaskState::Unknown).await;
    let nodes = cluster.cli(["node", "ls"]).ok().await;
    assert!(nodes.text().to_lowercase().contains("silent"), "{}", nodes.describe());
    cluster.worker(0).signal(Signal::CONT);
    cluster.wait(job).await.expect_code(5);
    let task = cluster.job(job).await.task.expect("one task");
    assert_eq!(task.attempts.len(), 1, "the attempt was not replaced: {task:?}");
    assert_eq!(cluster.logs(job).await.stdout, b"survived\n");
}

async fn a_drained_node_gets_nothing_new_until_it_is_resumed(store: Store) {
    let cluster = Cluster::builder().store(store).start().await;
    let running = cluster.submit(["sleep 2; exit 3"]).await;
    cluster.wait_state(running, TaskState::Running).await;
    cluster.cli(["node", "drain", "worker-0"]).ok().await;
    let waiting = cluster.submit(["exit 4"]).await;
    cluster.wait(running).await.expect_code(3);
    let page = cluster.cli(["describe", &waiting.to_string()]).ok().await;
    assert!(page.text().contains("drain"), "{}", page.describe());
    assert_eq!(cluster.job(waiting).await.task.expect("one task").state(), TaskState::Queued);
    cluster.cli(["node", "resume", "worker-0"]).ok().await;
    cluster.wait(waiting).await.expect_code(4);
}

#[tokio::test]
async fn a_connected_node_cannot_be_removed() {
    let cluster = Cluster::fake().await;
    cluster.cli(["node", "rm", "worker-0"]).run().await.expect_code(1);
    cluster.cli(["node", "rm", "--declare-lost", "worker-0"]).run().await.expect_code(1);
    cluster.cli(["node", "rm", "no-such-node"]).run().await.expect_code(1).expect_error("no-such-node");
}

#[tokio::test]
async fn a_node_declared_lost_gives_its_tasks_to_others_or_ends_them() {
    let mut cluster = Cluster::builder().workers(1).suspect_after(Duration::from_secs(2)).start().await;
    let fails = cluster.submit(["--on-lost", "fail", "sleep 600"]).await;
    let moves = cluster.submit(["--on-lost", "retry", "sleep 1; exit 8"]).await;
    let stays = cluster.submit(["--on-lost", "retry", "sleep 600"]).await;
    for job in [fails, stays] {
        cluster.wait_state(job, TaskState::Running).await;
    }
    cluster.kill_worker(0).await;
    for job in [fails, stays] {
        cluster.wait_state(job, TaskState::Unknown).await;
    }
    let refused = cluster.cli(["node", "rm", "worker-0"]).run().await;
    assert_ne!(refused.code, 0, "its attempts may still run: {}", refused.describe());
    cluster.cli(["node", "rm", "--declare-lost", "worker-0"]).ok().await;
    cluster.wait(fails).await.expect_code(125);
    assert_eq!(cluster.job(fails).await.end_reason(), EndReason::Lost);
    cluster.start_worker(1).await;
    cluster.wait(moves).await.expect_code(8);
    cluster.wait_state(stays, TaskState::Running).await;
    let task = cluster.job(stays).await.task.expect("one task");
    assert_eq!(task.attempts.last().map(|a| a.node_name.clone()), Some("worker-1".to_owned()));
}

#[tokio::test]
async fn a_restarted_worker_goes_on_with_the_containers_it_had() {
    let mut cluster = Cluster::fake().await;
    let runs = cluster.submit(["echo one; sleep 4; echo two; exit 6"]).await;
    let ends = cluster.submit(["echo alone; sleep 0.5; exit 5"]).await;
    for job in [runs, ends] {
        cluster.wait_state(job, TaskState::Running).await;
    }
    cluster.kill_worker(0).await;
    cluster.start_worker(0).await;
    cluster.wait(runs).await.expect_code(6);
    cluster.wait(ends).await.expect_code(5);
    assert_eq!(cluster.logs(runs).await.stdout, b"one\ntwo\n");
    assert_eq!(cluster.logs(ends).await.stdout, b"alone\n");
    assert_eq!(cluster.job(runs).await.task.expect("one task").attempts.len(), 1);
}

#[tokio::test]
async fn a_worker_restarted_without_its_containers_has_them_tried_again() {
    let mut cluster = Cluster::fake().await;
    let job = cluster.submit(["sleep 2; exit 6"]).await;
    cluster.wait_state(job, TaskState::Running).await;
    cluster.kill_worker(0).await;
    // Without its state the fake has no containers any more.
    std::fs::remove_dir_all(cluster.worker_folder(0).join("fake")).expect("the fake keeps its state there");
    cluster.start_worker(0).await;
    cluster.wait(job).await.expect_code(6);
    let attempts = cluster.job(job).await.task.expect("one task").attempts;
    assert_eq!(attempts[0].end_reason(), EndReason::InfraUnknown, "{attempts:?}");
    assert_eq!(attempts.len(), 2, "{attempts:?}");
    let nodes = cluster.client().await.all_nodes().await.expect("an answer");
    assert_eq!(nodes.len(), 1, "the node kept its identity: {nodes:?}");
}

#[tokio::test]
async fn a_second_program_on_the_same_folder_is_refused_with_75() {
    let cluster = Cluster::fake().await;
    for mut command in [cluster.second_coordinator(), cluster.second_worker(0)] {
        let run = command.kill_on_drop(true).output();
        let output =
            tokio::time::timeout(dockmgr_tests::STEP_LIMIT, run).await.expect("in time").expect("it starts");
        let shown = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(75), "{command:?}\n{shown}");
    }
    cluster.run(["exit 0"]).await.expect_code(0);
}

#[tokio::test]
async fn an_orderly_end_of_the_programs_gives_0_and_forgets_nothing() {
    let mut cluster = Cluster::fake().await;
    cluster.run(["echo kept; exit 2"]).await.expect_code(2);
    cluster.stop_worker(0).await;
    cluster.coordinator().signal(Signal::TERM);
    let status = cluster.coordinator().wait(dockmgr_tests::STEP_LIMIT).await;
    assert_eq!(status.code(), Some(0));
    cluster.start_coordinator().await;
    cluster.wait(1).await.expect_code(2);
    assert_eq!(cluster.logs(1).await.stdout, b"kept\n");
    wait_until("the node to be known", dockmgr_tests::STEP_LIMIT, async || {
        let nodes = cluster.client().await.all_nodes().await.map_err(|error| error.to_string())?;
        if nodes.len() == 1 { Ok(()) } else { Err(format!("{nodes:?}")) }
    })
    .await;
}

#[tokio::test]
async fn p16_of_two_workers_with_one_node_id_the_newer_stays_and_the_older_does_not_come_back() {
    let cluster = Cluster::fake().await;
    let copy = cluster.folder().join("copy");
    std::fs::create_dir(&copy).expect("a folder");
    std::fs::copy(cluster.worker_folder(0).join("identity.json"), copy.join("identity.json"))
        .expect("copies");
    let mut command = tokio::process::Command::new(dockmgr_tests::programs::binary("dockmgr-worker"));
    command
        .args(["--coordinator", &cluster.server(), "--name", "copy", "--runtime", "fake"])
        .arg("--token-file")
        .arg(cluster.token_file())
        .arg("--data")
        .arg(&copy);
    let log = cluster.folder().join("copy.log");
    let _copy = Process::start("copy", &mut command, &log);
    let of = |path: &std::path::Path| std::fs::read_to_string(path).unwrap_or_default();
    let older = cluster.folder().join("worker-0.log");
    wait_until("the older one to be told", dockmgr_tests::STEP_LIMIT, async || {
        if of(&older).contains("no session any more") { Ok(()) } else { Err(of(&older)) }
    })
    .await;
    cluster.wait_ready().await;
    cluster.run(["exit 6"]).await.expect_code(6);
    let sessions = |path| of(path).matches("session open").count();
    assert_eq!((sessions(&older), sessions(&log)), (1, 1), "they do not take the node from each other");
    let nodes = cluster.client().await.all_nodes().await.expect("answers");
    assert_eq!(nodes.iter().map(|node| node.display_name.as_str()).collect::<Vec<_>>(), ["copy"]);
}
