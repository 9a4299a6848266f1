//! Rows P: programs that die, hang and come back.

use std::time::Duration;

use dockmgr_proto::v1::{self, TaskState};
use dockmgr_tests::raw::Api;
use dockmgr_tests::{Cluster, STEP_LIMIT, eventually, needs, wait_until};
use rustix::process::Signal;
use tokio::sync::watch;

use crate::{
    all_are_there, attempts, counted_once, counting, exits_with, soon_lost, submit_all_the_time,
    submits_go_on,
};

#[tokio::test]
async fn p01_a_leader_killed_under_load_loses_no_acknowledged_submit() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().coordinators(3).cpus("64").memory("64GiB").start().await;
    let (stop, stopped) = watch::channel(false);
    let client = cluster.client().await;
    let (count, mut counted) = watch::channel(0);
    let submitting = tokio::spawn(submit_all_the_time(client, stopped, count));
    for _ in 0..2 {
        submits_go_on(&mut counted, 20).await;
        let leader = cluster.leader().await;
        cluster.kill_coordinator_n(leader).await;
        let killed = tokio::time::Instant::now();
        assert_ne!(cluster.leader().await, leader);
        let pause = killed.elapsed();
        assert!(pause < Duration::from_secs(30), "the failover took {pause:?}");
        cluster.start_coordinator_n(leader).await;
    }
    submits_go_on(&mut counted, 5).await;
    stop.send_replace(true);
    let acknowledged = submitting.await.expect("the submitter does not panic");
    all_are_there(&cluster, &acknowledged).await;
}

#[tokio::test]
async fn p02_a_submit_whose_answer_died_with_the_coordinator_is_repeated_to_the_same_job() {
    let mut cluster = Cluster::builder().coordinator_only().await;
    for round in 0_u64..8 {
        let request_id = dockmgr_client::new_request_id();
        let mut spec = exits_with(0);
        spec.labels.insert("round".to_owned(), round.to_string());
        let request =
            v1::CreateJobRequest { spec: Some(spec), request_id, ..v1::CreateJobRequest::default() };
        let (client, first) = (cluster.client().await, request.clone());
        let answer = tokio::spawn(async move { client.create_job(first).await });
        tokio::time::sleep(Duration::from_micros(round * 700)).await;
        cluster.kill_coordinator().await;
        cluster.start_coordinator().await;
        let again = cluster.client().await.create_job(request).await.expect("an answer").job.expect("a job");
        if let Ok(Ok(first)) = answer.await {
            assert_eq!(first.job.expect("a job").id, again.id, "round {round}");
        }
        let filter = format!("labels.round = \"{round}\"");
        let list = v1::ListJobsRequest { filter, ..v1::ListJobsRequest::default() };
        let found = cluster.client().await.list_jobs(list).await.expect("an answer").jobs;
        assert_eq!(found.iter().map(|job| job.id).collect::<Vec<_>>(), [again.id], "round {round}");
    }
}

