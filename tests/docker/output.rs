//! Output of real containers, byte for byte.

use std::time::Duration;

use dockmgr_proto::v1::LogEnd;
use dockmgr_tests::{Cluster, Output, Store, eventually};
use sha2::{Digest as _, Sha256};

use crate::docker_cluster;

/// Longest time 64 MiB may take on a loaded machine of two cores.
const BULK_LIMIT: Duration = Duration::from_secs(180);

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The end marker of the only attempt.
pub(crate) async fn log_end(cluster: &Cluster, job: u64) -> LogEnd {
    let task = cluster.job(job).await.task.expect("one task");
    task.attempts.last().and_then(|attempt| attempt.log_end.clone()).expect("an ended attempt has it")
}

/// A script that writes `mib` MiB of reproducible random bytes to both streams at once, then both sums where no stream carries them.
pub(crate) fn both_streams(mib: u32) -> String {
    format!(
        "gen() {{ seed=$1; n=$2; while [ $n -gt 0 ]; do head -c 1048576 /blocks/$seed; n=$((n-1)); done; }}; \
         mkdir -p /blocks; head -c 1048576 /dev/urandom >/blocks/1; head -c 1048576 /dev/urandom >/blocks/2; \
         gen 1 {mib} | sha256sum | cut -c1-64 >/sum1; gen 2 {mib} | sha256sum | cut -c1-64 >/sum2; \
         {{ gen 1 {mib}; cat /sum1; }} & {{ gen 2 {mib}; cat /sum2; }} >&2 & wait; exit 0"
    )
}

/// Checks that a stream is as long as it must be and that its last line is the SHA-256 of everything before it.
pub(crate) fn expect_own_sum(what: &str, bytes: &[u8], mib: u32) {
    let length = usize::try_from(mib).expect("small") << 20;
    assert_eq!(bytes.len(), length + 65, "{what} is not complete");
    let (data, sum) = bytes.split_at(length);
    assert_eq!(sha256(data), String::from_utf8_lossy(sum).trim(), "{what} has other bytes");
}

fn expect_both(what: &str, output: &Output, mib: u32) {
    expect_own_sum(&format!("{what} stdout"), &output.stdout, mib);
    expect_own_sum(&format!("{what} stderr"), &output.stderr, mib);
}

async fn both_streams_arrive_live_and_are_kept_when_container_and_worker_are_gone(store: Store) {
    let Some(mut cluster) = docker_cluster(store).await else { return };
    let live = cluster.cli(["run", &both_streams(32)]).limit(BULK_LIMIT).run().await.expect_code(0);
    expect_both("live", &live, 32);
    cluster.expect_clean().await;
    cluster.kill_worker(0).await;
    let kept = cluster.cli(["logs", "1"]).limit(BULK_LIMIT).run().await.expect_code(0);
    expect_both("kept", &kept, 32);
    let only = cluster.cli(["logs", "--stream", "stderr", "1"]).limit(BULK_LIMIT).run().await.expect_code(0);
    assert_eq!((only.stdout.len(), &only.stderr), (0, &live.stderr));
    assert!(log_end(&cluster, 1).await.marks.is_empty());
}

#[tokio::test]
async fn thirty_two_mib_on_each_stream_arrive_live_and_are_kept_on_redb() {
    both_streams_arrive_live_and_are_kept_when_container_and_worker_are_gone(Store::Redb).await;
}

#[tokio::test]
async fn thirty_two_mib_on_each_stream_arrive_live_and_are_kept_on_etcd() {
    both_streams_arrive_live_and_are_kept_when_container_and_worker_are_gone(Store::Etcd).await;
}

#[tokio::test]
async fn a_hundred_megabytes_in_one_line_arrive() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let script = "head -c 100000000 /dev/zero | tr '\\0' x";
    let live = cluster.cli(["run", script]).limit(BULK_LIMIT).run().await.expect_code(0);
    assert_eq!(live.stdout.len(), 100_000_000);
    assert!(live.stdout.iter().all(|byte| *byte == b'x'));
    let kept = cluster.cli(["logs", "1"]).limit(BULK_LIMIT).run().await.expect_code(0);
    assert_eq!(sha256(&kept.stdout), sha256(&live.stdout));
}

