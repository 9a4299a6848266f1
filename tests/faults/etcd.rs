//! Rows E: members of etcd that die and hang.

use std::time::Duration;

use dockmgr_proto::v1::{self, TaskState};
use dockmgr_tests::raw::Api;
use dockmgr_tests::{Cluster, STEP_LIMIT, needs, wait_until};
use tokio::time::Instant;
use tonic::Code;

use crate::{attempts, counted_once, counting, exits_with};

#[tokio::test]
async fn e01_one_member_of_three_may_die_at_any_time() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().own_etcd(3, &[]).coordinators(2).start().await;
    let (script, due) = counting(30);
    let job = cluster.submit([script.as_str()]).await;
    for n in 0..3 {
        cluster.etcd().kill(n).await;
        let began = Instant::now();
        cluster.cli(["submit", "--wait", "exit 4"]).run().await.expect_code(4);
        let pause = began.elapsed();
        assert!(pause < Duration::from_secs(25), "without member {n} a job took {pause:?}");
        cluster.etcd().restart(n).await;
    }
    counted_once(&cluster, job, &due).await;
}

#[tokio::test]
async fn e02_without_a_majority_nothing_is_promised_and_nothing_that_runs_is_disturbed() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().own_etcd(3, &[]).start().await;
    let (script, due) = counting(40);
    let job = cluster.submit(["--on-lost", "wait", &script]).await;
    cluster.wait_state(job, TaskState::Running).await;
    for n in [0, 1] {
        cluster.etcd().kill(n).await;
    }
    let api = Api::of(&cluster).await;
    let began = Instant::now();
    let request = v1::CreateJobRequest { spec: Some(exits_with(0)), ..v1::CreateJobRequest::default() };
    let refused = tokio::time::timeout(Duration::from_secs(30), api.jobs().create_job(request)).await;
    let refused = refused.expect("an answer in time").expect_err("nothing can be promised");
    assert!(matches!(refused.code(), Code::Unavailable | Code::DeadlineExceeded), "{refused:?}");
    assert!(began.elapsed() < Duration::from_secs(20), "refused after {:?}", began.elapsed());
    for n in [0, 1] {
        cluster.etcd().launch(n);
    }
    let back = Instant::now();
    cluster.cli(["submit", "--wait", "exit 4"]).run().await.expect_code(4);
    assert!(back.elapsed() < Duration::from_secs(30), "served again after {:?}", back.elapsed());
    counted_once(&cluster, job, &due).await;
}

#[tokio::test]
async fn e03_an_etcd_that_slept_makes_nobody_lost() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = crate::soon_lost(Cluster::builder().own_etcd(1, &[]).workers(2)).start().await;
    let (script, due) = counting(80);
    let job = cluster.submit(["--on-lost", "wait", &script]).await;
    let retried = cluster.submit(["--on-lost", "retry", "sleep 25; exit 3"]).await;
    for job in [job, retried] {
        cluster.wait_state(job, TaskState::Running).await;
    }
    cluster.etcd().pause();
    let paused = Instant::now();
    wait_until("more than the lease's time", STEP_LIMIT, async || {
        if paused.elapsed() > Duration::from_secs(12) { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    cluster.etcd().resume();
    counted_once(&cluster, job, &due).await;
    cluster.wait(retried).await.expect_code(3);
    let nodes = cluster.client().await.all_nodes().await.expect("an answer");
    assert!(nodes.iter().all(|node| node.state() == v1::node::State::Ready), "{nodes:?}");
    // Fenced by its own clock while no leader was there, perhaps; lost by nobody's word alone.
    assert!(attempts(&cluster, retried).await.len() <= 2);
}

#[tokio::test]
async fn e05_a_leader_whose_lease_was_revoked_steps_down_and_another_goes_on() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().own_etcd(1, &[]).coordinators(2).start().await;
    let (script, due) = counting(40);
    let job = cluster.submit([script.as_str()]).await;
    cluster.wait_state(job, TaskState::Running).await;
    for _ in 0..3 {
        let leader = cluster.leader().await;
        let list = cluster.etcd().ctl(&["lease", "list"]).await;
        // The first line counts them.
        for lease in list.lines().filter(|line| line.chars().all(|digit| digit.is_ascii_hexdigit())) {
            cluster.etcd().ctl(&["lease", "revoke", lease]).await;
        }
        cluster.cli(["submit", "--wait", "exit 4"]).run().await.expect_code(4);
        let ended =
            format!("coordinator{}.log", if leader == 0 { String::new() } else { format!("-{leader}") });
        let log = std::fs::read_to_string(cluster.folder().join(&ended)).unwrap_or_default();
        assert!(log.contains("no longer leading"), "{ended}: {log}");
    }
    counted_once(&cluster, job, &due).await;
}

#[tokio::test]
async fn e06_an_etcd_that_forgets_its_history_all_the_time_disturbs_nobody() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().own_etcd(1, &[]).coordinators(2).start().await;
    let (script, due) = counting(40);
    let job = cluster.submit([script.as_str()]).await;
    cluster.wait_state(job, TaskState::Running).await;
    for _ in 0..8 {
        cluster.cli(["submit", "--wait", "exit 4"]).run().await.expect_code(4);
        let status = cluster.etcd().ctl(&["endpoint", "status", "--write-out=json"]).await;
        let status: serde_json::Value = serde_json::from_str(status.trim()).expect("JSON");
        let revision = status[0]["Status"]["header"]["revision"].as_u64().expect("a revision");
        cluster.etcd().ctl(&["compact", &revision.to_string()]).await;
    }
    counted_once(&cluster, job, &due).await;
}

