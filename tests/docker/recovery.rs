//! Real containers through `kill -9` of the worker, of the coordinator, and of both.

use std::time::Duration;

use dockmgr_proto::v1::TaskState;
use dockmgr_tests::{Cluster, STEP_LIMIT, Store, eventually};

use crate::docker_cluster;
use crate::output::{both_streams, expect_own_sum, log_end, odd_lines, sha256};

const BULK_LIMIT: Duration = Duration::from_secs(240);

/// Kills the worker when the job has written `bytes` and starts it again.
async fn kill_worker_in_the_middle(cluster: &mut Cluster, bytes: usize, run: &dockmgr_tests::Running) {
    eventually("output to be on its way", BULK_LIMIT, async || run.stdout_so_far().len() > bytes).await;
    cluster.kill_worker(0).await;
    cluster.start_worker(0).await;
}

async fn bulk_output_survives_kill_9_of_the_worker(store: Store) {
    let Some(mut cluster) = docker_cluster(store).await else { return };
    let run = cluster.cli(["run", &both_streams(32)]).spawn();
    kill_worker_in_the_middle(&mut cluster, 4 << 20, &run).await;
    let live = run.wait(BULK_LIMIT).await;
    let live = live.expect_code(0);
    expect_own_sum("live stdout", &live.stdout, 32);
    expect_own_sum("live stderr", &live.stderr, 32);
    let kept = cluster.cli(["logs", "1"]).limit(BULK_LIMIT).run().await.expect_code(0);
    assert_eq!((sha256(&kept.stdout), sha256(&kept.stderr)), (sha256(&live.stdout), sha256(&live.stderr)));
    let task = cluster.job(1).await.task.expect("one task");
    assert_eq!(task.attempts.len(), 1, "the container was adopted, not run again");
    cluster.expect_clean().await;
}

#[tokio::test]
async fn thirty_two_mib_on_each_stream_survive_kill_9_of_the_worker_on_redb() {
    bulk_output_survives_kill_9_of_the_worker(Store::Redb).await;
}

#[tokio::test]
async fn thirty_two_mib_on_each_stream_survive_kill_9_of_the_worker_on_etcd() {
    bulk_output_survives_kill_9_of_the_worker(Store::Etcd).await;
}

#[tokio::test]
async fn odd_lines_survive_kill_9_of_the_worker_or_are_marked() {
    let Some(mut cluster) = docker_cluster(Store::Redb).await else { return };
    let (lines, lines_due) = odd_lines();
    for (length, newline) in [(0_usize, false), (1, false), (16_384, true), (20_000, true), (100, false)] {
        let end = if newline { "echo" } else { ":" };
        // The first part before the kill, the second while the worker is away.
        let script = format!(
            "{lines} echo ready; until [ -e /go ]; do sleep 0.1; done; {lines} {{ l {length} z; {end}; }}"
        );
        let mut due = [&lines_due[..], b"ready\n", &lines_due[..]].concat();
        due.extend(std::iter::repeat_n(b'z', length));
        due.extend(newline.then_some(b'\n'));
        let job = cluster.submit([&script]).await;
        eventually("the first part", STEP_LIMIT, async || cluster.logs(job).await.text().ends_with("ready"))
            .await;
        let container = cluster.on_docker().await.containers.first().cloned().expect("it runs");
        cluster.kill_worker(0).await;
        dockmgr_tests::docker::docker(&["exec", &container, "touch", "/go"]).await;
        eventually("the container to end alone", STEP_LIMIT, async || {
            dockmgr_tests::docker::docker(&["inspect", "--format", "{{.State.Status}}", &container]).await
                == "exited"
        })
        .await;
        cluster.start_worker(0).await;
        cluster.wait(job).await.expect_code(0);
        let kept = cluster.logs(job).await;
        assert_eq!(
            sha256(&kept.stdout),
            sha256(&due),
            "last line {length}, newline {newline}: {} of {} bytes",
            kept.stdout.len(),
            due.len()
        );
        assert!(log_end(&cluster, job).await.marks.is_empty(), "last line {length}, newline {newline}");
    }
}

#[tokio::test]
async fn an_ended_container_is_reported_after_kill_9_of_worker_and_coordinator() {
    let Some(mut cluster) = docker_cluster(Store::Redb).await else { return };
    let job = cluster.submit(["echo ready; until [ -e /go ]; do sleep 0.1; done; echo done; exit 42"]).await;
    eventually("the job to be ready", STEP_LIMIT, async || cluster.logs(job).await.text() == "ready").await;
    let container = cluster.on_docker().await.containers.first().cloned().expect("it runs");
    cluster.kill_worker(0).await;
    cluster.kill_coordinator().await;
    dockmgr_tests::docker::docker(&["exec", &container, "touch", "/go"]).await;
    cluster.start_coordinator().await;
    cluster.start_worker(0).await;
    cluster.wait(job).await.expect_code(42);
    assert_eq!(cluster.logs(job).await.stdout, b"ready\ndone\n");
    assert_eq!(cluster.job(job).await.task.expect("one task").attempts.len(), 1);
    cluster.expect_clean().await;
}