#[tokio::test]
async fn p05_a_leader_that_slept_through_its_lease_steps_down_and_changes_nothing() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().coordinators(2).start().await;
    let (script, due) = counting(30);
    let job = cluster.submit([script.as_str()]).await;
    cluster.wait_state(job, TaskState::Running).await;
    let (old, new) = (cluster.leader().await, cluster.follower().await);
    cluster.coordinator_n(old).signal(Signal::STOP);
    wait_until("another leader", STEP_LIMIT, async || match cluster.leader_by(new).await {
        Ok(leader) if leader == new => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let during =
        cluster.cli(["submit", "exit 5"]).env("DOCKMGR_SERVER", cluster.server_of(new)).ok().await.text();
    cluster.coordinator_n(old).signal(Signal::CONT);
    wait_until("the old leader to follow", STEP_LIMIT, async || match cluster.leader_by(old).await {
        Ok(leader) if leader == new => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    cluster.cli(["wait", &during]).env("DOCKMGR_SERVER", cluster.server_of(old)).run().await.expect_code(5);
    counted_once(&cluster, job, &due).await;
}

#[tokio::test]
async fn p05_what_a_sleeping_leader_had_queued_is_never_written() {
    const CALLS: u8 = 24;
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().coordinators(2).cpus("64").memory("64GiB").start().await;
    let (old, new) = (cluster.leader().await, cluster.follower().await);
    let server = cluster.server_of(old);
    let keys: Vec<String> = (0..CALLS).map(|_| dockmgr_client::new_request_id()).collect();
    let request = |n: u8| {
        let mut spec = exits_with(n);
        spec.labels.insert("call".to_owned(), n.to_string());
        let request_id = keys[usize::from(n)].clone();
        v1::CreateJobRequest { spec: Some(spec), request_id, ..v1::CreateJobRequest::default() }
    };
    let mut calls = Vec::new();
    for n in 0..CALLS {
        let (api, request) = (Api::at(&cluster, &server).await.expect("it listens"), request(n));
        calls.push(tokio::spawn(async move { api.jobs().create_job(request).await }));
    }
    // Some are on their way to it, some in its queues, some in etcd.
    cluster.coordinator_n(old).signal(Signal::STOP);
    wait_until("another leader", STEP_LIMIT, async || match cluster.leader_by(new).await {
        Ok(leader) if leader == new => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let client = cluster.client_at(&cluster.server_of(new)).await.expect("it answers");
    let count = async |n: u8| {
        let filter = format!("labels.call = \"{n}\"");
        let list = v1::ListJobsRequest { filter, ..v1::ListJobsRequest::default() };
        let jobs = client.list_jobs(list).await.expect("an answer").jobs;
        jobs.iter().map(|job| job.id).collect::<Vec<_>>()
    };
    let mut written = Vec::new();
    for n in 0..CALLS {
        written.push(count(n).await);
    }
    cluster.coordinator_n(old).signal(Signal::CONT);
    wait_until("the old leader to follow", STEP_LIMIT, async || match cluster.leader_by(old).await {
        Ok(leader) if leader == new => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    for (n, call) in (0..CALLS).zip(calls) {
        let answer = call.await.expect("the call does not panic");
        let before = written[usize::from(n)].clone();
        match answer.map(|answer| answer.into_inner().job.expect("a job").id) {
            // Passed on to the new leader after it woke up, or told by the old one before it slept.
            Ok(id) => assert_eq!(count(n).await, [id], "call {n}"),
            Err(_) => assert_eq!(count(n).await, before, "call {n} was written after it was refused"),
        }
        let again = client.create_job(request(n)).await.expect("an answer").job.expect("a job").id;
        assert_eq!(count(n).await, [again], "call {n}");
    }
}

#[tokio::test]
async fn p06_jobs_end_without_any_coordinator_and_are_reported_later() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().coordinators(2).start().await;
    let mut jobs = Vec::new();
    for code in 1..=5 {
        jobs.push(cluster.submit([format!("echo {code}; sleep 2; echo end; exit {code}")]).await);
    }
    for job in &jobs {
        cluster.wait_state(*job, TaskState::Running).await;
    }
    for n in 0..2 {
        cluster.kill_coordinator_n(n).await;
    }
    let told = cluster.worker_folder(0).join("fake/executions");
    eventually("all jobs to end by themselves", STEP_LIMIT, async || {
        std::fs::read_to_string(&told)
            .is_ok_and(|text| text.lines().filter(|l| l.starts_with('E')).count() == 5)
    })
    .await;
    for n in 0..2 {
        cluster.start_coordinator_n(n).await;
    }
    for (job, code) in jobs.into_iter().zip(1..) {
        cluster.wait(job).await.expect_code(code);
        assert_eq!(cluster.logs(job).await.text(), format!("{code}\nend"));
        assert_eq!(attempts(&cluster, job).await.len(), 1);
    }
}

#[tokio::test]
async fn p07_a_coordinator_in_a_crash_loop_does_not_grow_its_state() {
    let mut cluster = Cluster::fake().await;
    let (script, due) = counting(100);
    let job = cluster.submit([script.as_str()]).await;
    cluster.wait_state(job, TaskState::Running).await;
    let size = |cluster: &Cluster| -> u64 {
        let files = std::fs::read_dir(cluster.coordinator_folder()).expect("the data folder is there");
        files
            .flatten()
            .filter_map(|file| file.metadata().ok())
            .filter(std::fs::Metadata::is_file)
            .map(|m| m.len())
            .sum()
    };
    let before = size(&cluster);
    for _ in 0..20 {
        cluster.kill_coordinator().await;
        cluster.start_coordinator().await;
    }
    let after = size(&cluster);
    assert!(after <= before * 2 + (1 << 20), "{before} bytes became {after}");
    counted_once(&cluster, job, &due).await;
}

#[tokio::test]
async fn p08_a_second_coordinator_on_the_same_store_is_refused_and_disturbs_nothing() {
    let cluster = Cluster::fake().await;
    let run = cluster.second_coordinator().kill_on_drop(true).output();
    let output = tokio::time::timeout(STEP_LIMIT, run).await.expect("in time").expect("it starts");
    assert_eq!(output.status.code(), Some(75), "{}", String::from_utf8_lossy(&output.stderr));
    cluster.run(["exit 3"]).await.expect_code(3);
}

#[tokio::test]
async fn p10_a_restarted_worker_adopts_a_hundred_running_containers() {
    let mut cluster = Cluster::builder().cpus("64").memory("256GiB").start().await;
    let script = "echo begin $DOCKMGR_TASK; sleep 6; echo end $DOCKMGR_TASK; exit 4";
    let job = cluster.submit(["--array", "0-99", "--cpus", "0.5", script]).await;
    let running = async |cluster: &Cluster| cluster.job(job).await.tasks.expect("counts").running;
    wait_until("all to run", STEP_LIMIT, async || match running(&cluster).await {
        100 => Ok(()),
        some => Err(some.to_string()),
    })
    .await;
    cluster.kill_worker(0).await;
    cluster.start_worker(0).await;
    cluster.wait(job).await.expect_code(4);
    let request =
        v1::ListTasksRequest { job: job.to_string(), page_size: 1000, ..v1::ListTasksRequest::default() };
    let tasks = cluster.client().await.list_tasks(request).await.expect("an answer").tasks;
    assert_eq!(tasks.len(), 100);
    for task in tasks {
        assert_eq!((task.attempts.len(), task.exit_code), (1, Some(4)), "{task:?}");
        let name = format!("{job}.{}", task.index);
        let (index, text) = (task.index, cluster.cli(["logs", &name]).ok().await.text());
        assert_eq!(text, format!("begin {index}\nend {index}"));
    }
}

#[tokio::test]
async fn p11_a_container_that_ended_while_its_worker_was_dead_is_found() {
    let mut cluster = Cluster::fake().await;
    let job = cluster.submit(["echo before; sleep 1; echo after; exit 6"]).await;
    cluster.wait_state(job, TaskState::Running).await;
    let started = tokio::time::Instant::now();
    cluster.kill_worker(0).await;
    eventually("the container to end", STEP_LIMIT, async || started.elapsed() > Duration::from_millis(1500))
        .await;
    cluster.start_worker(0).await;
    cluster.wait(job).await.expect_code(6);
    assert_eq!(cluster.logs(job).await.text(), "before\nafter");
    assert_eq!(attempts(&cluster, job).await.len(), 1);
}

#[tokio::test]
async fn p13_the_work_of_a_worker_that_does_not_return_is_done_by_another() {
    let mut cluster = soon_lost(Cluster::builder().workers(2)).start().await;
    let job = cluster.submit(["--on-lost", "retry", "echo here; sleep 5; exit 8"]).await;
    let waits = cluster.submit(["--on-lost", "wait", "sleep 5; exit 7"]).await;
    for job in [job, waits] {
        cluster.wait_state(job, TaskState::Running).await;
    }
    let node = |attempts: &[v1::Attempt]| -> usize {
        attempts[0].node_name.trim_start_matches("worker-").parse().expect("our names end in numbers")
    };
    let lost = node(&attempts(&cluster, job).await);
    cluster.kill_worker(lost).await;
    cluster.wait(job).await.expect_code(8);
    let task = attempts(&cluster, job).await;
    assert_eq!(task.len(), 2, "{task:?}");
    assert_eq!(task[0].end_reason(), v1::EndReason::Lost, "{task:?}");
    assert_ne!(task[1].node_name, task[0].node_name);
    // What it left is taken away when it does return, and what only waits is not done twice.
    cluster.start_worker(lost).await;
    cluster.wait(waits).await.expect_code(7);
    assert_eq!(attempts(&cluster, waits).await.len(), 1);
    let told = cluster.worker_folder(lost).join("fake/executions");
    eventually("an empty daemon", STEP_LIMIT, async || {
        let text = std::fs::read_to_string(&told).unwrap_or_default();
        let count = |kind| text.lines().filter(|line| line.starts_with(kind)).count();
        count('C') == count('R')
    })
    .await;
}

#[tokio::test]
async fn p14_a_short_pause_of_a_worker_changes_nothing() {
    let mut cluster = soon_lost(Cluster::builder()).start().await;
    let (script, due) = counting(20);
    let job = cluster.submit([script.as_str()]).await;
    cluster.wait_state(job, TaskState::Running).await;
    cluster.worker(0).signal(Signal::STOP);
    cluster.wait_state(job, TaskState::Unknown).await;
    cluster.worker(0).signal(Signal::CONT);
    counted_once(&cluster, job, &due).await;
}

#[tokio::test]
async fn p14_a_worker_paused_beyond_its_loss_is_replaced_and_its_late_word_changes_nothing() {
    let mut cluster = soon_lost(Cluster::builder().workers(2)).start().await;
    let job = cluster.submit(["--on-lost", "retry", "sleep 5; exit 8"]).await;
    cluster.wait_state(job, TaskState::Running).await;
    let name = attempts(&cluster, job).await[0].node_name.clone();
    let paused: usize = name.trim_start_matches("worker-").parse().expect("our names end in numbers");
    cluster.worker(paused).signal(Signal::STOP);
    cluster.wait(job).await.expect_code(8);
    let before = cluster.job(job).await;
    cluster.worker(paused).signal(Signal::CONT);
    cluster.wait_ready().await;
    let after = cluster.job(job).await;
    assert_eq!((after.exit_code, after.end_reason()), (before.exit_code, before.end_reason()));
    let task = after.task.expect("one task");
    assert_eq!(task.attempts.len(), 2, "{task:?}");
    assert_eq!(task.attempts[0].end_reason(), v1::EndReason::Lost, "{task:?}");
}

#[tokio::test]
async fn p17_a_rolling_restart_under_load_loses_nothing() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().coordinators(3).cpus("64").memory("64GiB").start().await;
    let (script, due) = counting(60);
    let job = cluster.submit([script.as_str()]).await;
    let (stop, stopped) = watch::channel(false);
    let client = cluster.client().await;
    let (count, mut counted) = watch::channel(0);
    let submitting = tokio::spawn(submit_all_the_time(client, stopped, count));
    for n in 0..3 {
        submits_go_on(&mut counted, 10).await;
        cluster.stop_coordinator_n(n).await;
        cluster.start_coordinator_n(n).await;
    }
    stop.send_replace(true);
    let acknowledged = submitting.await.expect("the submitter does not panic");
    all_are_there(&cluster, &acknowledged).await;
    counted_once(&cluster, job, &due).await;
}

#[tokio::test]
async fn p18_a_command_line_that_dies_leaves_its_job_alone_and_may_ask_again() {
    let cluster = Cluster::fake().await;
    let args = ["run", "--key", "mine", "echo begun; sleep 2; exit 3"];
    let run = cluster.cli(args).spawn();
    run.expect_stdout("begun\n", STEP_LIMIT).await;
    run.signal(Signal::KILL);
    drop(run);
    let again = cluster.cli(args).run().await.expect_code(3);
    assert_eq!(again.stdout, b"begun\n", "{}", again.describe());
    assert_eq!(cluster.cli(["ps", "-a", "-q"]).ok().await.text(), "1");
}
