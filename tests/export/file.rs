//! JSON lines in a file: exactly once.

use std::fs;
use std::path::Path;

use dockmgr_tests::{Cluster, STEP_LIMIT, wait_until};
use serde_json::Value;

use crate::held::{Held, expect, written_under_kills};

/// What all files of the folder hold.
fn held(folder: &Path) -> Held {
    let files: Vec<_> = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).collect();
    let texts = files.iter().map(|file| fs::read_to_string(file.path()).unwrap_or_default());
    let parse = |line: &str| serde_json::from_str::<Value>(line).ok();
    Held::of(texts.flat_map(|text| text.lines().filter_map(parse).collect::<Vec<_>>()))
}

#[tokio::test]
async fn every_line_is_in_the_file_once_after_kill_9_of_the_coordinator() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let url = format!("file://{}/jobs.jsonl?rotate=16KiB&keep=1000", out.display());
    let mut cluster = Cluster::builder().cpus("64").coordinator_args(&["--export", &url]).start().await;
    let expected = written_under_kills(&mut cluster, 4).await;
    let held = expect(&expected, async || held(&out)).await;
    assert_eq!(held.repeats, 0, "each line once");
    assert!(out.join("jobs.jsonl.1").exists(), "it was rotated");
    assert_eq!(held.text(expected[1].0, 3, "stderr"), "no\n");
}

#[tokio::test]
async fn a_far_end_that_is_away_delays_nobody_and_gets_everything_when_it_is_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    // In the way of the folder the file belongs into.
    fs::write(&out, "x").expect("write");
    let url = format!("file://{}/jobs.jsonl", out.display());
    let args = ["--export", &url, "--metrics-listen", "127.0.0.1:0"];
    let cluster = Cluster::builder().coordinator_args(&args).start().await;
    cluster.run(["echo one"]).await.expect_code(0);
    let address = cluster.metrics_address("coordinator").await;
    let page = async || dockmgr_tests::prometheus::get(address, "/metrics", &[]).await.expect("it answers").1;
    wait_until("the lag to be shown", STEP_LIMIT, async || {
        let page = page().await;
        let number = |name: &str| {
            let line = page.lines().find(|line| line.starts_with(name))?;
            line.rsplit_once(' ')?.1.parse::<f64>().ok()
        };
        let lag = number("cluster_export_lag_seconds{exporter=\"jobs.jsonl\"}");
        let bytes = number("cluster_export_lag_bytes{exporter=\"jobs.jsonl\"}");
        let retries = number("cluster_export_retries_total{exporter=\"jobs.jsonl\"}");
        let shown = lag > Some(0.0) && bytes == Some(4.0) && retries > Some(0.0);
        if shown { Ok(()) } else { Err(page) }
    })
    .await;
    cluster.run(["echo two"]).await.expect_code(0);
    fs::remove_file(&out).expect("out of the way");
    let expected = [(1, 0, "one\n".to_owned()), (2, 0, "two\n".to_owned())];
    let held = expect(&expected, async || held(&out)).await;
    assert_eq!(held.repeats, 0);
    wait_until("it to be told", STEP_LIMIT, async || {
        let page = page().await;
        let told =
            page.contains("cluster_export_documents_total{exporter=\"jobs.jsonl\",outcome=\"delivered\"} 6");
        if told { Ok(()) } else { Err(page) }
    })
    .await;
}

#[tokio::test]
async fn output_of_a_job_that_was_removed_is_shipped_all_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    fs::write(&out, "x").expect("write");
    let url = format!("file://{}/jobs.jsonl#main", out.display());
    let mut cluster = Cluster::builder().coordinator_args(&["--export", &url]).start().await;
    cluster.run(["echo gone"]).await.expect_code(0);
    cluster.cli(["rm", "1"]).ok().await;
    cluster.kill_coordinator().await;
    fs::remove_file(&out).expect("out of the way");
    cluster.start_coordinator().await;
    wait_until("its line", STEP_LIMIT, async || {
        let text = held(&out).text(1, 0, "stdout");
        if text == "gone\n" { Ok(()) } else { Err(text) }
    })
    .await;
}

#[tokio::test]
async fn a_new_exporter_begins_with_what_was_packed_before_it_came() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let mut cluster = Cluster::builder().coordinator_args(&["--seal-after", "1ms"]).start().await;
    let mut expected = Vec::new();
    for job in 1..=3 {
        cluster.run([format!("seq {job} 4000; echo no >&2").as_str()]).await.expect_code(0);
        let lines: String = (job..=4000).map(|line| format!("{line}\n")).collect();
        expected.push((job, 0, lines));
    }
    let logs = cluster.coordinator_folder().join("logs");
    wait_until("all output to be packed", STEP_LIMIT, async || {
        let left = (1..=3).find(|job| logs.join(job.to_string()).exists());
        left.map_or(Ok(()), |job| Err(format!("job {job} has plain files")))
    })
    .await;
    cluster.kill_coordinator().await;
    let url = format!("file://{}/jobs.jsonl", out.display());
    cluster.add_coordinator_args(&["--export", &url]);
    cluster.start_coordinator().await;
    let held = expect(&expected, async || held(&out)).await;
    assert_eq!(held.repeats, 0, "each line once");
    assert_eq!(held.text(2, 0, "stderr"), "no\n");
}

#[tokio::test]
async fn a_job_that_fails_ends_with_its_reason_and_the_marks_of_its_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let url = format!("file://{}/jobs.jsonl", out.display());
    let cluster = Cluster::builder().coordinator_args(&["--export", &url]).start().await;
    cluster
        .run(["--retries", "1", "--log-limit", "1MiB", "fake:fill 2000000 x; exit 3"])
        .await
        .expect_code(3);
    let ends = wait_until("the end of the job", STEP_LIMIT, async || {
        let ends = held(&out).ends;
        if ends.contains_key("1-end") { Ok(ends) } else { Err(format!("{ends:?}")) }
    })
    .await;
    for id in ["1.0.1-end", "1.0.2-end", "1-end"] {
        assert!(ends[id].starts_with("ended: exited, exit code 3"), "{id} of {ends:?}");
    }
    let mark = &ends["1.0.2-mark-0"];
    assert!(mark.starts_with("output lost: stdout is cut at byte "), "{mark}");
}
