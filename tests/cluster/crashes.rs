//! Nothing acknowledged is missing, whenever the coordinator dies.

use std::time::Duration;

use dockmgr_proto::v1::{self, TaskState};
use dockmgr_tests::{Cluster, Store};

use crate::on_both_stores;

/// How often the coordinator dies while jobs are submitted.
const KILLS: usize = 5;
/// Jobs submitted between two deaths are at least this many.
const JOBS_A_LIFE: usize = 20;

on_both_stores!(
    no_acknowledged_submit_is_lost_by_kill_9_of_the_coordinator,
    running_jobs_outlive_the_coordinator_with_codes_and_output,
);

async fn no_acknowledged_submit_is_lost_by_kill_9_of_the_coordinator(store: Store) {
    let mut cluster = Cluster::builder().store(store).cpus("64").memory("64GiB").start().await;
    let mut acknowledged = Vec::new();
    for _ in 0..KILLS {
        let (told, mut heard) = tokio::sync::mpsc::channel(1000);
        let client = cluster.client().await;
        let submitting = tokio::spawn(async move {
            for n in 0_u64.. {
                let code = u8::try_from(n % 200).expect("below 200");
                let request =
                    v1::CreateJobRequest { spec: Some(exits_with(code)), ..v1::CreateJobRequest::default() };
                // Over when the coordinator is gone.
                let answer = tokio::time::timeout(Duration::from_secs(2), client.create_job(request)).await;
                let Ok(Ok(v1::CreateJobResponse { job: Some(job), .. })) = answer else { return };
                if told.send((job.id, code)).await.is_err() {
                    return;
                }
            }
        });
        let mut life = Vec::new();
        while life.len() < JOBS_A_LIFE {
            life.push(heard.recv().await.expect("submits go on while the coordinator lives"));
        }
        cluster.kill_coordinator().await;
        while let Some(job) = heard.recv().await {
            life.push(job);
        }
        submitting.await.expect("the submitter does not panic");
        acknowledged.extend(life);
        cluster.start_coordinator().await;
    }
    let mut numbers: Vec<u64> = acknowledged.iter().map(|(job, _)| *job).collect();
    numbers.dedup();
    assert!(
        numbers.is_sorted() && numbers.len() == acknowledged.len(),
        "numbers grow and are given once: {numbers:?}"
    );
    let client = cluster.client().await;
    for (job, code) in acknowledged {
        let ended = client.wait_until_ended(&job.to_string(), Some(Duration::from_secs(60))).await;
        let ended = ended.unwrap_or_else(|error| panic!("job {job} was acknowledged: {error}"));
        assert_eq!(ended.and_then(|job| job.exit_code), Some(i32::from(code)), "job {job}");
    }
}

fn exits_with(code: u8) -> v1::JobSpec {
    let args = vec!["sh".to_owned(), "-c".to_owned(), format!("exit {code}")];
    let form = Some(v1::command::Form::Argv(v1::Argv { args }));
    v1::JobSpec { command: Some(v1::Command { form, entrypoint: None }), ..v1::JobSpec::default() }
}

async fn running_jobs_outlive_the_coordinator_with_codes_and_output(store: Store) {
    let mut cluster = Cluster::builder().store(store).start().await;
    let script = "for i in $(seq 1 30); do echo line $i; sleep 0.2; done; exit 9";
    let mut run = cluster.cli(["run", script]).spawn();
    run.expect_stdout("line 1\n", dockmgr_tests::STEP_LIMIT).await;
    let waiting = cluster.cli(["wait", "1"]).spawn();
    // By then the wait has found the coordinator, too.
    run.expect_stdout("line 10\n", dockmgr_tests::STEP_LIMIT).await;
    cluster.kill_coordinator().await;
    assert!(run.is_running(), "run waits for the coordinator to come back");
    cluster.start_coordinator().await;
    let due: String = (1..=30).map(|n| format!("line {n}\n")).collect();
    let output = run.wait(dockmgr_tests::STEP_LIMIT).await.expect_code(9);
    assert_eq!(output.text(), due.trim_end(), "{}", output.describe());
    waiting.wait(dockmgr_tests::STEP_LIMIT).await.expect_code(9);
    assert_eq!(cluster.logs(1).await.text(), due.trim_end());
    assert_eq!(cluster.job(1).await.task.expect("one task").attempts.len(), 1);
}

#[tokio::test]
async fn a_job_that_ended_while_nobody_listened_is_reported_later() {
    let mut cluster = Cluster::fake().await;
    let job = cluster.submit(["echo alone; sleep 1; echo still alone; exit 4"]).await;
    cluster.wait_state(job, TaskState::Running).await;
    cluster.kill_coordinator().await;
    let ended = tokio::time::Instant::now() + Duration::from_secs(2);
    dockmgr_tests::eventually("the job to end by itself", dockmgr_tests::STEP_LIMIT, async || {
        tokio::time::Instant::now() >= ended
    })
    .await;
    cluster.start_coordinator().await;
    cluster.wait(job).await.expect_code(4);
    assert_eq!(cluster.logs(job).await.stdout, b"alone\nstill alone\n");
}

#[tokio::test]
async fn an_idempotency_key_survives_the_coordinator() {
    let mut cluster = Cluster::fake().await;
    let submit = async |cluster: &Cluster, script: &str| {
        cluster.cli(["submit", "--key", "nightly", script]).run().await
    };
    let first = submit(&cluster, "exit 0").await.expect_code(0).text();
    assert_eq!(submit(&cluster, "exit 0").await.expect_code(0).text(), first);
    cluster.kill_coordinator().await;
    cluster.start_coordinator().await;
    assert_eq!(submit(&cluster, "exit 0").await.expect_code(0).text(), first);
    submit(&cluster, "exit 1").await.expect_code(1).expect_error("nightly");
    assert_eq!(cluster.cli(["ps", "-a", "-q"]).ok().await.text(), first);
}

#[tokio::test]
async fn a_drain_and_the_queue_survive_the_coordinator() {
    let mut cluster = Cluster::fake().await;
    cluster.cli(["node", "drain", "worker-0"]).ok().await;
    let low = cluster.submit(["--priority", "-1", "exit 1"]).await;
    let high = cluster.submit(["--priority", "1", "exit 2"]).await;
    cluster.kill_coordinator().await;
    cluster.start_coordinator().await;
    cluster.wait_ready_or_draining().await;
    assert_eq!(cluster.job(high).await.queue_position, 1);
    assert_eq!(cluster.job(low).await.queue_position, 2);
    cluster.cli(["node", "resume", "worker-0"]).ok().await;
    cluster.wait(low).await.expect_code(1);
    cluster.wait(high).await.expect_code(2);
}
