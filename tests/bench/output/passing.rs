//! The coordinator's memory while 50 GiB of output pass through it at full speed and are sealed behind it, and what a search
//! for a rare word through all of that takes.
//!
//! The tasks of arrays write 512 MiB each, as fast as the pipes take it; `DOCKMGR_BENCH_GIB` for another amount. An array
//! follows when the worker has given up the output of the one before: what is spooled meanwhile must fit on the disk.

use std::time::{Duration, Instant};

use dockmgr_proto::v1;
use dockmgr_tests::figures::{Table, mib, millis};
use dockmgr_tests::{Cluster, load, wait_until};

const GIB: u32 = 50;
const TASK_BYTES: u64 = 512 << 20;
/// Tasks of an array.
const TASKS: u32 = 8;
/// A word that one line has.
const RARE: &str = "needle7f3a9c";
/// How long a search for it may take.
const SEARCH_GOAL: Duration = Duration::from_secs(1);
/// Growth of the mean between the second and the last third that counts as none: noise of the allocator.
const FLAT: u64 = 4 << 20;
/// Two look at the memory in a second: the passage takes minutes.
const LOOK: Duration = Duration::from_millis(500);
/// What 50 GiB take at a tenth of the usual speed.
const LIMIT: Duration = Duration::from_hours(2);

pub(crate) async fn measure(table: &mut Table) {
    let given: Option<u32> = std::env::var("DOCKMGR_BENCH_GIB").ok().and_then(|text| text.parse().ok());
    let arrays = (given.unwrap_or(GIB) * 2).div_ceil(TASKS);
    let mut cluster =
        Cluster::builder().cpus("64").memory("64GiB").coordinator_args(&["--seal-after", "1s"]).start().await;
    let line = "2026-01-01T00:00:00Z INFO request served path=/api/v1/jobs status=200 duration=0.0042 user=builder\\n";
    let spec = v1::JobSpec {
        array: Some(v1::ArraySpec { first: 0, last: TASKS - 1, max_running: 0 }),
        log_limit_bytes: 1 << 30,
        ..load::spec(&format!("fake:fill {TASK_BYTES} '{line}'"))
    };
    let begun = Instant::now();
    let (mut seen, mut most_kept) = (Vec::new(), 0);
    for array in 0..arrays {
        if array == arrays / 2 {
            cluster.submit(["--wait", &format!("echo {RARE}")]).await;
        }
        let job = load::submit(&cluster.client().await, spec.clone()).await;
        while !has_ended(&cluster, job).await {
            assert!(begun.elapsed() < LIMIT, "the output passes in time");
            seen.push(cluster.coordinator().memory());
            most_kept = most_kept.max(cluster.kept_output());
            // A watch needs its time; there is no condition to wait for.
            tokio::time::sleep(LOOK).await;
        }
    }
    let took = begun.elapsed();
    let passed = u64::from(arrays * TASKS) * TASK_BYTES;
    report(table, &seen, &format!("{} GiB", passed >> 30));
    #[expect(clippy::cast_precision_loss, reason = "a figure of three digits")]
    let rate = passed as f64 / 1e6 / took.as_secs_f64();
    table.note("  their speed through all programs", format!("{rate:.0} MB/s"));
    table.note("  most on the coordinator's disk meanwhile", mib(most_kept));
    let best = fastest_search(&cluster).await;
    table.goal("`cluster-cli search` of a rare word in all of it", "< 1 s", millis(best), best < SEARCH_GOAL);
}

/// The best of some searches when all output is sealed; the first one reads it into memory.
async fn fastest_search(cluster: &Cluster) -> Duration {
    let logs = cluster.coordinator_folder().join("logs");
    wait_until("all output to be sealed", LIMIT, async || {
        let names = std::fs::read_dir(&logs).expect("there are logs").filter_map(Result::ok);
        let plain = names.filter(|entry| entry.file_name().to_string_lossy().parse::<u64>().is_ok()).count();
        if plain == 0 { Ok(()) } else { Err(format!("{plain} jobs are not")) }
    })
    .await;
    let mut best = Duration::MAX;
    for _ in 0..4 {
        let begun = Instant::now();
        let found = cluster.cli(["search", "--count", RARE]).ok().await;
        best = best.min(begun.elapsed());
        assert_eq!(found.text(), "1");
    }
    best
}

/// Whether all its tasks have ended and the worker has nothing left of their output.
async fn has_ended(cluster: &Cluster, job: u64) -> bool {
    let counts = cluster.job(job).await.tasks.unwrap_or_default();
    assert_eq!(counts.failed, 0, "{counts:?}");
    counts.succeeded == TASKS && cluster.spool_files().is_empty()
}

fn report(table: &mut Table, seen: &[u64], passed: &str) {
    let third = seen.len() / 3;
    let mean = |part: &[u64]| part.iter().sum::<u64>() / part.len().max(1) as u64;
    // The first third is the load settling.
    let (before, after) = (mean(&seen[third..2 * third]), mean(&seen[2 * third..]));
    let growth = after.saturating_sub(before);
    table.note(&format!("coordinator while {passed} pass: mean"), mib(mean(seen)));
    table.note("  its memory at the most", mib(seen.iter().copied().max().unwrap_or_default()));
    table.goal("  its growth meanwhile", &format!("< {}", mib(FLAT)), mib(growth), growth < FLAT);
}
