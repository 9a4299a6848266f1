//! L4: a container that writes as fast as it can.

use std::path::Path;
use std::time::Duration;

use dockmgr_proto::v1::log_mark::Kind;
use dockmgr_tests::{STEP_LIMIT, Store, eventually};
use tokio::time::Instant;

use crate::docker_cluster;
use crate::output::log_end;

/// Output kept of the flood.
const CAP: u64 = 16 << 20;
/// How long it writes.
const SECONDS: u32 = 10;

fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => bytes_below(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}

#[tokio::test]
async fn l04_a_flood_is_cut_at_its_cap_and_neither_fills_the_disk_nor_delays_a_neighbour() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let quiet = cluster.cli(["run", "for i in $(seq 300); do echo tick $i; sleep 0.1; done"]).spawn();
    eventually("the neighbour", STEP_LIMIT, async || !quiet.stdout_so_far().is_empty()).await;
    let flood = format!("echo ready; timeout {SECONDS} cat /dev/zero; exit 3");
    let job = cluster.submit(["--log-limit", "16m", &flood]).await;
    let mut worst = Duration::ZERO;
    let (mut seen, mut since) = (quiet.stdout_so_far().len(), Instant::now());
    let mut most = 0;
    let own = [cluster.worker_folder(0), cluster.coordinator_folder().join("logs")];
    eventually("the flood to end", STEP_LIMIT, async || {
        let now = quiet.stdout_so_far().len();
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        worst = worst.max(since.elapsed());
        most = most.max(own.iter().map(|folder| bytes_below(folder)).max().unwrap_or(0));
        cluster.job(job).await.end_time.is_some()
    })
    .await;
    // A line is due every tenth of a second.
    assert!(worst < Duration::from_secs(2), "the neighbour's output stood still for {worst:?}");
    assert!(most <= CAP * 2 + CAP / 10, "{} MiB on one side", most >> 20);
    cluster.wait(job).await.expect_code(3);
    let end = log_end(&cluster, job).await;
    let cut = end.marks.iter().any(|mark| mark.kind() == Kind::Truncated && mark.cap_bytes == CAP);
    assert!(cut, "{end:?}");
    let kept = cluster.logs(job).await;
    assert_eq!(kept.stdout.len() as u64, CAP, "everything up to the cap");
    assert!(kept.stdout.starts_with(b"ready\n\0\0"));
    quiet.wait(STEP_LIMIT).await.expect_code(0);
    cluster.expect_clean().await;
}
