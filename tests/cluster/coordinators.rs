//! Several coordinators as one service: whoever is asked answers, and the death of one is a pause for nobody but its caller.

use std::time::Duration;

use dockmgr_proto::v1;
use dockmgr_tests::failover::Failover;
use dockmgr_tests::raw::Api;
use dockmgr_tests::{Cluster, STEP_LIMIT, load, needs, wait_until};
use tokio::time::Instant;
use tonic::Code;
use tonic_types::StatusExt as _;

/// A job that writes 40 numbered lines in some eight seconds and exits with 9.
const COUNTING: &str = "for i in $(seq 1 40); do echo line $i; sleep 0.2; done; exit 9";

fn counted() -> String {
    (1..=40).map(|n| format!("line {n}\n")).collect()
}

#[tokio::test]
async fn whichever_coordinator_is_asked_the_leader_answers() {
    if !needs::etcd() {
        return;
    }
    let cluster = Cluster::builder().coordinators(3).start().await;
    let leader = cluster.leader().await;
    for n in 0..3 {
        assert_eq!(cluster.leader_by(n).await, Ok(leader), "asked {n}");
        let at = |args: &[&str]| cluster.cli(args.to_vec()).env("DOCKMGR_SERVER", cluster.server_of(n));
        let script = "for i in 1 2 3; do echo out $i; echo err $i >&2; sleep 0.1; done; exit 7";
        let run = at(&["run", script]).run().await.expect_code(7);
        assert_eq!(run.stdout, b"out 1\nout 2\nout 3\n", "{}", run.describe());
        assert_eq!(run.stderr, b"err 1\nerr 2\nerr 3\n", "{}", run.describe());
        assert!(at(&["node", "ls"]).ok().await.text().contains("worker-0"));
        at(&["describe", "4711"]).run().await.expect_code(1).expect_error("4711");
        let job = at(&["submit", "sleep 300"]).ok().await.text();
        at(&["stop", &job]).ok().await;
        at(&["wait", &job]).run().await;
        assert!(at(&["events"]).ok().await.text().contains("worker-0"), "events come from the leader");
    }
}

#[tokio::test]
async fn a_refusal_crosses_a_follower_with_all_its_details_and_a_forwarded_call_goes_no_further() {
    if !needs::etcd() {
        return;
    }
    let cluster = Cluster::builder().workers(0).coordinators(2).start().await;
    let follower = cluster.follower().await;
    let api = Api::at(&cluster, &cluster.server_of(follower)).await.expect("it listens");
    let unknown = v1::GetJobRequest { job: "4711".to_owned(), explain: false };
    let refused = api.jobs().get_job(unknown.clone()).await.expect_err("no such job");
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(refused.get_details_error_info().expect("details").reason, "JOB_NOT_FOUND");

    let mut marked = tonic::Request::new(unknown.clone());
    marked.metadata_mut().insert("dockmgr-forwarded", "1".parse().expect("ascii"));
    let refused = api.jobs().get_job(marked).await.expect_err("it was forwarded already");
    assert_eq!(refused.code(), Code::Unavailable);
    let details = refused.get_error_details();
    assert_eq!(details.error_info().expect("details").reason, "NOT_LEADER");
    assert!(details.retry_info().is_some());

    let mut hasty = tonic::Request::new(v1::WaitJobRequest {
        job: "4711".to_owned(),
        timeout: Some(Duration::from_secs(20).into()),
    });
    hasty.set_timeout(Duration::from_millis(1));
    let late = api.jobs().wait_job(hasty).await.expect_err("a deadline holds on the way, too");
    assert!(matches!(late.code(), Code::DeadlineExceeded | Code::Cancelled | Code::NotFound), "{late:?}");

    let nobody = dockmgr_proto::v1::job_service_client::JobServiceClient::new(api.channel());
    let refused = { nobody }.get_job(unknown).await.expect_err("the leader asks for a token");
    assert_eq!(refused.code(), Code::Unauthenticated, "the token is the caller's, not the coordinator's");
}

