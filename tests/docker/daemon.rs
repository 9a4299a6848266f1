//! What a cluster makes of a real daemon that is killed, stopped, restarted, or whose containers others touch. Each test
//! has a daemon of its own; the machine's is left alone.

use std::path::Path;
use std::time::Duration;

use dockmgr_proto::v1::{EndReason, TaskState, node::State};
use dockmgr_tests::{Cluster, OwnDaemon, STEP_LIMIT, eventually, needs, wait_until};
use rustix::process::Signal;

use crate::output::log_end;

/// A restart without live-restore takes ten seconds on an idle machine.
const RESTART_LIMIT: Duration = Duration::from_secs(120);

/// A cluster whose one worker uses `daemon`.
async fn cluster_on(daemon: &OwnDaemon) -> Cluster {
    Cluster::builder().docker().worker_args(&["--docker", &daemon.socket()]).start().await
}

async fn daemon(live_restore: bool) -> Option<OwnDaemon> {
    if needs::docker() { Some(OwnDaemon::start(live_restore).await) } else { None }
}

async fn says(cluster: &Cluster, job: u64, text: &str) {
    eventually(&format!("{text:?} in the output"), STEP_LIMIT, async || {
        cluster.logs(job).await.text().contains(text)
    })
    .await;
}

/// How the attempts of a plain job ended.
async fn ends(cluster: &Cluster, job: u64) -> Vec<EndReason> {
    let task = cluster.job(job).await.task.expect("one task");
    task.attempts.iter().map(dockmgr_proto::v1::Attempt::end_reason).collect()
}

/// A daemon that comes back while a container ends can lose lines of it; never silently, and never in the middle.
async fn kept_or_marked(cluster: &Cluster, job: u64, expected: &str) {
    let text = String::from_utf8(cluster.logs(job).await.stdout).expect("text");
    let marks = log_end(cluster, job).await.marks;
    let marked = marks.iter().any(|mark| mark.reason.contains("while the daemon was down"));
    assert!(text == expected || marked && expected.starts_with(&text), "{text:?} {marks:?}");
}

