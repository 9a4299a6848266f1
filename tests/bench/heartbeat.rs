//! Whether heartbeats are acknowledged in time while readers of logs stand still and a worker floods.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use dockmgr_proto::v1::{self, TaskState};
use dockmgr_tests::figures::{self, Table, mib, millis, percentile};
use dockmgr_tests::raw::Api;
use dockmgr_tests::stand_in::StandIn;
use dockmgr_tests::{Cluster, load, wait_until};

const READERS: usize = 200;
const FLOODS: usize = 3;
/// Each flood writes this much in a second.
const FLOOD_RATE: u64 = 100_000_000;
const GOAL: Duration = Duration::from_millis(100);
const WATCH: Duration = Duration::from_secs(15);
/// Workers whose heartbeats are timed, and how often each sends one.
const WORKERS: usize = 10;
const INTERVAL: Duration = Duration::from_millis(50);

#[tokio::main]
async fn main() -> ExitCode {
    figures::expect_release();
    let mut table = Table::default();
    let mut cluster = Cluster::builder().cpus("64").memory("64GiB").start().await;
    let mut workers = Vec::new();
    for n in 0..WORKERS {
        workers.push(StandIn::open(&cluster, &format!("stand-in-{n}"), INTERVAL).await);
    }
    phase(&mut table, "quiet", &workers, &cluster, None).await;
    let floods = flood(&cluster).await;
    let readers = stalled_readers(&cluster, floods[0]).await;
    phase(&mut table, "200 stalled readers and a flood", &workers, &cluster, Some(floods[0])).await;
    table.note("leader's memory at its most", mib(cluster.coordinator().peak_memory()));
    drop(readers);
    for job in floods {
        cluster.cli(["kill", &job.to_string()]).ok().await;
    }
    table.print("heartbeats while logs are busy: 10 sessions, one heartbeat each every 50 ms, for 15 s")
}

async fn phase(table: &mut Table, name: &str, workers: &[StandIn], cluster: &Cluster, flood: Option<u64>) {
    for worker in workers {
        worker.take();
    }
    let before = cluster.kept_output();
    let begun = Instant::now();
    // A measurement needs its time; there is no condition to wait for.
    tokio::time::sleep(WATCH).await;
    let mut times: Vec<Duration> = workers.iter().flat_map(StandIn::take).collect();
    let millis_passed = u64::try_from(begun.elapsed().as_millis()).expect("a short time").max(1);
    let kept = (cluster.kept_output() - before) / 1000 / millis_passed;
    let (middle, high) = (percentile(&mut times, 50), percentile(&mut times, 99));
    table.note(&format!("{name}: p50"), millis(middle));
    table.goal(&format!("{name}: p99"), &format!("< {}", millis(GOAL)), millis(high), high < GOAL);
    table.note(&format!("{name}: most"), millis(percentile(&mut times, 100)));
    if flood.is_some() {
        table.note(&format!("{name}: output taken in"), format!("{kept} MB/s"));
    }
}

/// Jobs that together write 300 MB/s.
async fn flood(cluster: &Cluster) -> Vec<u64> {
    let client = cluster.client().await;
    let script = format!("while true; do fake:fill {} dockmgr; sleep 0.01; done", FLOOD_RATE / 100);
    let mut jobs = Vec::new();
    for _ in 0..FLOODS {
        // More than the flood can write while it is measured.
        let spec = v1::JobSpec { log_limit_bytes: 8 << 30, ..load::spec(&script) };
        jobs.push(load::submit(&client, spec).await);
    }
    for job in &jobs {
        cluster.wait_state(*job, TaskState::Running).await;
    }
    jobs
}

/// Readers that follow a flood and take nothing.
async fn stalled_readers(cluster: &Cluster, job: u64) -> Vec<tonic::Streaming<v1::TailLogsResponse>> {
    wait_until("some output", Duration::from_secs(30), async || {
        if cluster.kept_output() > 1 << 20 { Ok(()) } else { Err("none".to_owned()) }
    })
    .await;
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let request =
            v1::TailLogsRequest { job: job.to_string(), follow: true, ..v1::TailLogsRequest::default() };
        let stream = Api::of(cluster).await.logs().tail_logs(request).await.expect("the job is there");
        readers.push(stream.into_inner());
    }
    readers
}