#[tokio::test]
async fn without_a_leader_a_call_waits_a_little_and_is_then_told_to_come_again() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().workers(0).own_etcd(1, &[]).coordinators(2).start().await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let api = Api::at(&cluster, &cluster.server_of(follower)).await.expect("it listens");
    // Nobody can be elected without etcd, and the leader resigns when it dies.
    cluster.etcd().kill(0).await;
    cluster.kill_coordinator_n(leader).await;
    let began = Instant::now();
    let request = v1::ListJobsRequest { page_size: 1, ..v1::ListJobsRequest::default() };
    let refused = api.jobs().list_jobs(request.clone()).await.expect_err("nobody leads");
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(refused.get_details_retry_info().is_some(), "{refused:?}");
    assert!(began.elapsed() < Duration::from_secs(8), "an answer comes in time: {:?}", began.elapsed());
    cluster.etcd().restart(0).await;
    assert_eq!(cluster.leader().await, follower);
    api.jobs().list_jobs(request).await.expect("it leads now");
}

#[tokio::test]
async fn while_a_dead_leader_still_has_its_lease_calls_to_the_others_wait_for_the_next() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().workers(0).coordinators(3).start().await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let api = Api::at(&cluster, &cluster.server_of(follower)).await.expect("it listens");
    cluster.kill_coordinator_n(leader).await;
    for _ in 0..10 {
        let began = Instant::now();
        let request = v1::ListJobsRequest { page_size: 1, ..v1::ListJobsRequest::default() };
        let Err(refused) = api.jobs().list_jobs(request).await else { return };
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        // A refusal at once would be repeated ever more slowly, and the next leader be found late.
        assert!(began.elapsed() > Duration::from_secs(3), "{:?}: {refused:?}", began.elapsed());
    }
    panic!("nobody leads");
}

#[tokio::test]
async fn a_killed_leader_is_replaced_and_nothing_that_runs_notices() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().coordinators(3).workers(2).start().await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let run = cluster.cli(["run", COUNTING]).env("DOCKMGR_SERVER", cluster.server_of(follower)).spawn();
    run.expect_stdout("line 3\n", STEP_LIMIT).await;
    let waiting = cluster.cli(["wait", "1"]).spawn();
    cluster.kill_coordinator_n(leader).await;
    let began = Instant::now();
    let job = cluster.submit(["exit 5"]).await;
    let pause = began.elapsed();
    assert!(pause < Duration::from_secs(30), "the next leader took {pause:?}");
    let output = run.wait(STEP_LIMIT).await.expect_code(9);
    assert_eq!(String::from_utf8_lossy(&output.stdout), counted(), "{}", output.describe());
    waiting.wait(STEP_LIMIT).await.expect_code(9);
    cluster.wait(job).await.expect_code(5);
    assert_eq!(cluster.logs(1).await.text(), counted().trim_end());
    assert_eq!(cluster.job(1).await.task.expect("one task").attempts.len(), 1);
    assert_ne!(cluster.leader().await, leader);
}

#[tokio::test]
async fn every_leader_that_dies_is_replaced_and_no_submit_is_refused() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().coordinators(3).start().await;
    let submits = tokio::spawn(load::keep_submitting(cluster.client().await, Duration::from_millis(50)));
    for _ in 0..3 {
        let trial = Failover::of(&mut cluster).await;
        // `make bench-failover` measures; here only a cluster that stays without a leader fails.
        assert!(trial.answered < Duration::from_secs(40), "{trial:?}");
    }
    assert!(!submits.is_finished(), "a submit failed");
    submits.abort();
}

#[tokio::test]
async fn e06_the_leader_lets_etcd_forget_old_revisions() {
    if !needs::etcd() {
        return;
    }
    let often = ["--etcd-compact-every", "300ms", "--etcd-keep-revisions", "5"];
    let mut cluster =
        Cluster::builder().own_etcd(1, &[]).coordinators(2).coordinator_args(&often).start().await;
    let before = cluster.etcd().revision().await;
    for _ in 0..5 {
        cluster.run(["echo x; exit 3"]).await.expect_code(3);
    }
    wait_until("the old revision to be forgotten", STEP_LIMIT, async || {
        let asked = cluster.etcd().try_ctl(&["get", "a", "--rev", &before.to_string()]).await;
        match asked {
            Err(text) if text.contains("compacted") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let leader = cluster.leader().await;
    cluster.kill_coordinator_n(leader).await;
    cluster.run(["exit 4"]).await.expect_code(4);
    assert_eq!(
        cluster.job(1).await.task.and_then(|task| task.attempts.last().and_then(|a| a.exit_code)),
        Some(3)
    );
}
