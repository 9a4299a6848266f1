//! One stream from a worker's spool to durable acknowledgement, beside `docker logs -f` of the very same container.
//!
//! The coordinator is away while the job writes, so the worker spools everything. Then the container has ended and still
//! exists, because its output is not durable yet: Docker's program reads its kept log, and the coordinator comes back.

use std::process::Stdio;
use std::time::{Duration, Instant};

use dockmgr_proto::v1::TaskState;
use dockmgr_tests::Cluster;
use dockmgr_tests::figures::{Table, percentile};
use dockmgr_tests::wait_until;
use tokio::process::Command;

const ROUNDS: usize = 3;
/// A line is a hundred bytes with its newline.
const LINES: u64 = 2_621_440;
const BYTES: u64 = LINES * 100;
const GOAL: f64 = 2.0;
/// Writing, spooling or reading all of it takes far less, even beside other work.
const LIMIT: Duration = Duration::from_secs(300);

pub(crate) async fn measure(table: &mut Table) {
    let (mut ours, mut read, mut docker) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut cluster = Cluster::builder().docker().start().await;
        let job = spool(&mut cluster).await;
        docker.push(docker_logs(&cluster).await);
        ours.push(acknowledge(&mut cluster).await);
        cluster.wait(job).await;
        let begun = Instant::now();
        let mut logs = cluster.cli_command();
        run(logs.args(["logs", &job.to_string()])).await;
        read.push(begun.elapsed());
        cluster.expect_clean().await;
    }
    let [ours, read, docker] = [ours, read, docker].map(|mut times| percentile(&mut times, 50));
    let ratio = docker.as_secs_f64() / ours.as_secs_f64();
    table.note("`docker logs -f`, 262 MB of one container", rate(docker));
    table.goal(
        "the same bytes, spool to durable acknowledgement",
        ">= 2.0x",
        format!("{} = {ratio:.1}x", rate(ours)),
        ratio >= GOAL,
    );
    let ratio = docker.as_secs_f64() / read.as_secs_f64();
    table.note("the same bytes, `cluster-cli logs`", format!("{} = {ratio:.1}x", rate(read)));
}

/// Runs a job whose output the worker has spooled whole while there is no coordinator.
async fn spool(cluster: &mut Cluster) -> u64 {
    // As many bytes in each line as its format makes of a number.
    let line =
        "%012.0f INFO request=served path=/api/v1/jobs user=builder status=200 duration=0.0042 note=any";
    assert_eq!(line.len() - "%012.0f".len() + 12, 99, "a line of a hundred bytes");
    let script = format!("until [ -e /tmp/go ]; do sleep 0.1; done; seq -f '{line}' {LINES}");
    let job = cluster.submit(["--log-limit", "1GiB", &script]).await;
    cluster.wait_state_within(job, TaskState::Running, LIMIT).await;
    let container = container(cluster).await;
    cluster.kill_coordinator().await;
    run(Command::new("docker").args(["exec", &container, "touch", "/tmp/go"])).await;
    wait_until("all output to be spooled", LIMIT, async || {
        let files = cluster.spool_files();
        let bytes: u64 = files.iter().filter_map(|file| file.metadata().ok()).map(|about| about.len()).sum();
        let running = container_state(&container).await;
        if bytes >= BYTES && running == "exited" { Ok(()) } else { Err(format!("{bytes} bytes, {running}")) }
    })
    .await;
    job
}

async fn container(cluster: &Cluster) -> String {
    let there = cluster.on_docker().await.containers;
    there.into_iter().next().expect("a running job has a container")
}

async fn container_state(name: &str) -> String {
    dockmgr_tests::docker::docker(&["inspect", "--format", "{{.State.Status}}", name]).await
}

async fn docker_logs(cluster: &Cluster) -> Duration {
    let container = container(cluster).await;
    let begun = Instant::now();
    run(Command::new("docker").args(["logs", "-f", &container])).await;
    begun.elapsed()
}

/// From the first byte that the coordinator keeps to the empty spool: the worker gives it up when the end is durable.
async fn acknowledge(cluster: &mut Cluster) -> Duration {
    cluster.start_coordinator().await;
    let kept = cluster.kept_output();
    let first = async {
        while cluster.kept_output() == kept && !cluster.spool_files().is_empty() {
            pause().await;
        }
    };
    tokio::time::timeout(LIMIT, first).await.expect("the upload begins");
    let begun = Instant::now();
    let all = async {
        while !cluster.spool_files().is_empty() {
            pause().await;
        }
    };
    tokio::time::timeout(LIMIT, all).await.expect("the upload ends");
    let took = begun.elapsed();
    assert!(cluster.kept_output() >= BYTES, "all of it is kept");
    took
}

/// Fine beside the second that is measured; a look at two folders costs microseconds.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}

/// Runs a program whose output nobody keeps.
async fn run(command: &mut Command) {
    let done = command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).status();
    let status = tokio::time::timeout(LIMIT, done).await.expect("it ends in time").expect("it can be run");
    assert!(status.success(), "{command:?}: {status}");
}

fn rate(time: Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a figure of three digits")]
    let rate = BYTES as f64 / 1e6 / time.as_secs_f64();
    format!("{rate:.0} MB/s")
}
