//! An etcd without room: nothing is changed, everybody hears why, nothing that runs is disturbed, and it ends by itself.

use std::time::Duration;

use dockmgr_proto::v1;
use dockmgr_tests::raw::Api;
use dockmgr_tests::{Cluster, STEP_LIMIT, needs, wait_until};
use tokio::time::Instant;
use tonic::Code;
use tonic_types::StatusExt as _;

/// Room for a small cluster and little else.
const QUOTA: [&str; 2] = ["--quota-backend-bytes", "6000000"];
/// A job that writes 30 numbered lines in some six seconds and exits with 9.
const COUNTING: &str = "for i in $(seq 1 30); do echo line $i; sleep 0.2; done; exit 9";

fn counted() -> String {
    (1..=30).map(|n| format!("line {n}\n")).collect()
}

#[tokio::test]
async fn e07_without_room_the_leader_goes_on_and_says_what_to_do() {
    if !needs::etcd() {
        return;
    }
    let times = [3, 8, 16].map(Duration::from_secs);
    let builder = Cluster::builder().own_etcd(1, &QUOTA).coordinators(2);
    let mut cluster = builder.loss_times(times[0], times[1], times[2]).start().await;
    let leader = cluster.leader().await;
    let server = cluster.server_of(cluster.follower().await);
    let counting = cluster.submit([COUNTING]).await;
    let long = cluster.submit(["for i in $(seq 1 70); do echo tick; sleep 0.2; done; exit 7"]).await;
    let follow = cluster.cli(["logs", "-f", &counting.to_string()]).env("DOCKMGR_SERVER", &server).spawn();
    follow.expect_stdout("line 3\n", STEP_LIMIT).await;
    let events = cluster.cli(["events", "-f"]).spawn();
    cluster.etcd().fill().await;
    let full = Instant::now();

    let refused = cluster.cli(["submit", "exit 0"]).env("DOCKMGR_SERVER", &server).run().await;
    assert_ne!(refused.code, 0, "{}", refused.describe());
    refused.expect_error("takes no writes").expect_error("defrag");
    let api = Api::at(&cluster, &server).await.expect("it listens");
    let stop = v1::StopJobRequest { job: long.to_string(), ..v1::StopJobRequest::default() };
    let refused = api.jobs().stop_job(stop).await.expect_err("a stop is a change");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert_eq!(refused.get_details_error_info().expect("details").reason, "STORE_FULL");
    cluster.cli(["stop", &long.to_string()]).run().await.expect_error("defrag");
    cluster.cli(["node", "ls"]).ok().await.expect_error("takes no writes");
    assert!(cluster.cli(["doctor"]).run().await.text().contains("defrag"));
    events.expect_stdout("StoreFull", STEP_LIMIT).await;

    // Its output goes on, its end waits: longer than a lease lives and longer than a worker works without contact.
    follow.expect_stdout("line 30\n", STEP_LIMIT).await;
    wait_until("longer than the fence", STEP_LIMIT, async || {
        if full.elapsed() > times[1] + Duration::from_secs(7) { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    assert_eq!(cluster.leader().await, leader, "the lease needs no room");
    let task = cluster.job(counting).await.task.expect("one task");
    assert_eq!(task.state(), v1::TaskState::Running, "what is not stored is not told");

    cluster.etcd().make_room().await;
    cluster.wait(counting).await.expect_code(9);
    cluster.wait(long).await.expect_code(7);
    assert_eq!(cluster.leader().await, leader);
    let output = follow.wait(STEP_LIMIT).await.expect_code(0);
    assert_eq!(String::from_utf8_lossy(&output.stdout), counted(), "{}", output.describe());
    events.expect_stdout("StoreWritable", STEP_LIMIT).await;
    for job in [counting, long] {
        assert_eq!(cluster.job(job).await.task.expect("one task").attempts.len(), 1, "nothing ran twice");
    }
    cluster.run(["exit 5"]).await.expect_code(5);
    assert!(!cluster.cli(["node", "ls"]).ok().await.errors().contains("takes no writes"));
}

#[tokio::test]
async fn e07_without_room_and_without_a_leader_whoever_is_asked_says_why() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().workers(0).own_etcd(1, &QUOTA).coordinators(2).start().await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    cluster.etcd().fill().await;
    cluster.kill_coordinator_n(leader).await;
    let api = Api::at(&cluster, &cluster.server_of(follower)).await.expect("it listens");
    let request = v1::ListJobsRequest { page_size: 1, ..v1::ListJobsRequest::default() };
    wait_until("a refusal that says why", STEP_LIMIT, async || {
        match api.jobs().list_jobs(request.clone()).await {
            Err(refused) if refused.code() == Code::Unavailable && refused.message().contains("defrag") => {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    cluster.etcd().make_room().await;
    assert_eq!(cluster.leader().await, follower);
    api.jobs().list_jobs(request).await.expect("it leads now");
}
