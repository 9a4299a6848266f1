//! What a loaded leader and a loaded worker hold in memory, and whether it grows while nothing new comes.

use std::process::ExitCode;
use std::time::Duration;

use dockmgr_proto::v1;
use dockmgr_tests::figures::{self, Table, mib};
use dockmgr_tests::process::Process;
use dockmgr_tests::stand_in::StandIn;
use dockmgr_tests::{Cluster, load, wait_until};

const QUEUED: usize = 100_000;
const WORKERS: usize = 200;
const LEADER_GOAL: u64 = 200 << 20;
const ATTEMPTS: usize = 100;
const WORKER_GOAL: u64 = 100 << 20;
/// Growth between the first and the last third of a watch that counts as none: noise of the allocator.
const FLAT: u64 = 2 << 20;
/// Unless `DOCKMGR_BENCH_SECONDS` says otherwise.
const WATCH: u64 = 45;

#[tokio::main]
async fn main() -> ExitCode {
    figures::expect_release();
    let mut table = Table::default();
    leader(&mut table).await;
    worker(&mut table).await;
    table.print("memory (resident), watched while the load is steady")
}

async fn leader(table: &mut Table) {
    let mut cluster = Cluster::builder().workers(0).start().await;
    let mut workers = Vec::new();
    for n in 0..WORKERS {
        workers.push(StandIn::open(&cluster, &format!("stand-in-{n}"), Duration::from_secs(2)).await);
    }
    table.note("leader: 200 idle workers", mib(cluster.coordinator().memory()));
    load::submit_many(&cluster, QUEUED).await;
    let seen = watch(cluster.coordinator()).await;
    verdict(table, "leader: 100,000 queued jobs, 200 workers", LEADER_GOAL, &seen);
    let lost = workers.iter().filter(|worker| worker.has_ended()).count();
    table.goal("leader: sessions that were cut", "0", lost.to_string(), lost == 0);
}

async fn worker(table: &mut Table) {
    let mut cluster = Cluster::builder().cpus("64").memory("64GiB").start().await;
    // A hundred times 1 MB/s.
    let script = "while true; do fake:fill 50000 dockmgr; sleep 0.05; done";
    let last = u32::try_from(ATTEMPTS - 1).expect("few");
    let array = v1::ArraySpec { first: 0, last, max_running: 0 };
    let spec = v1::JobSpec { array: Some(array), ..load::spec(script) };
    table.note("worker: idle", mib(cluster.worker(0).memory()));
    let job = load::submit(&cluster.client().await, spec).await;
    wait_until("all tasks to run", Duration::from_secs(120), async || {
        let counts = cluster.job(job).await.tasks.unwrap_or_default();
        let running = u64::from(counts.running);
        if running == ATTEMPTS as u64 { Ok(()) } else { Err(format!("{counts:?}")) }
    })
    .await;
    let seen = watch(cluster.worker(0)).await;
    verdict(table, "worker: 100 attempts at 1 MB/s each", WORKER_GOAL, &seen);
    table.note("leader meanwhile", mib(cluster.coordinator().memory()));
    cluster.cli(["kill", &job.to_string()]).ok().await;
}

/// The memory of a process, every quarter of a second.
async fn watch(process: &Process) -> Vec<u64> {
    let given = std::env::var("DOCKMGR_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    let mut seen = Vec::new();
    for _ in 0..given.unwrap_or(WATCH) * 4 {
        tick.tick().await;
        seen.push(process.memory());
    }
    seen
}

fn verdict(table: &mut Table, what: &str, goal: u64, seen: &[u64]) {
    let most = seen.iter().copied().max().unwrap_or_default();
    table.goal(what, &format!("< {}", mib(goal)), mib(most), most < goal);
    let third = seen.len() / 3;
    let mean = |part: &[u64]| part.iter().sum::<u64>() / part.len().max(1) as u64;
    // The first third is the load settling.
    let (before, after) = (mean(&seen[third..2 * third]), mean(&seen[2 * third..]));
    let growth = after.saturating_sub(before);
    table.goal("  its growth meanwhile", &format!("< {}", mib(FLAT)), mib(growth), growth < FLAT);
}