/// Interferes with the system calls of a program; ends when dropped.
struct Injection(dockmgr_tests::process::Process);

impl Injection {
    async fn of(cluster: &mut Cluster, what: &str) -> Self {
        let (log, member) = (cluster.folder().join("strace.log"), cluster.etcd().member(0).id());
        let mut command = tokio::process::Command::new("strace");
        command.args(["-f", "-p", &member.to_string(), "-e", "trace=fdatasync,fsync", "-e", what]);
        let tracer = dockmgr_tests::process::Process::start("strace", &mut command, &log);
        dockmgr_tests::eventually("strace to be attached", STEP_LIMIT, async || {
            std::fs::read_to_string(&log).is_ok_and(|text| text.contains("attached"))
        })
        .await;
        Self(tracer)
    }

    async fn end(mut self) {
        self.0.signal(rustix::process::Signal::INT);
        self.0.wait(STEP_LIMIT).await;
    }
}

#[tokio::test]
async fn e08_a_disk_of_etcd_that_is_slow_costs_time_and_one_that_fails_loses_nothing() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().own_etcd(1, &[]).coordinators(2).start().await;
    let (script, due) = counting(100);
    let job = cluster.submit(["--on-lost", "wait", &script]).await;
    cluster.wait_state(job, TaskState::Running).await;
    let slow = Injection::of(&mut cluster, "inject=fdatasync,fsync:delay_enter=500000").await;
    let began = Instant::now();
    cluster.cli(["submit", "--wait", "exit 4"]).run().await.expect_code(4);
    assert!(began.elapsed() < Duration::from_secs(30), "a job took {:?}", began.elapsed());
    slow.end().await;
    let before = cluster.submit(["exit 5"]).await;
    let broken = Injection::of(&mut cluster, "inject=fdatasync,fsync:error=EIO").await;
    let submit = cluster.cli(["submit", "exit 6"]).limit(Duration::from_secs(120)).spawn();
    wait_until("etcd to end rather than go on without its disk", STEP_LIMIT, async || {
        if cluster.etcd().member(0).has_ended() { Ok(()) } else { Err("it runs".to_owned()) }
    })
    .await;
    drop(broken);
    cluster.etcd().restart(0).await;
    let after = submit.wait(Duration::from_secs(60)).await;
    cluster.wait(before).await.expect_code(5);
    if after.code == 0 {
        cluster.cli(["wait", &after.text()]).run().await.expect_code(6);
    }
    counted_once(&cluster, job, &due).await;
}