/// Lines around the size at which Docker cuts them: with and without newline, in the middle and last.
pub(crate) fn odd_lines() -> (String, Vec<u8>) {
    let mut script = String::from("l() { head -c $1 /dev/zero | tr '\\0' $2; }; ");
    let mut due = Vec::new();
    let lengths = [16_383_usize, 16_384, 16_385, 20_000, 32_768];
    for (at, length) in lengths.iter().enumerate() {
        let letter = char::from(b'a' + u8::try_from(at).expect("small"));
        script += &format!("l {length} {letter}; echo; ");
        due.extend(std::iter::repeat_n(letter as u8, *length));
        due.push(b'\n');
    }
    (script, due)
}

#[tokio::test]
async fn lines_of_every_odd_length_arrive_with_and_without_newline() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let (script, due) = odd_lines();
    let mut number = 0;
    for length in [0_usize, 1, 16_383, 16_384, 16_385, 20_000] {
        for newline in [false, true] {
            let end = if newline { "echo" } else { ":" };
            let script = format!("{script} {{ l {length} z; {end}; }}");
            let mut due = due.clone();
            due.extend(std::iter::repeat_n(b'z', length));
            due.extend(newline.then_some(b'\n'));
            let live = cluster.run([&script]).await.expect_code(0);
            assert_eq!(sha256(&live.stdout), sha256(&due), "live, last line {length}, newline {newline}");
            number += 1;
            let kept = cluster.logs(number).await;
            assert_eq!(sha256(&kept.stdout), sha256(&due), "kept, last line {length}, newline {newline}");
        }
    }
}

#[tokio::test]
async fn no_output_at_all_is_complete_too() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let live = cluster.run(["--", "true"]).await.expect_code(0);
    assert_eq!((live.stdout.len(), live.stderr.len()), (0, 0), "{}", live.describe());
    assert_eq!(cluster.logs(1).await.stdout, b"");
    assert_eq!(
        log_end(&cluster, 1).await,
        LogEnd { end: Some(dockmgr_proto::v1::LogOffsets::default()), marks: vec![] }
    );
}

#[tokio::test]
async fn output_beyond_the_limit_is_cut_and_says_so() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let live = cluster.run(["--log-limit", "1m", "head -c 3000000 /dev/zero; exit 3"]).await.expect_code(3);
    assert_eq!(live.stdout.len(), 1 << 20, "{}", live.errors());
    live.expect_error("--log-limit");
    let kept = cluster.logs(1).await;
    assert_eq!(kept.stdout.len(), 1 << 20);
    assert_eq!(log_end(&cluster, 1).await.marks.len(), 1);
}

#[tokio::test]
async fn a_reader_that_stands_still_does_not_hold_up_the_container() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let mut command = cluster.cli_command();
    // Nobody reads this pipe until the job has ended.
    command.args(["run", "head -c 20000000 /dev/zero; exit 5"]).stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).kill_on_drop(true);
    let stalled = command.spawn().expect("start the command line");
    eventually("the job to be known", dockmgr_tests::STEP_LIMIT, async || {
        cluster.cli(["ps", "-a", "-q"]).ok().await.text() == "1"
    })
    .await;
    cluster.wait(1).await.expect_code(5);
    let output =
        tokio::time::timeout(BULK_LIMIT, stalled.wait_with_output()).await.expect("in time").expect("it ran");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(5), 20_000_000));
}

#[tokio::test]
async fn lines_arrive_while_the_job_runs() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let run = cluster.cli(["run", "echo first; sleep 600"]).spawn();
    run.expect_stdout("first\n", Duration::from_secs(20)).await;
    let second = cluster.cli(["logs", "-f", "1"]).spawn();
    second.expect_stdout("first\n", Duration::from_secs(20)).await;
    cluster.cli(["kill", "1"]).ok().await;
    run.wait(dockmgr_tests::STEP_LIMIT).await.expect_code(137);
    second.wait(dockmgr_tests::STEP_LIMIT).await.expect_code(0);
}
