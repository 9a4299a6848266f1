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
