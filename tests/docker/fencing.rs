//! A worker that loses its leader, on real containers: dead, stopped or cut off, with the guard beside it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use dockmgr_proto::v1::{Attempt, EndReason, TaskState, node};
use dockmgr_tests::docker::docker;
use dockmgr_tests::{Cluster, STEP_LIMIT, eventually, needs, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

/// Times of losing a worker, as short as they may be.
const SUSPECT: Duration = Duration::from_secs(2);
const FENCE: Duration = Duration::from_secs(5);
const LOST: Duration = Duration::from_secs(13);
/// Between the fence and the guard's kill, and for the kill itself.
const GRACE: Duration = Duration::from_secs(5);
const KILL: Duration = Duration::from_secs(2);
/// Time between two heartbeats, and a loaded machine's hesitation: the last contact may be so old at the kill.
const HEARTBEAT: Duration = Duration::from_secs(2);

async fn short_lived_trust() -> Option<Cluster> {
    if !needs::docker() {
        return None;
    }
    Some(Cluster::builder().docker().loss_times(SUSPECT, FENCE, LOST).start().await)
}

/// Process id of the first process of a job's first attempt.
async fn process_of(cluster: &Cluster, job: u64) -> u32 {
    let ending = format!("-{job}-0-1");
    let containers = cluster.on_docker().await.containers;
    let name = containers.iter().find(|name| name.ends_with(&ending)).expect("it has a container");
    docker(&["inspect", "--format", "{{.State.Pid}}", name]).await.parse().expect("a number")
}

fn lives(pid: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// The guard of a data folder, if one runs.
fn guard_of(folder: &Path) -> Option<i32> {
    let named = |pid: i32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = words.split(|byte| *byte == 0).collect();
        words.contains(&&b"guard"[..]) && words.contains(&folder.as_os_str().as_encoded_bytes())
    };
    let pids = fs::read_dir("/proc").expect("/proc").flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(|pid| named(*pid))
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("not 0"), signal).expect("it runs");
}

/// Two jobs that run for long: the first may be replaced, the second waits.
async fn two_jobs(cluster: &Cluster) -> (u64, u64) {
    let script = "trap '' TERM; echo ready; until [ -e /go ]; do sleep 0.1; done; exit 4";
    let lost = cluster.submit([script]).await;
    let waiting = cluster.submit(["--on-lost", "wait", script]).await;
    for job in [lost, waiting] {
        eventually("the job to be ready", STEP_LIMIT, async || cluster.logs(job).await.text() == "ready")
            .await;
    }
    (lost, waiting)
}

/// Waits for the end of a container and checks that it came in time after the worker's last contact.
async fn dies_in_time(pid: u32, since: Instant) {
    eventually("the container to die", FENCE + GRACE + KILL, async || !lives(pid)).await;
    let after = since.elapsed();
    assert!(after <= FENCE + GRACE + KILL, "too late: {after:?}");
    assert!(after + HEARTBEAT >= FENCE + GRACE, "too early: {after:?}");
}

#[tokio::test]
async fn p13_a_dead_workers_containers_are_killed_by_the_guard_and_those_that_wait_live_on() {
    let Some(mut cluster) = short_lived_trust().await else { return };
    let (lost, waiting) = two_jobs(&cluster).await;
    let (doomed, kept) = (process_of(&cluster, lost).await, process_of(&cluster, waiting).await);
    let since = Instant::now();
    cluster.kill_worker(0).await;
    dies_in_time(doomed, since).await;
    assert!(lives(kept), "a job that waits lives on");
    cluster.start_worker(0).await;
    let first = wait_until("the end of the first attempt", STEP_LIMIT, async || {
        let task = cluster.job(lost).await.task.expect("one task");
        let ended = task.attempts.first().filter(|attempt| attempt.end_reason() != EndReason::Unspecified);
        ended.cloned().ok_or(format!("{task:?}"))
    })
    .await;
    assert_eq!(first.end_reason(), EndReason::Lost, "{first:?}");
    assert!(lives(kept), "adopted, not run again");
    let name = cluster
        .on_docker()
        .await
        .containers
        .into_iter()
        .find(|name| name.ends_with(&format!("-{waiting}-0-1")));
    docker(&["exec", &name.expect("it runs"), "touch", "/go"]).await;
    cluster.wait(waiting).await.expect_code(4);
}

