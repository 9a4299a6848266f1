//! Packed output in storage that speaks S3, with kills of everything at the worst moments.

use std::fs;
use std::path::Path;

use dockmgr_proto::v1;
use dockmgr_tests::raw::Api;
use dockmgr_tests::s3::S3Server;
use dockmgr_tests::{Cluster, STEP_LIMIT, needs, programs, wait_until};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::process::Command;
use tonic::Code;

const TEXT: &str = "seq 9000";

fn expected() -> Vec<u8> {
    (1..=9_000).flat_map(|n| format!("{n}\n").into_bytes()).collect()
}

async fn packed(logs: &Path, jobs: &[u64]) {
    wait_until("all output to be packed", STEP_LIMIT * 2, async || {
        let left = jobs.iter().find(|job| logs.join(job.to_string()).exists());
        left.map_or(Ok(()), |job| Err(format!("job {job} has plain files")))
    })
    .await;
}

async fn read(cluster: &Cluster, job: u64) -> Result<v1::GetLogsResponse, tonic::Status> {
    let api = Api::at(cluster, &cluster.server()).await.expect("connects");
    let attempt = v1::AttemptRef { job_id: job, task_index: 0, attempt: 1 };
    let stream = v1::LogStream::Stdout.into();
    let request = v1::GetLogsRequest { attempt: Some(attempt), stream, ..v1::GetLogsRequest::default() };
    api.logs().get_logs(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn output_packed_in_s3_survives_kills_of_the_coordinator_and_of_the_storage_at_any_moment() {
    let folder = TempDir::new().expect("a folder");
    let mut s3 = S3Server::start(folder.path()).await;
    let mut cluster =
        Cluster::builder().log_store(&s3).coordinator_args(&["--seal-after", "10ms"]).start().await;
    let logs = cluster.coordinator_folder().join("logs");
    let mut jobs = Vec::new();
    for round in 0..4 {
        // The coordinator begins to pack and waits for an answer.
        s3.signal(Signal::STOP);
        let job = cluster.submit(["--wait", TEXT]).await;
        jobs.push(job);
        assert!(logs.join(job.to_string()).exists(), "a plain file goes last");
        cluster.kill_coordinator().await;
        if round % 2 == 0 {
            s3.signal(Signal::CONT);
        } else {
            s3.kill().await;
        }
        cluster.start_coordinator().await;
        // While it is away nothing waits for it.
        jobs.push(cluster.submit(["--wait", TEXT]).await);
        if round % 2 != 0 {
            s3.start_again().await;
        }
    }
    packed(&logs, &jobs).await;
    assert!(!s3.objects("segments").is_empty());
    for job in &jobs {
        assert!(cluster.logs(*job).await.stdout == expected(), "job {job}");
    }
    // Started while it is away, a coordinator says what cannot be read now, and shows what it takes in.
    s3.kill().await;
    cluster.kill_coordinator().await;
    cluster.start_coordinator().await;
    let refused = read(&cluster, jobs[0]).await.expect_err("its storage is away");
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    let fresh = cluster.submit(["--wait", TEXT]).await;
    assert!(cluster.logs(fresh).await.stdout == expected());
    s3.start_again().await;
    packed(&logs, &[fresh]).await;
    for job in jobs.iter().chain([&fresh]) {
        assert!(cluster.logs(*job).await.stdout == expected(), "job {job}");
    }
}

#[tokio::test]
async fn another_coordinator_serves_what_a_leader_packed_in_s3() {
    if !needs::etcd() {
        return;
    }
    let folder = TempDir::new().expect("a folder");
    let s3 = S3Server::start(folder.path()).await;
    let mut cluster = Cluster::builder()
        .coordinators(2)
        .log_store(&s3)
        .coordinator_args(&["--seal-after", "10ms"])
        .start()
        .await;
    let job = cluster.submit(["--wait", TEXT]).await;
    packed(&cluster.folder().join("logs"), &[job]).await;
    let leader = cluster.leader().await;
    cluster.kill_coordinator_n(leader).await;
    cluster.leader().await;
    assert!(cluster.logs(job).await.stdout == expected());
}

#[tokio::test]
async fn fsck_names_what_is_damaged_in_s3_and_makes_indexes_anew() {
    let folder = TempDir::new().expect("a folder");
    let s3 = S3Server::start(folder.path()).await;
    let mut cluster =
        Cluster::builder().log_store(&s3).coordinator_args(&["--seal-after", "10ms"]).start().await;
    let job = cluster.submit(["--wait", TEXT]).await;
    packed(&cluster.coordinator_folder().join("logs"), &[job]).await;
    let data = cluster.coordinator_folder();
    let fsck = async |more: &[&str]| {
        let mut command = Command::new(programs::binary("dockmgr-coordinator"));
        command.args(["fsck", "--log-store", &s3.place(), "--data"]).arg(&data).args(more);
        let output = command.envs(s3.variables()).output().await.expect("it runs");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).expect("text"))
    };
    let (code, text) = fsck(&[]).await;
    assert_eq!(code, Some(0), "beside a coordinator: {text}");
    assert!(text.contains("read 1 segments") && text.contains("nothing is damaged"), "{text}");
    cluster.stop_coordinator().await;
    let object = s3.objects("segments").remove(0);
    let whole = fs::read(&object).expect("there");
    let damage = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&object, bytes).expect("written");
    };
    damage(100);
    let (code, text) = fsck(&["--repair"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("bad: segments/") && text.contains(&format!("not whole: {job}.0.1")), "{text}");
    damage(whole.len() - 9);
    assert_eq!(fsck(&[]).await.0, Some(1), "it changes nothing unless it is asked to");
    let (code, text) = fsck(&["--repair"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("mended: segments/"), "{text}");
    assert_eq!((s3.objects("damaged").len(), s3.objects("segments").len()), (1, 1));
    let (code, text) = fsck(&[]).await;
    assert_eq!(code, Some(0), "{text}");
    cluster.start_coordinator().await;
    assert!(cluster.logs(job).await.stdout == expected());
}
