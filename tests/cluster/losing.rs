//! Losing a worker with short times: suspect 5 s, fence 20 s, lost 30 s. The stories run side by side, so the whole file
//! takes little longer than its longest one.

use std::time::Duration;

use dockmgr_proto::v1::{self, EndReason, TaskState};
use dockmgr_tests::{Cluster, STEP_LIMIT, wait_until};
use rustix::process::Signal;

/// Longest a worker may take to be given up and its task to run elsewhere: lost-after, back-off, and a slow machine.
const LOST_LIMIT: Duration = Duration::from_secs(55);

/// A cluster that loses workers quickly.
async fn cluster(workers: usize) -> Cluster {
    let seconds = Duration::from_secs;
    let builder = Cluster::builder().workers(workers).loss_times(seconds(5), seconds(20), seconds(30));
    builder.start().await
}

async fn task(cluster: &Cluster, job: u64) -> v1::Task {
    cluster.job(job).await.task.expect("a plain job has one task")
}

/// Waits until an attempt of a job runs on a worker.
async fn wait_running_on(cluster: &Cluster, job: u64, worker: &str) {
    wait_until(&format!("job {job} to run on {worker}"), LOST_LIMIT, async || {
        let task = task(cluster, job).await;
        let there = task.attempts.last().is_some_and(|attempt| attempt.node_name == worker);
        if there && task.state() == TaskState::Running { Ok(()) } else { Err(format!("{task:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_is_killed_and_never_back_loses_its_attempts_by_their_policy() {
    let mut cluster = cluster(1).await;
    let mut jobs = Vec::new();
    for policy in ["retry", "fail", "wait"] {
        let job = cluster.submit(["--on-lost", policy, "sleep 600"]).await;
        cluster.wait_state(job, TaskState::Running).await;
        jobs.push(job);
    }
    let [retry, fail, wait] = jobs[..] else { panic!("three jobs") };
    cluster.start_worker(1).await;
    cluster.kill_worker(0).await;
    for job in [retry, fail, wait] {
        cluster.wait_state(job, TaskState::Unknown).await;
    }
    let page = cluster.cli(["describe", &retry.to_string()]).ok().await;
    assert!(page.text().contains("tried again elsewhere"), "{}", page.describe());
    wait_running_on(&cluster, retry, "worker-1").await;
    let first = task(&cluster, retry).await.attempts.remove(0);
    assert_eq!((first.end_reason(), first.lost_time.is_some()), (EndReason::Lost, true), "{first:?}");
    cluster.wait(fail).await.expect_code(125);
    assert_eq!(cluster.job(fail).await.end_reason(), EndReason::Lost);
    assert_eq!(task(&cluster, fail).await.attempts.len(), 1, "it is not tried again");
    assert_eq!(task(&cluster, wait).await.state(), TaskState::Unknown);
    let page = cluster.cli(["describe", &wait.to_string()]).ok().await;
    assert!(page.text().contains("node rm --declare-lost worker-0"), "{}", page.describe());
    let nodes = cluster.cli(["node", "ls"]).ok().await;
    assert!(nodes.text().contains("lost"), "{}", nodes.describe());
    cluster.cli(["node", "rm", "--declare-lost", "worker-0"]).ok().await;
    wait_running_on(&cluster, wait, "worker-1").await;
}

#[tokio::test]
async fn a_worker_that_stood_still_too_long_is_superseded_and_the_overlap_is_flagged() {
    let mut cluster = cluster(1).await;
    let job = cluster.submit(["sleep 600"]).await;
    cluster.wait_state(job, TaskState::Running).await;
    cluster.start_worker(1).await;
    cluster.worker(0).signal(Signal::STOP);
    wait_running_on(&cluster, job, "worker-1").await;
    assert!(!cluster.job(job).await.overlap_possible, "nobody spoke of the first attempt yet");
    cluster.worker(0).signal(Signal::CONT);
    wait_until("the late attempt to be superseded", STEP_LIMIT, async || {
        let attempt = task(&cluster, job).await.attempts.remove(0);
        if attempt.late_time.is_some() { Ok(()) } else { Err(format!("{attempt:?}")) }
    })
    .await;
    let record = cluster.job(job).await;
    let attempts = record.task.as_ref().map(|task| task.attempts.clone()).unwrap_or_default();
    assert!(record.overlap_possible && attempts[0].overlap_possible, "{record:?}");
    assert_eq!(attempts[0].end_reason(), EndReason::Lost, "the first end stays: {record:?}");
    assert!(attempts[0].late_start_time.is_some() && attempts[0].lost_time.is_some(), "{record:?}");
    let page = cluster.cli(["describe", &job.to_string()]).ok().await;
    assert!(page.text().contains("Overlap"), "{}", page.describe());
    let record = cluster.cli(["inspect", &job.to_string()]).ok().await;
    assert!(record.text().contains("\"overlapPossible\""), "{}", record.describe());
    cluster.cli(["kill", &job.to_string()]).ok().await;
    cluster.wait(job).await.expect_code(137);
    wait_until("the returned worker to hold nothing", STEP_LIMIT, async || {
        let nodes = cluster.client().await.all_nodes().await.map_err(|error| error.to_string())?;
        if nodes.iter().all(|node| node.attempts == 0) { Ok(()) } else { Err(format!("{nodes:?}")) }
    })
    .await;
}

#[tokio::test]
async fn when_most_workers_are_silent_none_is_given_up_and_all_go_on_when_they_are_back() {
    let mut cluster = cluster(3).await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(cluster.submit(["--cpus", "4", "sleep 600"]).await);
    }
    for job in &jobs {
        cluster.wait_state(*job, TaskState::Running).await;
    }
    for n in [0, 1] {
        cluster.worker(n).signal(Signal::STOP);
    }
    wait_until("the brake to hold beyond lost-after", LOST_LIMIT, async || {
        let nodes = cluster.client().await.all_nodes().await.map_err(|error| error.to_string())?;
        let held = nodes.iter().filter(|node| {
            let silent = node.silent_duration.map_or(0, |silence| silence.seconds);
            silent > 32 && node.reasons.iter().any(|reason| reason.contains("2 of 3 nodes are silent"))
        });
        if held.count() == 2 { Ok(()) } else { Err(format!("{nodes:?}")) }
    })
    .await;
    for job in &jobs {
        assert_eq!(task(&cluster, *job).await.attempts.len(), 1, "nothing was replaced");
    }
    let events = cluster.cli(["events"]).ok().await;
    assert!(events.text().contains("MassLoss"), "{}", events.describe());
    for n in [0, 1] {
        cluster.worker(n).signal(Signal::CONT);
    }
    wait_until("every node to be ready", STEP_LIMIT, async || {
        let nodes = cluster.client().await.all_nodes().await.map_err(|error| error.to_string())?;
        let ready = nodes.iter().all(|node| node.state() == v1::node::State::Ready);
        if ready { Ok(()) } else { Err(format!("{nodes:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_drain_with_a_deadline_hands_over_what_still_runs() {
    let mut cluster = cluster(1).await;
    let stays = cluster.submit(["sleep 600"]).await;
    let ends = cluster.submit(["sleep 1; exit 9"]).await;
    let last = cluster.submit(["--on-lost", "fail", "sleep 600"]).await;
    for job in [stays, last] {
        cluster.wait_state(job, TaskState::Running).await;
    }
    cluster.start_worker(1).await;
    cluster.cli(["node", "drain", "--deadline", "4s", "worker-0"]).ok().await;
    let nodes = cluster.cli(["node", "ls"]).ok().await;
    assert!(nodes.text().contains("draining:"), "{}", nodes.describe());
    cluster.wait(ends).await.expect_code(9);
    assert_eq!(task(&cluster, ends).await.attempts.len(), 1, "it ended by itself in time");
    wait_running_on(&cluster, stays, "worker-1").await;
    let first = task(&cluster, stays).await.attempts.remove(0);
    assert_eq!(first.end_reason(), EndReason::Lost, "{first:?}");
    assert!(first.message.contains("worker-0 was drained"), "{first:?}");
    assert!(first.lost_time.is_none(), "its worker told its end: {first:?}");
    cluster.wait(last).await;
    let record = cluster.job(last).await;
    assert_eq!(record.state(), v1::job::State::Failed, "{record:?}");
    assert!(record.message.contains("worker-0 was drained"), "{record:?}");
}
