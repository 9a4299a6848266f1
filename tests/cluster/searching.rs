//! Searching the output of all jobs, running ones included.

use std::sync::atomic::{AtomicU64, Ordering};

use dockmgr_proto::v1::search_logs_response::Event;
use dockmgr_proto::v1::{SearchLogsRequest, SearchOrder};
use dockmgr_tests::raw::Api;
use dockmgr_tests::{Cluster, STEP_LIMIT, needs, wait_until};
use tonic::Code;
use tonic_types::StatusExt as _;

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
    let split = cluster
        .cli(["search", "--histogram", "--by", "level", "level:error OR \"line 7\""])
        .ok()
        .await
        .text();
    assert!(split.contains("1 error") && split.contains("other"), "{split}");
    let split = cluster.cli(["search", "--histogram", "--by", "stream", "*"]).ok().await.text();
    assert!(split.contains("1 stderr"), "{split}");
    cluster.cli(["rm", &job.to_string()]).ok().await;
    assert_eq!(hits(&cluster, &[&format!("job:{job}"), "user.id=42"]).await, ["level=error user.id=42"]);
    cluster.cli(["search", "a", "OR"]).run().await.expect_code(2).expect_error("at character 4");
    cluster.cli(["search", "--state", "odd", "a"]).run().await.expect_code(2).expect_error("succeeded");
}

