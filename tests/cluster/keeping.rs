//! What is kept and what is forgotten: records, output, removal.

use std::path::PathBuf;

use dockmgr_tests::{Cluster, STEP_LIMIT, Store, wait_until};
use serde_json::Value;

use crate::on_both_stores;

on_both_stores!(
    a_removed_job_is_forgotten_also_after_a_restart,
    packed_output_reads_as_before_also_after_a_kill_and_goes_with_its_job,
    output_beyond_its_limits_goes_and_is_said_to_be_gone_also_after_a_kill
);

async fn a_removed_job_is_forgotten_also_after_a_restart(store: Store) {
    let mut cluster = Cluster::builder().store(store).start().await;
    let gone = cluster.submit(["--wait", "echo gone"]).await;
    let kept = cluster.submit(["--wait", "echo kept"]).await;
    cluster.cli(["rm", "--logs", &gone.to_string()]).ok().await;
    cluster.kill_coordinator().await;
    cluster.start_coordinator().await;
    cluster.cli(["inspect", &gone.to_string()]).run().await.expect_code(1).expect_error(&gone.to_string());
    assert_eq!(cluster.cli(["ps", "-a", "-q"]).ok().await.text(), kept.to_string());
    // Numbers are never given twice.
    assert!(cluster.submit(["exit 0"]).await > kept);
}

async fn packed_output_reads_as_before_also_after_a_kill_and_goes_with_its_job(store: Store) {
    let packing = ["--seal-after", "10ms"];
    let mut cluster = Cluster::builder().store(store).coordinator_args(&packing).start().await;
    let text = "echo out; echo err >&2; printf 'no newline \\001\\377'; echo; seq 3";
    let many = cluster.submit(["--wait", "--array", "0-9", text]).await;
    let one = cluster.submit(["--wait", text]).await;
    let logs = cluster.coordinator_folder().join("logs");
    let plain = |job: u64| -> PathBuf { logs.join(job.to_string()) };
    let packed = async |cluster: &Cluster| {
        wait_until("all output to be packed", STEP_LIMIT, async || {
            let left = [many, one].into_iter().find(|job| plain(*job).exists());
            left.map_or(Ok(()), |job| Err(format!("job {job} has plain files")))
        })
        .await;
        (cluster.logs(one).await.stdout, cluster.cli(["logs", &format!("{many}.7")]).ok().await.stdout)
    };
    let before = packed(&cluster).await;
    assert!(before.0.starts_with(b"out\n") && before.0.ends_with(b"1\n2\n3\n"), "{:?}", before.0);
    assert_eq!(before.0, before.1);
    assert_eq!(cluster.cli(["logs", "-n", "2", &one.to_string()]).ok().await.text(), "2\n3");
    cluster.kill_coordinator().await;
    cluster.start_coordinator().await;
    assert_eq!(packed(&cluster).await, before);
    cluster.cli(["rm", "--logs", &one.to_string()]).ok().await;
    cluster.cli(["rm", &many.to_string()]).ok().await;
    wait_until("the output to be deleted", STEP_LIMIT, async || {
        let answer = cluster.cli(["logs", &one.to_string()]).run().await;
        if answer.code == 1 { Ok(()) } else { Err(answer.text()) }
    })
    .await;
    assert_eq!(cluster.cli(["logs", &format!("{many}.7")]).ok().await.stdout, before.1, "of a forgotten job");
    cluster.kill_coordinator().await;
    cluster.start_coordinator().await;
    cluster.cli(["logs", &one.to_string()]).run().await.expect_code(1).expect_error(&one.to_string());
}

async fn output_beyond_its_limits_goes_and_is_said_to_be_gone_also_after_a_kill(store: Store) {
    let limits = ["--seal-after", "10ms", "--retention-bytes", "1000000", "--retention-job-bytes", "600000"];
    let mut cluster = Cluster::builder().store(store).coordinator_args(&limits).start().await;
    // Bytes that cannot be packed.
    let ended = async |cluster: &Cluster, bytes: &str| -> String {
        cluster.submit(["--wait", &format!("fake:bytes {bytes}")]).await.to_string()
    };
    let large = ended(&cluster, "700000 1").await;
    let pinned = ended(&cluster, "280000 2").await;
    cluster.cli(["pin", &pinned]).ok().await;
    let oldest = ended(&cluster, "280000 3").await;
    let kept = [pinned, ended(&cluster, "280000 4").await, ended(&cluster, "280000 5").await];
    let gone = [(&large, "more than a job may keep"), (&oldest, "other jobs ended later")];
    wait_until("what is too much to go", 2 * STEP_LIMIT, async || {
        for (job, why) in gone {
            let answer = cluster.cli(["logs", job]).run().await;
            if answer.code != 1 || !answer.errors().contains(why) {
                return Err(answer.describe());
            }
        }
        Ok(())
    })
    .await;
    cluster.kill_coordinator().await;
    cluster.start_coordinator().await;
    for (job, why) in gone {
        let refused =
            cluster.cli(["logs", job]).run().await.expect_code(1).expect_error("deleted by retention");
        assert!(refused.stdout.is_empty(), "{}", refused.describe());
        assert!(cluster.cli(["describe", job]).ok().await.text().contains(why), "job {job}");
    }
    for job in kept {
        assert_eq!(cluster.cli(["logs", &job]).ok().await.stdout.len(), 280_000, "job {job}");
    }
}

