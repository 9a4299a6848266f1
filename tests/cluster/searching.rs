//! Searching the output of all jobs, running ones included.

use dockmgr_tests::{Cluster, STEP_LIMIT, needs, wait_until};

/// The hits of a search, without the places before them.
async fn hits(cluster: &Cluster, args: &[&str]) -> Vec<String> {
    let search = cluster.cli([&["search", "--oldest-first"], args].concat()).run().await;
    assert!(search.code <= 1, "{}", search.describe());
    let line = |line: &str| line.splitn(4, ' ').nth(3).unwrap_or_default().to_owned();
    let found: Vec<String> = search.text().lines().map(line).collect();
    assert_eq!(search.code == 1, found.is_empty(), "{}", search.describe());
    found
}

#[tokio::test]
async fn hits_are_what_a_naive_scan_of_the_same_bytes_finds() {
    let cluster = Cluster::fake().await;
    let script = "for i in $(seq 1 3000); do echo line $i of many; done; echo 'level=error user.id=42' >&2";
    let job = cluster.submit(["--wait", "-l", "team=a", "--name", "loud", script]).await;
    let failed = cluster.submit(["-l", "team=b", "echo line 7 of another; exit 3"]).await;
    cluster.wait(failed).await.expect_code(3);
    let kept = cluster.logs(job).await;
    let naive: Vec<String> =
        kept.text().lines().filter(|line| line.contains("99")).map(str::to_owned).collect();
    assert!(naive.len() > 30);
    assert_eq!(hits(&cluster, &["--limit", "2000", "-l", "team=a", "*99*"]).await, naive);
    assert_eq!(hits(&cluster, &["--limit", "2000", "-l", "team=a", "/99/"]).await, naive);
    assert_eq!(hits(&cluster, &["line 7"]).await, ["line 7 of many", "line 7 of another"]);
    assert_eq!(hits(&cluster, &["--job", "loud", "line 7"]).await, ["line 7 of many"]);
    assert_eq!(hits(&cluster, &["--state", "failed", "line"]).await, ["line 7 of another"]);
    assert_eq!(hits(&cluster, &["level:error"]).await, ["level=error user.id=42"]);
    assert_eq!(hits(&cluster, &["user.id=42", "stream:stdout"]).await, Vec::<String>::new());
    assert_eq!(
        hits(&cluster, &["-C", "1", "\"line 1500\"", "job:1"]).await,
        ["line 1499 of many", "line 1500 of many", "line 1501 of many"]
    );
    let count = cluster.cli(["search", "--count", "line"]).ok().await.text();
    assert_eq!(count, "3001");
    let histogram = cluster.cli(["search", "--histogram", "line"]).ok().await.text();
    let counted: u64 =
        histogram.lines().filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum();
    assert_eq!(counted, 3001, "{histogram}");
    cluster.cli(["rm", &job.to_string()]).ok().await;
    assert_eq!(hits(&cluster, &[&format!("job:{job}"), "user.id=42"]).await, ["level=error user.id=42"]);
    cluster.cli(["search", "a", "OR"]).run().await.expect_code(2).expect_error("at character 4");
    cluster.cli(["search", "--state", "odd", "a"]).run().await.expect_code(2).expect_error("succeeded");
}

#[tokio::test]
async fn more_hits_than_a_page_come_in_order_and_none_twice() {
    let cluster = Cluster::fake().await;
    cluster.submit(["--wait", "seq 1 2500"]).await;
    let all: Vec<String> = (1..=2500).map(|n: u32| n.to_string()).collect();
    assert_eq!(hits(&cluster, &["--limit", "5000", ""]).await, all);
    let newest = cluster.cli(["search", "--limit", "1200", "-o", "jsonl", "*"]).ok().await.text();
    let hits: Vec<serde_json::Value> =
        newest.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(hits.len(), 1201);
    assert_eq!(hits[0]["hit"]["line"]["number"], "2500");
    assert_eq!(hits[1199]["hit"]["line"]["number"], "1301");
    assert_eq!(hits[1200]["done"]["total"]["hits"], "2500");
}

#[tokio::test]
async fn a_search_sees_what_a_running_job_has_written() {
    let cluster = Cluster::fake().await;
    let job = cluster.submit(["echo begun; echo -n half; sleep 600"]).await;
    wait_until("the line of a running job", STEP_LIMIT, async || {
        let found = hits(&cluster, &["begun OR half", &format!("job:{job}"), "state:active"]).await;
        if found == ["begun", "half"] { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_follower_finds_what_the_leader_finds() {
    if !needs::etcd() {
        return;
    }
    let cluster = Cluster::builder().coordinators(2).start().await;
    cluster.submit(["--wait", "seq 1 50; echo done >&2"]).await;
    let mut answers = Vec::new();
    for n in 0..2 {
        let call = cluster.cli(["search", "-o", "jsonl", "/[1-4]0|done/"]);
        answers.push(call.env("DOCKMGR_SERVER", cluster.server_of(n)).ok().await.text());
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].lines().count(), 6);
}