#[tokio::test]
async fn p14_a_stopped_workers_containers_are_killed_by_the_guard_and_the_worker_says_lost() {
    let Some(mut cluster) = short_lived_trust().await else { return };
    let (lost, waiting) = two_jobs(&cluster).await;
    let (doomed, kept) = (process_of(&cluster, lost).await, process_of(&cluster, waiting).await);
    let since = Instant::now();
    cluster.worker(0).signal(Signal::STOP);
    dies_in_time(doomed, since).await;
    cluster.worker(0).signal(Signal::CONT);
    wait_until("the attempt to be lost", STEP_LIMIT, async || {
        let task = cluster.job(lost).await.task.expect("one task");
        let reason = task.attempts.first().map(Attempt::end_reason);
        if reason == Some(EndReason::Lost) { Ok(()) } else { Err(format!("{task:?}")) }
    })
    .await;
    assert!(lives(kept), "a job that waits lives on");
}

#[tokio::test]
async fn a_cut_off_worker_stops_its_containers_itself_in_an_orderly_way() {
    let Some(mut cluster) = short_lived_trust().await else { return };
    let script = "trap 'echo told; exit 0' TERM; echo ready; while :; do sleep 0.1; done";
    let job = cluster.submit([script]).await;
    eventually("the job to be ready", STEP_LIMIT, async || cluster.logs(job).await.text() == "ready").await;
    let pid = process_of(&cluster, job).await;
    let since = Instant::now();
    cluster.kill_coordinator().await;
    eventually("it to end", FENCE + GRACE, async || !lives(pid)).await;
    assert!(since.elapsed() + HEARTBEAT >= FENCE, "too early: {:?}", since.elapsed());
    cluster.start_coordinator().await;
    let first = wait_until("the end of the first attempt", STEP_LIMIT, async || {
        let task = cluster.job(job).await.task.expect("one task");
        let ended = task.attempts.first().filter(|attempt| attempt.end_reason() == EndReason::Lost);
        ended.cloned().ok_or(format!("{task:?}"))
    })
    .await;
    assert!(first.message.contains("fenced: no contact with the leader for 5 s"), "{first:?}");
    cluster.wait_state(job, TaskState::Running).await;
    assert_eq!(cluster.job(job).await.task.expect("one task").attempts.len(), 2, "it is tried again");
}

#[tokio::test]
async fn p15_a_killed_guard_is_back_within_a_second_and_is_in_a_session_of_its_own() {
    if !needs::docker() {
        return;
    }
    let mut cluster = Cluster::builder().docker().start().await;
    let folder = cluster.worker_folder(0);
    let first = guard_of(&folder).expect("a ready worker has a guard");
    let stat = fs::read_to_string(format!("/proc/{first}/stat")).expect("it runs");
    let session = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(3));
    assert_eq!(session, Some(first.to_string().as_str()), "{stat}");
    signal(first, Signal::KILL);
    let since = Instant::now();
    let is_another = |pid: Option<i32>| pid.is_some_and(|pid| pid != first);
    eventually("another guard", Duration::from_secs(2), async || is_another(guard_of(&folder))).await;
    assert!(since.elapsed() <= Duration::from_secs(1), "{:?}", since.elapsed());
    let second = guard_of(&folder).expect("it runs");
    // The worker's end by force leaves the guard, the next worker finds it.
    cluster.kill_worker(0).await;
    cluster.start_worker(0).await;
    assert_eq!(guard_of(&folder), Some(second));
    cluster.stop_worker(0).await;
    assert_eq!(guard_of(&folder), None, "an orderly end with nothing left to guard ends it");
}

#[tokio::test]
async fn a_node_without_the_guard_it_was_promised_takes_no_work() {
    if !needs::docker() {
        return;
    }
    let mut cluster =
        Cluster::builder().docker().worker_args(&["--guard", "external"]).coordinator_only().await;
    cluster.launch_worker(0);
    let reasons = wait_until("the node to be registered", STEP_LIMIT, async || {
        let nodes = cluster.client().await.all_nodes().await.map_err(|error| error.to_string())?;
        nodes.first().map(|node| node.reasons.join("; ")).ok_or("none".to_owned())
    })
    .await;
    assert!(reasons.contains("guard is not running: run dockmgr-worker guard --stay --data"), "{reasons}");
    let mut guard = tokio::process::Command::new(dockmgr_tests::programs::binary("dockmgr-worker"));
    guard.args(["guard", "--stay", "--data"]).arg(cluster.worker_folder(0)).kill_on_drop(true);
    let mut guard = guard.spawn().expect("the guard starts");
    cluster.wait_ready().await;
    guard.kill().await.expect("it runs");
    wait_until("the node to say so", STEP_LIMIT, async || {
        let nodes = cluster.client().await.all_nodes().await.map_err(|error| error.to_string())?;
        if nodes.iter().all(|one| one.state() != node::State::Ready) {
            Ok(())
        } else {
            Err(format!("{nodes:?}"))
        }
    })
    .await;
}