async fn nothing_left(daemon: &OwnDaemon) {
    wait_until("a clean daemon", Duration::from_mins(1), async || {
        let left = daemon.containers().await;
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}

#[tokio::test]
async fn d12_a_daemon_killed_with_live_restore_loses_no_code_and_no_byte_unsaid() {
    let Some(mut daemon) = daemon(true).await else { return };
    let cluster = cluster_on(&daemon).await;
    let through =
        cluster.submit(["echo ready; for i in $(seq 150); do echo line $i; sleep 0.05; done; exit 7"]).await;
    let meanwhile = cluster.submit(["echo ready; sleep 2; echo bye; exit 0"]).await;
    says(&cluster, through, "ready").await;
    says(&cluster, meanwhile, "ready").await;
    let of_second = format!("label=dockmgr.job={meanwhile}");
    let id = daemon.docker(&["ps", "-q", "--no-trunc", "--filter", &of_second]).await;
    let pid = daemon.docker(&["inspect", "--format", "{{.State.Pid}}", &id]).await;
    daemon.kill().await;
    wait_until("the second job to end while no daemon is there", Duration::from_secs(30), async || {
        if Path::new("/proc").join(&pid).exists() { Err(format!("{pid} lives")) } else { Ok(()) }
    })
    .await;
    daemon.launch().await;
    cluster.wait(meanwhile).await.expect_code(0);
    cluster.wait(through).await.expect_code(7);
    let lines: Vec<String> = (1..=150).map(|i| format!("line {i}\n")).collect();
    kept_or_marked(&cluster, through, &format!("ready\n{}", lines.concat())).await;
    kept_or_marked(&cluster, meanwhile, "ready\nbye\n").await;
    assert_eq!(ends(&cluster, through).await, [EndReason::Exited]);
    // The daemon may not know how it ended (it says 255), and then nobody claims to.
    let reasons = ends(&cluster, meanwhile).await;
    assert_eq!(reasons.last(), Some(&EndReason::Exited), "{reasons:?}");
    assert!(
        reasons[..reasons.len() - 1].iter().all(|reason| *reason == EndReason::InfraUnknown),
        "{reasons:?}"
    );
    nothing_left(&daemon).await;
}

#[tokio::test]
async fn d13_a_daemon_restarted_without_live_restore_makes_its_jobs_run_again_and_none_succeed_by_it() {
    let Some(mut daemon) = daemon(false).await else { return };
    let cluster = cluster_on(&daemon).await;
    let doctor = cluster.cli(["doctor"]).run().await;
    assert!(doctor.text().contains("node worker-0: live-restore is off"), "{}", doctor.describe());
    let script = "echo ready; if [ $DOCKMGR_ATTEMPT = 1 ]; then sleep 600; fi; exit 4";
    let polite =
        "trap 'exit 0' TERM; echo ready; if [ $DOCKMGR_ATTEMPT = 1 ]; then sleep 600 & wait; fi; exit 5";
    for orderly in [false, true] {
        let jobs = [(cluster.submit([script]).await, 4), (cluster.submit([polite]).await, 5)];
        for (job, _) in jobs {
            says(&cluster, job, "ready").await;
        }
        if orderly {
            daemon.stop().await;
        } else {
            daemon.kill().await;
        }
        daemon.launch().await;
        for (job, code) in jobs {
            let output = cluster.cli(["wait", &job.to_string()]).limit(RESTART_LIMIT).run().await;
            output.expect_code(code);
            assert_eq!(
                ends(&cluster, job).await,
                [EndReason::InfraUnknown, EndReason::Exited],
                "orderly {orderly}"
            );
        }
    }
    nothing_left(&daemon).await;
}

#[tokio::test]
async fn d01_a_stopped_daemon_makes_its_node_not_ready_and_starts_nothing_twice() {
    let Some(daemon) = daemon(true).await else { return };
    let cluster = cluster_on(&daemon).await;
    let running = cluster.submit(["echo ready; sleep 5; echo done; exit 3"]).await;
    says(&cluster, running, "ready").await;
    daemon.process().signal(Signal::STOP);
    let stopped = tokio::time::Instant::now();
    let late = cluster.submit(["echo ran; exit 4"]).await;
    let state = async || {
        let nodes = cluster.client().await.all_nodes().await.map_err(|error| error.to_string())?;
        Ok::<_, String>((nodes[0].state(), nodes[0].reasons.join("; ")))
    };
    wait_until("the node to be not ready", Duration::from_secs(30), async || match state().await? {
        (State::NotReady, reasons) if reasons.contains("container daemon hangs") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let doctor = cluster.cli(["doctor"]).run().await;
    assert!(doctor.text().contains("container daemon hangs"), "{}", doctor.describe());
    tokio::time::sleep_until(stopped + Duration::from_secs(15)).await;
    daemon.process().signal(Signal::CONT);
    cluster.wait_ready().await;
    cluster.wait(running).await.expect_code(3);
    cluster.wait(late).await.expect_code(4);
    assert_eq!(cluster.logs(running).await.stdout, b"ready\ndone\n");
    assert_eq!(cluster.logs(late).await.stdout, b"ran\n", "it ran once");
    assert_eq!((ends(&cluster, running).await.len(), ends(&cluster, late).await.len()), (1, 1));
    nothing_left(&daemon).await;
}

#[tokio::test]
async fn d10_d11_d14_what_others_do_to_containers_is_seen_and_never_taken_for_the_jobs_own_end() {
    let Some(daemon) = daemon(true).await else { return };
    let cluster = cluster_on(&daemon).await;
    let script = "echo ready; if [ $DOCKMGR_ATTEMPT = 1 ]; then sleep 600; fi; exit 9";
    let container = async |job: u64| {
        says(&cluster, job, "ready").await;
        // Until the worker has written the start down, a restart by hand cannot be told from it.
        cluster.wait_state(job, TaskState::Running).await;
        let found =
            daemon.docker(&["ps", "-q", "--no-trunc", "--filter", &format!("label=dockmgr.job={job}")]).await;
        assert_eq!(found.lines().count(), 1, "{found}");
        found
    };
    // Removed.
    let job = cluster.submit([script]).await;
    let id = container(job).await;
    daemon.docker(&["rm", "-f", &id]).await;
    cluster.wait(job).await.expect_code(9);
    assert_eq!(ends(&cluster, job).await, [EndReason::InfraUnknown, EndReason::Exited], "removed");
    // Paused: it waits, and nothing else happens.
    let job = cluster.submit(["echo ready; sleep 1; exit 6"]).await;
    let id = container(job).await;
    daemon.docker(&["pause", &id]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(cluster.job(job).await.task.expect("one task").state(), TaskState::Running);
    daemon.docker(&["unpause", &id]).await;
    cluster.wait(job).await.expect_code(6);
    // Restarted by hand: the second run is no run of the job.
    let job = cluster.submit([script]).await;
    let id = container(job).await;
    daemon.docker(&["restart", "-t", "0", &id]).await;
    let _own_code_or_the_next_attempts = cluster.wait(job).await;
    let reasons = ends(&cluster, job).await;
    assert!([EndReason::InfraUnknown, EndReason::Signaled].contains(&reasons[0]), "restarted: {reasons:?}");
    assert!(daemon.try_docker(&["exec", &id, "true"]).await.is_err(), "the second run was ended");
    // Its containerd dies: the daemon starts another one, the container lives on.
    let job = cluster.submit(["echo ready; sleep 4; echo done; exit 6"]).await;
    container(job).await;
    daemon.kill_helper(None);
    cluster.wait(job).await.expect_code(6);
    assert_eq!(cluster.logs(job).await.stdout, b"ready\ndone\n");
    // Its shim dies and the container with it.
    let job = cluster.submit([script]).await;
    let id = container(job).await;
    daemon.kill_helper(Some(&id));
    let _own_code_or_the_next_attempts = cluster.wait(job).await;
    let reasons = ends(&cluster, job).await;
    assert!(!reasons.contains(&EndReason::Killed), "shim: {reasons:?}");
    assert_eq!(reasons[0], EndReason::InfraUnknown, "shim: {reasons:?}");
    nothing_left(&daemon).await;
}
