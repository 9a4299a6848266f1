//! How long a coordinator that was killed takes to answer again with a hundred thousand tasks in its store.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use dockmgr_proto::v1;
use dockmgr_tests::figures::{self, Table, mib, seconds};
use dockmgr_tests::{Cluster, Store, load, needs};

const TASKS: usize = 100_000;
/// From the start of the process to the answer about a job.
const GOAL: Duration = Duration::from_secs(3);
/// Starts that are measured; the slowest counts.
const STARTS: usize = 5;

#[tokio::main]
async fn main() -> ExitCode {
    figures::expect_release();
    let mut table = Table::default();
    measure(&mut table, "embedded store", Store::Redb, End::Killed).await;
    if needs::etcd() {
        // The lease of a leader that was killed lasts for seconds, whatever is stored.
        measure(&mut table, "etcd", Store::Etcd, End::Orderly).await;
    }
    table.print("recovery of 100,000 stored tasks, the slowest of 5 starts (kill -9; on etcd an orderly end)")
}

/// How the coordinator ends before a start.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Killed,
    Orderly,
}

async fn measure(table: &mut Table, name: &str, store: Store, end: End) {
    let mut cluster = Cluster::builder().store(store).workers(0).start().await;
    let filling = Instant::now();
    load::submit_many(&cluster, TASKS).await;
    table.note(&format!("{name}: 100,000 submits, 64 at a time"), seconds(filling.elapsed()));
    let slowest = slowest_start(&mut cluster, end).await;
    let what = format!("{name}: as 100,000 queued jobs");
    table.goal(&what, &format!("< {}", seconds(GOAL)), seconds(slowest), slowest < GOAL);
    let memory = cluster.coordinator().memory();
    table.note(&format!("{name}: memory after it"), mib(memory));
    drop(cluster);
    let mut cluster = Cluster::builder().store(store).workers(0).start().await;
    load::submit_array(&cluster, TASKS).await;
    let stop = v1::StopJobRequest { job: "1".to_owned(), ..v1::StopJobRequest::default() };
    cluster.client().await.stop_job(stop).await.expect("the job is there");
    let slowest = slowest_start(&mut cluster, end).await;
    let what = format!("{name}: as the ended tasks of one array");
    table.goal(&what, &format!("< {}", seconds(GOAL)), seconds(slowest), slowest < GOAL);
}

async fn slowest_start(cluster: &mut Cluster, end: End) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..STARTS {
        match end {
            End::Killed => cluster.kill_coordinator().await,
            End::Orderly => cluster.stop_coordinator_n(0).await,
        }
        let begun = Instant::now();
        cluster.start_coordinator().await;
        // Serving is said when it leads; the first answer comes when everything is loaded.
        cluster.job(1).await;
        slowest = slowest.max(begun.elapsed());
    }
    slowest
}