#[tokio::test]
async fn packed_output_is_found_as_before_by_every_question_also_after_a_kill() {
    let mut cluster = Cluster::builder().coordinator_args(&["--seal-after", "10ms"]).start().await;
    let script = "for i in $(seq 1 2000); do echo line $i; done; echo '{\"level\":\"error\",\"user\":{\"id\":42}}' >&2";
    let loud = cluster.submit(["--wait", "--name", "loud", "-l", "team=a", script]).await;
    let array =
        cluster.submit(["--wait", "--array", "0-9", "echo line of a task; echo level=warn ms=7"]).await;
    let failed = cluster.submit(["echo line 7 of another; exit 3"]).await;
    cluster.wait(failed).await.expect_code(3);
    let folder = cluster.coordinator_folder().join("logs");
    let packed = async || {
        wait_until("all output to be packed", STEP_LIMIT, async || {
            let left = [loud, array, failed].into_iter().find(|job| folder.join(job.to_string()).exists());
            left.map_or(Ok(()), |job| Err(format!("job {job} has plain files")))
        })
        .await;
    };
    for kill in [true, false] {
        packed().await;
        assert_eq!(hits(&cluster, &["line 7"]).await, ["line 7", "line 7 of another"]);
        assert_eq!(hits(&cluster, &["level:error", "user.id=42"]).await.len(), 1);
        assert_eq!(hits(&cluster, &["ms<8", "level>=warn", "--job", &format!("{array}.3")]).await.len(), 1);
        assert_eq!(
            hits(&cluster, &["/^line [0-9]+ /", "--reason", "exited", "--state", "failed"]).await.len(),
            1
        );
        assert_eq!(hits(&cluster, &["line", "--reason", "oom"]).await, Vec::<String>::new());
        assert_eq!(hits(&cluster, &["line", "--since", "1h", "--until", "30m"]).await, Vec::<String>::new());
        assert_eq!(
            hits(&cluster, &["-C", "1", "\"line 1500\"", "--name", "lo*", "-l", "team=a"]).await,
            ["line 1499", "line 1500", "line 1501"]
        );
        assert_eq!(cluster.cli(["search", "--count", "line OR ms"]).ok().await.text(), "2021");
        if kill {
            cluster.kill_coordinator().await;
            cluster.start_coordinator().await;
        }
    }
    let page = async |token: &str| -> Vec<serde_json::Value> {
        let args = [
            "search",
            "-o",
            "jsonl",
            "--oldest-first",
            "--limit",
            "3",
            "--name",
            "loud",
            "--page-token",
            token,
            "line",
        ];
        let text = cluster.cli(args).ok().await.text();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let first = page("").await;
    let token = first[1]["hit"]["pageToken"].as_str().expect("a token");
    let numbers: Vec<_> =
        page(token).await.iter().map(|hit| hit["hit"]["line"]["number"].to_string()).collect();
    assert_eq!(numbers, ["\"3\"", "\"4\"", "\"5\"", "null"], "what follows the second hit, and the end");
}

#[tokio::test]
async fn a_search_misses_and_repeats_nothing_while_segments_come_are_merged_and_go() {
    /// Their segments are merged more than once on the way.
    const JOBS: u64 = 40;
    let cluster = Cluster::builder().coordinator_args(&["--seal-after", "1ms"]).start().await;
    let (ended, removed) = (AtomicU64::new(0), AtomicU64::new(0));
    let searching = async {
        while removed.load(Ordering::SeqCst) < JOBS {
            let first = ended.load(Ordering::SeqCst);
            let search = cluster.cli(["search", "--count", "common"]).run().await;
            assert!(search.code <= 1 && search.stderr.is_empty(), "{}", search.describe());
            let seen: u64 = search.text().parse().expect("a number");
            // The job that writes at the moment may be seen or not, and those whose output is being deleted.
            let least = first.saturating_sub(removed.load(Ordering::SeqCst) + 1);
            let most = (ended.load(Ordering::SeqCst) + 1).min(JOBS);
            assert!((least..=most).contains(&seen), "{seen} is not within {least}..={most}");
        }
    };
    let writing = async {
        let mut jobs = Vec::new();
        for _ in 0..JOBS {
            jobs.push(cluster.submit(["--wait", "seq 500; echo common"]).await);
            ended.fetch_add(1, Ordering::SeqCst);
        }
        let segments = cluster.coordinator_folder().join("logs/sealed/segments");
        wait_until("the segments to be merged", STEP_LIMIT, async || {
            let count = std::fs::read_dir(&segments).map_or(0, Iterator::count);
            if (1..16).contains(&count) { Ok(()) } else { Err(format!("{count} segments")) }
        })
        .await;
        for job in jobs {
            cluster.cli(["rm", "--logs", &job.to_string()]).ok().await;
            removed.fetch_add(1, Ordering::SeqCst);
        }
    };
    tokio::join!(searching, writing);
    wait_until("all output to be gone", STEP_LIMIT, async || {
        let left = hits(&cluster, &["common"]).await.len();
        if left == 0 { Ok(()) } else { Err(format!("{left} hits")) }
    })
    .await;
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

/// A query that finds a thousand lines of 8000 bytes: more than fits any window of a stream that nobody reads.
async fn much_to_find(cluster: &Cluster) -> SearchLogsRequest {
    cluster.submit(["--wait", "for i in $(seq 1 1000); do fake:fill 8000 x; echo; done"]).await;
    SearchLogsRequest {
        query: "x*".to_owned(),
        limit: 1000,
        max_line_bytes: 8000,
        order: SearchOrder::OldestFirst.into(),
        ..SearchLogsRequest::default()
    }
}

#[tokio::test]
async fn searches_are_limited_and_one_whose_reader_is_gone_ends() {
    let cluster = Cluster::fake().await;
    let request = much_to_find(&cluster).await;
    // On a connection of its own: those that nobody reads stop the others on theirs.
    let mut read =
        Api::of(&cluster).await.logs().search_logs(request.clone()).await.expect("taken").into_inner();
    let first = tokio::time::timeout(STEP_LIMIT, read.message()).await.expect("in time").expect("a step");
    assert!(first.is_some_and(|first| first.event.is_some()), "it is in the middle of its answer");
    let mut api = Api::of(&cluster).await.logs();
    let mut unread = Vec::new();
    let refused = loop {
        match api.search_logs(request.clone()).await {
            Ok(search) => unread.push(search.into_inner()),
            Err(refused) => break refused,
        }
        assert!(unread.len() < 100, "no limit");
    };
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert_eq!(refused.get_error_details().error_info().expect("details").reason, "TOO_MANY_SEARCHES");
    drop(read);
    wait_until("the room of the search that was dropped", STEP_LIMIT, async || {
        let taken = api.search_logs(request.clone()).await;
        taken.map(drop).map_err(|refused| refused.to_string())
    })
    .await;
}

#[tokio::test]
async fn a_search_goes_on_where_it_was_when_its_leader_is_killed() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().coordinators(2).start().await;
    let request = much_to_find(&cluster).await;
    let leader = cluster.leader().await;
    let mut search = cluster.client().await.search_logs(request);
    let mut numbers = Vec::new();
    let done = loop {
        match search.next().await.expect("the next leader goes on").expect("an end comes first") {
            Event::Hit(hit) => {
                numbers.push(hit.line.expect("a line").number);
                if numbers.len() == 10 {
                    cluster.kill_coordinator_n(leader).await;
                }
            }
            Event::Progress(_) => {}
            Event::Done(done) => break done,
        }
    };
    assert_eq!(numbers, (1..=1000).collect::<Vec<u64>>());
    assert_eq!((done.unreadable_attempts, done.incomplete), (0, false));
}
