//! The fault matrix on real processes: each test is named after its row. What is not here is listed in `docs/faults.md`.

mod etcd;
mod network;
mod output;
mod processes;

use std::time::Duration;

use dockmgr_proto::v1;
use dockmgr_tests::{Builder, Cluster, STEP_LIMIT};
use tokio::sync::watch;

/// Times so short that a lost worker is replaced within the test: suspect 2 s, fence 4 s, lost 12 s.
fn soon_lost(builder: Builder) -> Builder {
    builder.loss_times(Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(12))
}

/// A job that exits with `code`.
fn exits_with(code: u8) -> v1::JobSpec {
    let args = vec!["sh".to_owned(), "-c".to_owned(), format!("exit {code}")];
    let form = Some(v1::command::Form::Argv(v1::Argv { args }));
    v1::JobSpec { command: Some(v1::Command { form, entrypoint: None }), ..v1::JobSpec::default() }
}

/// A script that writes `lines` numbered lines, one each 200 ms, and exits with 9; and what it writes.
fn counting(lines: u32) -> (String, String) {
    let script = format!("for i in $(seq 1 {lines}); do echo line $i; sleep 0.2; done; exit 9");
    (script, (1..=lines).map(|n| format!("line {n}\n")).collect())
}

/// The attempts of a plain job.
async fn attempts(cluster: &Cluster, job: u64) -> Vec<v1::Attempt> {
    cluster.job(job).await.task.expect("one task").attempts
}

/// The job ended with 9 in its first attempt, and its output is whole.
async fn counted_once(cluster: &Cluster, job: u64, due: &str) {
    cluster.wait(job).await.expect_code(9);
    assert_eq!(cluster.logs(job).await.text(), due.trim_end());
    let attempts = attempts(cluster, job).await;
    assert_eq!(attempts.len(), 1, "{attempts:?}");
}

/// Submits jobs until `stop` says so and counts in `acknowledged`; those that were acknowledged, and their codes. Goes on after
/// errors.
async fn submit_all_the_time(
    client: dockmgr_client::Client,
    stop: watch::Receiver<bool>,
    count: watch::Sender<usize>,
) -> Vec<(u64, u8)> {
    let mut acknowledged = Vec::new();
    for n in 0_u64.. {
        if *stop.borrow() {
            break;
        }
        let code = u8::try_from(n % 200).expect("below 200");
        let request =
            v1::CreateJobRequest { spec: Some(exits_with(code)), ..v1::CreateJobRequest::default() };
        let answer = tokio::time::timeout(Duration::from_secs(20), client.create_job(request)).await;
        if let Ok(Ok(v1::CreateJobResponse { job: Some(job), .. })) = answer {
            acknowledged.push((job.id, code));
            count.send_replace(acknowledged.len());
        }
    }
    acknowledged
}

/// Waits until `more` further submits were acknowledged.
async fn submits_go_on(acknowledged: &mut watch::Receiver<usize>, more: usize) {
    let due = *acknowledged.borrow() + more;
    let reached = acknowledged.wait_for(|count| *count >= due);
    let reached = tokio::time::timeout(STEP_LIMIT, reached).await;
    assert!(reached.is_ok_and(|reached| reached.is_ok()), "submits stand still");
}

/// Every acknowledged job exists once and ends with its code.
async fn all_are_there(cluster: &Cluster, acknowledged: &[(u64, u8)]) {
    let client = cluster.client().await;
    for (job, code) in acknowledged {
        let ended = client.wait_until_ended(&job.to_string(), Some(Duration::from_secs(60))).await;
        let ended = ended.unwrap_or_else(|error| panic!("job {job} was acknowledged: {error}"));
        assert_eq!(ended.and_then(|job| job.exit_code), Some(i32::from(*code)), "job {job}");
    }
}
