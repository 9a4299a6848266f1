//! What a submit costs while thousands of connections say nothing and others flood.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use dockmgr_tests::figures::{self, Table, mib, millis, percentile};
use dockmgr_tests::frames::{END_HEADERS, Kind, RawConnection, call_headers, frame};
use dockmgr_tests::{Cluster, load};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt as _;

const SILENT: usize = 4000;
const GOAL: Duration = Duration::from_millis(500);
const IDLE_GOAL: f64 = 5.0;
const MEMORY_GOAL: u64 = 200 << 20;
const WATCH: Duration = Duration::from_secs(10);
const LIST: &str = "/dockmgr.v1.JobService/ListJobs";

#[tokio::main]
async fn main() -> ExitCode {
    figures::expect_release();
    let now = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: now.maximum, ..now }).expect("a process may raise it");
    let mut table = Table::default();
    let mut cluster = Cluster::builder().workers(0).start().await;
    submits(&mut table, "quiet", &cluster).await;
    let crowd = crowd(&cluster).await;
    let used = cluster.coordinator().cpu_time();
    // A measurement needs its time; the crowd's patience is longer.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let share = cluster.coordinator().cpu_time().saturating_sub(used).as_secs_f64() / 5.0 * 100.0;
    table.goal(
        "4,000 silent connections: processor",
        &format!("<= {IDLE_GOAL} %"),
        format!("{share:.1} %"),
        share <= IDLE_GOAL,
    );
    drop(crowd);
    let address = cluster.server();
    let silent = tokio::spawn(keep_silent(address.clone()));
    let floods: Vec<_> = floods(cluster.token().expose())
        .into_iter()
        .map(|(_, once, again)| tokio::spawn(keep_flooding(address.clone(), once, again)))
        .collect();
    submits(&mut table, "4,000 silent connections and floods", &cluster).await;
    silent.abort();
    floods.iter().for_each(tokio::task::JoinHandle::abort);
    let most = cluster.coordinator().peak_memory();
    table.goal("memory at its most", &format!("< {}", mib(MEMORY_GOAL)), mib(most), most < MEMORY_GOAL);
    table.print("submits beside hostile connections, each alone, one after the other")
}

async fn submits(table: &mut Table, name: &str, cluster: &Cluster) {
    let client = cluster.client().await;
    let mut times = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < WATCH {
        let asked = Instant::now();
        load::submit(&client, load::spec("exit 0")).await;
        times.push(asked.elapsed());
    }
    table.note(&format!("{name}: submits"), times.len().to_string());
    table.note(&format!("{name}: p50"), millis(percentile(&mut times, 50)));
    let high = percentile(&mut times, 99);
    table.goal(&format!("{name}: p99"), &format!("<= {}", millis(GOAL)), millis(high), high <= GOAL);
}

async fn crowd(cluster: &Cluster) -> Vec<RawConnection> {
    let mut crowd = Vec::new();
    for _ in 0..SILENT {
        crowd.push(RawConnection::silent(&cluster.server()).await.expect("it listens"));
    }
    crowd
}

/// Keeps as many silent connections open as the coordinator lets.
async fn keep_silent(server: String) {
    let mut crowd = std::collections::VecDeque::new();
    loop {
        crowd.extend(RawConnection::silent(&server).await.ok());
        if crowd.len() > SILENT {
            crowd.pop_front();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Floods on one connection after the other.
async fn keep_flooding(server: String, once: Vec<u8>, again: Vec<u8>) {
    loop {
        let Ok(mut connection) = RawConnection::open(&server).await else { continue };
        if connection.0.write_all(&once).await.is_ok() {
            connection.send_until_cut(&again, WATCH).await;
        }
    }
}

fn floods(token: &str) -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let headers = call_headers(LIST, token, &[]);
    let mut resets = Vec::new();
    for stream in (1..2001_u32).step_by(2) {
        resets.extend(frame(Kind::Headers, END_HEADERS, stream, &headers));
        resets.extend(frame(Kind::Reset, 0, stream, &[0, 0, 0, 8]));
    }
    vec![
        ("ping", vec![], frame(Kind::Ping, 0, 0, &[7; 8]).repeat(100)),
        ("settings", vec![], frame(Kind::Settings, 0, 0, &[]).repeat(100)),
        ("resets", vec![], resets),
        ("continuation", frame(Kind::Headers, 0, 1, &[0x40]), frame(Kind::Continuation, 0, 1, &[])),
    ]
}
