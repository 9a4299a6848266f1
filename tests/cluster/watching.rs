//! Watching jobs and events: snapshots, changes, bookmarks, going on after a break.

use std::time::Duration;

use dockmgr_proto::v1::watch_jobs_response::Event;
use dockmgr_proto::v1::{Job, WatchJobsRequest, WatchJobsResponse, job};
use dockmgr_tests::{Cluster, STEP_LIMIT};
use futures_util::StreamExt as _;

use dockmgr_tests::raw::Api;

async fn next(stream: &mut tonic::Streaming<WatchJobsResponse>) -> WatchJobsResponse {
    let step = tokio::time::timeout(STEP_LIMIT, stream.next()).await.expect("a step in time");
    step.expect("the watch does not end").expect("the watch does not fail")
}

async fn until_state(
    stream: &mut tonic::Streaming<WatchJobsResponse>,
    id: u64,
    state: job::State,
) -> (Job, u64) {
    let mut revision = 0;
    loop {
        let step = next(stream).await;
        assert!(step.revision >= revision, "revisions grow: {} after {revision}", step.revision);
        revision = step.revision;
        if let Some(Event::Changed(job)) = step.event
            && job.id == id
            && job.state() == state
        {
            return (job, revision);
        }
    }
}

#[tokio::test]
async fn a_watch_begins_with_a_snapshot_and_goes_on_with_changes() {
    let cluster = Cluster::fake().await;
    let old = cluster.submit(["--wait", "exit 0"]).await;
    let mut jobs = Api::of(&cluster).await.jobs();
    let mut stream = jobs.watch_jobs(WatchJobsRequest::default()).await.expect("a watch").into_inner();
    let mut snapshot = Vec::new();
    loop {
        match next(&mut stream).await.event {
            Some(Event::Changed(job)) => snapshot.push(job.id),
            Some(Event::Bookmark(mark)) if mark.snapshot_done => break,
            Some(Event::Bookmark(_) | Event::DeletedId(_)) | None => {}
        }
    }
    assert_eq!(snapshot, [old]);
    let new = cluster.submit(["exit 3"]).await;
    let (ended, _) = until_state(&mut stream, new, job::State::Failed).await;
    assert_eq!(ended.exit_code, Some(3));
    cluster.cli(["rm", &new.to_string()]).ok().await;
    loop {
        if let Some(Event::DeletedId(id)) = next(&mut stream).await.event {
            assert_eq!(id, new);
            break;
        }
    }
}

#[tokio::test]
async fn a_watch_goes_on_after_a_revision_without_losing_a_change() {
    let cluster = Cluster::fake().await;
    let mut jobs = Api::of(&cluster).await.jobs();
    let first = cluster.submit(["exit 0"]).await;
    let mut stream = jobs.watch_jobs(WatchJobsRequest::default()).await.expect("a watch").into_inner();
    let (_, revision) = until_state(&mut stream, first, job::State::Succeeded).await;
    drop(stream);
    let second = cluster.submit(["--wait", "exit 0"]).await;
    let request = WatchJobsRequest { after_revision: revision, ..WatchJobsRequest::default() };
    let mut stream = jobs.watch_jobs(request).await.expect("a watch").into_inner();
    let (ended, _) = until_state(&mut stream, second, job::State::Succeeded).await;
    assert_eq!(ended.id, second);
}

#[tokio::test]
async fn a_watch_from_a_revision_that_never_was_is_out_of_range() {
    let cluster = Cluster::fake().await;
    let mut jobs = Api::of(&cluster).await.jobs();
    let request = WatchJobsRequest { after_revision: 1, ..WatchJobsRequest::default() };
    let refused = match jobs.watch_jobs(request).await {
        Err(status) => status,
        Ok(stream) => {
            stream.into_inner().next().await.expect("an answer").expect_err("revision 1 is too old")
        }
    };
    assert_eq!(refused.code(), tonic::Code::OutOfRange, "{refused:?}");
}

#[tokio::test]
async fn events_tell_the_story_of_a_job() {
    let cluster = Cluster::fake().await;
    let follow = cluster.cli(["events", "-f", "-o", "jsonl"]).spawn();
    cluster.run(["exit 5"]).await.expect_code(5);
    dockmgr_tests::wait_until("the end of the job among the events", STEP_LIMIT, async || {
        let seen = String::from_utf8_lossy(&follow.stdout_so_far()).into_owned();
        let lines = seen.lines().count();
        if lines >= 3 && seen.contains("worker-0") { Ok(()) } else { Err(seen) }
    })
    .await;
    follow.signal(rustix::process::Signal::INT);
    follow.wait(STEP_LIMIT).await.expect_code(130);
    let story = cluster.cli(["events", "--job", "1"]).ok().await.text();
    assert!(story.lines().count() >= 3, "{story}");
}

#[tokio::test]
async fn ctrl_c_leaves_wait_and_logs_and_the_job_goes_on() {
    let cluster = Cluster::fake().await;
    let job = cluster.submit(["echo begun; sleep 600"]).await.to_string();
    let logs = cluster.cli(["logs", "-f", &job]).spawn();
    logs.expect_stdout("begun\n", STEP_LIMIT).await;
    let wait = cluster.cli(["wait", &job]).spawn();
    let patient = cluster.cli(["wait", "--timeout", "1s", &job]).run().await;
    patient.expect_code(124);
    for running in [logs, wait] {
        running.signal(rustix::process::Signal::INT);
        running
            .wait(Duration::from_secs(20))
            .await
            .expect_code(130)
            .expect_error(&format!("job {job} goes on"));
    }
    assert_eq!(cluster.cli(["ps", "-q", "--state", "active"]).ok().await.text(), job);
}
