//! Rows L and C: output under faults, and clocks.

use std::time::Duration;

use dockmgr_proto::v1::TaskState;
use dockmgr_tests::{Cluster, needs};

use crate::attempts;

#[tokio::test]
async fn l01_output_is_exact_whoever_is_killed_while_it_is_written() {
    const LINES: u64 = 200_000;
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().coordinators(2).start().await;
    let pieces: Vec<String> =
        (0..20).map(|n| format!("seq {} {}; sleep 0.7", n * LINES / 20 + 1, (n + 1) * LINES / 20)).collect();
    let job = cluster.submit([format!("{}; exit 9", pieces.join("; "))]).await;
    cluster.wait_state(job, TaskState::Running).await;
    let follow = cluster.cli(["logs", "--follow", &job.to_string()]).limit(Duration::from_secs(120)).spawn();
    for _ in 0..3 {
        cluster.kill_worker(0).await;
        cluster.start_worker(0).await;
        let leader = cluster.leader().await;
        cluster.kill_coordinator_n(leader).await;
        cluster.start_coordinator_n(leader).await;
    }
    cluster.wait(job).await.expect_code(9);
    let due: String = (1..=LINES).map(|n| format!("{n}\n")).collect();
    let kept = cluster.logs(job).await.stdout;
    assert!(kept == due.as_bytes(), "{} bytes kept, {} due", kept.len(), due.len());
    let followed = follow.wait(Duration::from_secs(60)).await;
    assert!(followed.stdout == due.as_bytes(), "{} bytes followed, {} due", followed.stdout.len(), due.len());
    assert_eq!(attempts(&cluster, job).await.len(), 1);
}

#[tokio::test]
async fn l07_a_reader_that_begins_beyond_the_end_gets_nothing_and_no_error() {
    let cluster = Cluster::fake().await;
    cluster.run(["echo one; echo two; exit 3"]).await.expect_code(3);
    let read = async |offset: u64| {
        let attempt = Some(dockmgr_proto::v1::AttemptRef { job_id: 1, task_index: 0, attempt: 1 });
        let stream = dockmgr_proto::v1::LogStream::Stdout.into();
        let request = dockmgr_proto::v1::GetLogsRequest { attempt, stream, offset, max_bytes: 0 };
        cluster.client().await.get_logs(request).await
    };
    assert_eq!(read(2).await.expect("an answer").data, b"e\ntwo\n".as_slice());
    assert!(read(8).await.expect("an answer").data.is_empty());
    match read(1 << 40).await {
        Ok(answer) => assert!(answer.data.is_empty()),
        Err(error) => assert_eq!(error.code(), Some(tonic::Code::OutOfRange), "{error}"),
    }
}

#[tokio::test]
async fn c04_a_time_zone_changes_no_time_that_is_stored_or_sent() {
    let cluster = Cluster::builder().worker_env("TZ", "Pacific/Kiritimati").start().await;
    cluster.run(["exit 0"]).await.expect_code(0);
    let told = async |zone: &str| {
        let json = cluster.cli(["inspect", "1"]).env("TZ", zone).ok().await.json();
        json.to_string()
    };
    let (here, there) = (told("UTC").await, told("America/St_Johns").await);
    assert!(here.contains("\"createTime\":\"20") && !here.contains("+14:00"), "{here}");
    assert_eq!(here, there);
    let job = cluster.job(1).await;
    let placed = attempts(&cluster, 1).await[0].start_time.expect("it started").seconds;
    let created = job.create_time.expect("it was created").seconds;
    assert!(placed.abs_diff(created) < 3600, "{created} {placed}");
}
