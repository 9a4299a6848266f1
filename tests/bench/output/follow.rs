//! How long a line takes from the write in a container to the standard output of `cluster-cli logs -f`.
//!
//! Each line is the clock before it was written, so the figure holds the shell's own time for that too.

use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dockmgr_proto::v1::TaskState;
use dockmgr_tests::Cluster;
use dockmgr_tests::figures::{Table, millis, percentile};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{ChildStdout, Command};

const GOAL: Duration = Duration::from_millis(50);
/// A line every 20 ms and what `date` takes.
const LINES: usize = 1000;
/// Lines that both readers have seen before it counts: connections are made, buffers are there.
const WARM: usize = 50;
/// Far longer than all lines take.
const LIMIT: Duration = Duration::from_secs(180);

pub(crate) async fn measure(table: &mut Table) {
    let cluster = Cluster::builder().docker().start().await;
    let job = cluster.submit(["while true; do date +%s%N; sleep 0.02; done"]).await;
    cluster.wait_state_within(job, TaskState::Running, LIMIT).await;
    let mut ours = cluster.cli_command();
    let mut ours = latencies(ours.args(["logs", "-f", "--tail", "0", &job.to_string()])).await;
    let containers = cluster.on_docker().await.containers;
    let container = containers.first().expect("a running job has a container");
    let mut docker = latencies(Command::new("docker").args(["logs", "-f", "--tail", "0", container])).await;
    cluster.cli(["kill", &job.to_string()]).ok().await;
    cluster.expect_clean().await;
    table.note("write to `docker logs -f`: p50", millis(percentile(&mut docker, 50)));
    table.note("write to `docker logs -f`: p99", millis(percentile(&mut docker, 99)));
    table.note("write to `cluster-cli logs -f`: p50", millis(percentile(&mut ours, 50)));
    let high = percentile(&mut ours, 99);
    table.goal(
        "write to `cluster-cli logs -f`: p99",
        &format!("< {}", millis(GOAL)),
        millis(high),
        high < GOAL,
    );
    table.note("write to `cluster-cli logs -f`: most", millis(percentile(&mut ours, 100)));
}

/// How late the lines come that `command` prints.
async fn latencies(command: &mut Command) -> Vec<Duration> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program is there");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let seen = tokio::time::timeout(LIMIT, take(&mut lines)).await.expect("lines come");
    child.kill().await.expect("it still runs");
    seen
}

async fn take(lines: &mut Lines<BufReader<ChildStdout>>) -> Vec<Duration> {
    let mut seen = Vec::new();
    for n in 0..LINES + WARM {
        let line = lines.next_line().await.expect("text").expect("it follows on");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set");
        let written = Duration::from_nanos(line.trim().parse().expect("a line is a time"));
        if n >= WARM {
            seen.push(now.saturating_sub(written));
        }
    }
    seen
}
