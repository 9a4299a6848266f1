//! Output line by line: `logs --grep`, and `logs -l` over many jobs.

use dockmgr_tests::{Cluster, STEP_LIMIT, wait_until};
use rustix::process::Signal;

/// Two jobs that write lines in turns: the next is written when the one before is there.
async fn in_turns(cluster: &Cluster) {
    let script = |begin: &str, end: &str| format!("trap '{end}; exit 0' TERM; echo {begin}; sleep 600");
    let written = async |job: u64, line: &str| {
        wait_until("a line", STEP_LIMIT, async || {
            let logs = cluster.logs(job).await.text();
            if logs.contains(line) { Ok(()) } else { Err(logs) }
        })
        .await;
    };
    let first = cluster.submit(["-l", "team=a", &script("one", "echo three here")]).await;
    written(first, "one").await;
    let second = cluster.submit(["-l", "team=a", &script("two", "echo four >&2")]).await;
    written(second, "two").await;
    for job in [first, second] {
        cluster.cli(["stop", &job.to_string()]).ok().await;
        cluster.wait(job).await;
    }
}

#[tokio::test]
async fn logs_of_many_jobs_come_in_the_order_of_time() {
    let cluster = Cluster::fake().await;
    in_turns(&cluster).await;
    cluster.submit(["--wait", "-l", "team=b", "echo other"]).await;
    let logs = cluster.cli(["logs", "-l", "team=a"]).ok().await;
    assert_eq!(
        (logs.text().as_str(), logs.errors().as_str()),
        ("1.0| one\n2.0| two\n1.0| three here", "2.0| four\n")
    );
    let found = cluster.cli(["logs", "-l", "team=a", "--grep", "two OR here"]).ok().await.text();
    assert_eq!(found, "2.0| two\n1.0| three here");
    let found = cluster.cli(["logs", "-l", "team=a", "--grep", "stream:stderr NOT job:1"]).ok().await;
    assert_eq!((found.text().as_str(), found.errors().as_str()), ("", "2.0| four\n"));
    cluster.cli(["logs", "-l", "team=a", "--grep", "other"]).run().await.expect_code(1);
    assert_eq!(cluster.cli(["logs", "-l", "team=none"]).ok().await.text(), "");
}

#[tokio::test]
async fn a_follower_of_labels_sees_new_lines_and_new_jobs() {
    let cluster = Cluster::fake().await;
    let old = cluster.submit(["-l", "team=a", "echo begun; sleep 1; echo on; sleep 600"]).await;
    let follow = cluster.cli(["logs", "-f", "-l", "team=a"]).spawn();
    follow.expect_stdout(&format!("{old}.0| begun\n"), STEP_LIMIT).await;
    follow.expect_stdout(&format!("{old}.0| on\n"), STEP_LIMIT).await;
    cluster.submit(["--wait", "-l", "team=b", "echo foreign"]).await;
    let new = cluster.submit(["--wait", "-l", "team=a", "echo joined"]).await;
    follow.expect_stdout(&format!("{new}.0| joined\n"), STEP_LIMIT).await;
    follow.signal(Signal::INT);
    let seen = follow.wait(STEP_LIMIT).await.expect_code(130);
    assert_eq!(seen.text(), format!("{old}.0| begun\n{old}.0| on\n{new}.0| joined"));
}

#[tokio::test]
async fn grep_shows_the_lines_that_match_as_they_come() {
    let cluster = Cluster::fake().await;
    let script = "for i in $(seq 1 200); do echo line $i; done; echo 'level=error ms=300' >&2; echo -n half";
    let job = cluster.submit(["--wait", "--name", "loud", script]).await.to_string();
    let grep = async |query: &str| cluster.cli(["logs", "--grep", query, "loud"]).run().await;
    let naive: Vec<String> =
        (1..=200).map(|n| format!("line {n}")).filter(|line| line.contains("99")).collect();
    assert_eq!(grep("/99/").await.text(), naive.join("\n"));
    assert_eq!(grep("half OR \"line 7\"").await.text(), "line 7\nhalf");
    assert_eq!(grep("level:error ms>250 name:loud").await.errors(), "level=error ms=300\n");
    assert_eq!(grep("nowhere").await.expect_code(1).text(), "");
    grep("(").await.expect_code(2).expect_error("no query");
    let follow = cluster.cli(["logs", "-f", "--grep", "half", &job]).ok().await;
    assert_eq!(follow.text(), "half");
}