#[tokio::test]
async fn a_stop_asked_while_the_worker_is_away_is_carried_out_when_it_returns() {
    let Some(mut cluster) = docker_cluster(Store::Redb).await else { return };
    let job = cluster.submit(["echo ready; sleep 600"]).await;
    cluster.wait_state(job, TaskState::Running).await;
    cluster.kill_worker(0).await;
    cluster.cli(["stop", &job.to_string()]).ok().await;
    cluster.start_worker(0).await;
    cluster.wait(job).await.expect_code(143);
    cluster.expect_clean().await;
}

#[tokio::test]
async fn an_orderly_restart_of_the_worker_leaves_its_containers_running() {
    let Some(mut cluster) = docker_cluster(Store::Redb).await else { return };
    let job = cluster.submit(["echo ready; until [ -e /go ]; do sleep 0.1; done; exit 3"]).await;
    eventually("the job to be ready", STEP_LIMIT, async || cluster.logs(job).await.text() == "ready").await;
    let container = cluster.on_docker().await.containers.first().cloned().expect("it runs");
    cluster.stop_worker(0).await;
    assert_eq!(cluster.on_docker().await.containers.first(), Some(&container));
    cluster.start_worker(0).await;
    dockmgr_tests::docker::docker(&["exec", &container, "touch", "/go"]).await;
    cluster.wait(job).await.expect_code(3);
}

#[tokio::test]
async fn a_container_removed_behind_our_back_does_not_hang_the_job() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let job = cluster
        .submit(["--on-lost", "fail", "if [ $DOCKMGR_ATTEMPT = 1 ]; then echo ready; sleep 600; fi; exit 9"])
        .await;
    cluster.wait_state(job, TaskState::Running).await;
    let container = cluster.on_docker().await.containers.first().cloned().expect("it runs");
    dockmgr_tests::docker::docker(&["rm", "-f", &container]).await;
    let output = cluster.wait(job).await;
    let task = cluster.job(job).await.task.expect("one task");
    assert!(task.attempts[0].end_reason() != dockmgr_proto::v1::EndReason::Exited, "{task:?}");
    assert!([9, 125, 137].contains(&output.code), "{}", output.describe());
}

#[tokio::test]
async fn p16_a_container_that_the_journal_does_not_know_any_more_is_removed_and_its_job_goes_on() {
    let Some(mut cluster) = docker_cluster(Store::Redb).await else { return };
    let job = cluster.submit(["if [ $DOCKMGR_ATTEMPT = 1 ]; then echo ready; sleep 600; fi; exit 9"]).await;
    eventually("the job to be ready", STEP_LIMIT, async || cluster.logs(job).await.text() == "ready").await;
    let container = cluster.on_docker().await.containers.first().cloned().expect("it runs");
    cluster.kill_worker(0).await;
    std::fs::remove_file(cluster.worker_folder(0).join("journal")).expect("the journal is there");
    cluster.start_worker(0).await;
    cluster.wait(job).await.expect_code(9);
    let task = cluster.job(job).await.task.expect("one task");
    assert_eq!(task.attempts[0].end_reason(), dockmgr_proto::v1::EndReason::InfraUnknown, "{task:?}");
    eventually("the forgotten container to go", STEP_LIMIT, async || {
        !cluster.on_docker().await.containers.contains(&container)
    })
    .await;
    let log = std::fs::read_to_string(cluster.folder().join("worker-0.log")).expect("the worker's log");
    assert!(log.contains("removing a container that no attempt knows"), "it is said");
    cluster.expect_clean().await;
}

#[tokio::test]
async fn p12_after_a_reboot_of_the_host_no_exit_code_is_believed() {
    if !dockmgr_tests::needs::docker() {
        return;
    }
    let boot_id = tempfile::NamedTempFile::new().expect("temporary file");
    std::fs::write(boot_id.path(), "11111111-1111-4111-8111-111111111111").expect("writes");
    let path = boot_id.path().display().to_string();
    let mut cluster = Cluster::builder().docker().worker_args(&["--boot-id-file", &path]).start().await;
    let zero = cluster
        .submit(["--on-lost", "fail", "echo ready; until [ -e /go ]; do sleep 0.1; done; exit 0"])
        .await;
    eventually("the job to be ready", STEP_LIMIT, async || cluster.logs(zero).await.text() == "ready").await;
    let container = cluster.on_docker().await.containers.first().cloned().expect("it runs");
    cluster.kill_worker(0).await;
    dockmgr_tests::docker::docker(&["exec", &container, "touch", "/go"]).await;
    eventually("the container to end alone", STEP_LIMIT, async || {
        dockmgr_tests::docker::docker(&["inspect", "--format", "{{.State.Status}}", &container]).await
            == "exited"
    })
    .await;
    std::fs::write(boot_id.path(), "22222222-2222-4222-8222-222222222222").expect("writes");
    cluster.start_worker(0).await;
    let first = dockmgr_tests::wait_until("the end of the first attempt", STEP_LIMIT, async || {
        let task = cluster.job(zero).await.task.expect("one task");
        let ended = task.attempts.first().filter(|attempt| attempt.end_time.is_some());
        ended.cloned().ok_or(format!("{task:?}"))
    })
    .await;
    assert_eq!(first.end_reason(), dockmgr_proto::v1::EndReason::InfraUnknown, "{first:?}");
    assert_eq!((first.exit_code, first.message.contains("booted")), (None, true), "{first:?}");
}