#[tokio::test]
async fn a_pinned_job_and_its_output_stay_through_prune_rm_and_a_kill_until_it_is_unpinned() {
    let mut cluster = Cluster::fake().await;
    let [kept, other] =
        [cluster.submit(["sleep 1; echo kept"]).await, cluster.submit(["sleep 1; echo other"]).await];
    let (kept, other) = (kept.to_string(), other.to_string());
    cluster.cli(["pin", &kept]).ok().await;
    cluster.cli(["wait", &kept, &other]).ok().await;
    cluster.cli(["rm", &kept]).run().await.expect_code(1).expect_error("pinned");
    cluster.cli(["prune", "--yes"]).ok().await;
    cluster.kill_coordinator().await;
    cluster.start_coordinator().await;
    assert_eq!(cluster.cli(["ps", "-a", "-q"]).ok().await.text(), kept);
    assert_eq!(cluster.cli(["logs", &kept]).ok().await.text(), "kept");
    assert!(cluster.cli(["describe", &kept]).ok().await.text().contains("Pinned"));
    cluster.cli(["unpin", &kept]).ok().await;
    cluster.cli(["rm", &kept]).ok().await;
}

#[tokio::test]
async fn a_running_job_cannot_be_removed() {
    let cluster = Cluster::fake().await;
    let job = cluster.submit(["sleep 600"]).await;
    cluster.cli(["rm", &job.to_string()]).run().await.expect_code(1).expect_error("stop");
    cluster.cli(["retry", &job.to_string()]).run().await.expect_code(1);
}

#[tokio::test]
async fn prune_forgets_all_ended_jobs_and_only_those() {
    let cluster = Cluster::fake().await;
    for _ in 0..3 {
        cluster.submit(["--wait", "exit 0"]).await;
    }
    let running = cluster.submit(["sleep 600"]).await;
    cluster.cli(["prune"]).run().await.expect_code(2).expect_error("--yes");
    cluster.cli(["prune", "--yes"]).ok().await;
    assert_eq!(cluster.cli(["ps", "-a", "-q"]).ok().await.text(), running.to_string());
}

#[tokio::test]
async fn lists_can_be_filtered_and_written_for_programs() {
    let cluster = Cluster::fake().await;
    let red = cluster.submit(["--wait", "-l", "team=red", "exit 0"]).await;
    let blue =
        cluster.cli(["submit", "--wait", "-l", "team=blue", "exit 1"]).run().await.expect_code(1).text();
    let only = async |args: &[&str]| cluster.cli([&["ps", "-a", "-q"], args].concat()).ok().await.text();
    assert_eq!(only(&["-l", "team=red"]).await, red.to_string());
    assert_eq!(only(&["--state", "failed"]).await, blue);
    assert_eq!(only(&[]).await, format!("{blue}\n{red}"), "newest first");
    let json = cluster.cli(["ps", "-a", "-o", "json"]).ok().await.json();
    let jobs = json.as_array().or_else(|| json["jobs"].as_array()).expect("a list of jobs");
    assert_eq!(jobs.len(), 2);
    assert_eq!(jobs[0]["id"], Value::String(blue), "64-bit numbers are strings in protobuf's JSON");
    let lines = cluster.cli(["ps", "-a", "-o", "jsonl"]).ok().await;
    assert_eq!(lines.text().lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count(), 2);
    let record = cluster.cli(["inspect", &red.to_string()]).ok().await.json();
    assert_eq!(record["spec"]["labels"]["team"], "red");
    assert_eq!(record["state"], "STATE_SUCCEEDED");
}

#[tokio::test]
async fn a_page_is_never_longer_than_asked_and_no_job_is_missing() {
    let cluster = Cluster::fake().await;
    for _ in 0..7 {
        cluster.submit(["exit 0"]).await;
    }
    let client = cluster.client().await;
    let mut seen = Vec::new();
    let mut request = dockmgr_proto::v1::ListJobsRequest { page_size: 3, ..Default::default() };
    loop {
        let page = client.list_jobs(request.clone()).await.expect("a page");
        assert!(page.jobs.len() <= 3);
        seen.extend(page.jobs.iter().map(|job| job.id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
}
