//! Requests that must be refused, each with its code; and a few odd ones that must not be.

use std::collections::HashSet;

use dockmgr_proto::v1;
use dockmgr_tests::Cluster;
use dockmgr_tests::raw::Api;
use tonic::{Code, Status};
use uuid::Uuid;

/// Collects what the rows gave.
#[derive(Default)]
struct Table {
    rows: usize,
    wrong: Vec<String>,
}

impl Table {
    fn row<T: std::fmt::Debug>(&mut self, name: &str, due: Code, answer: Result<T, Status>) {
        self.rows += 1;
        let code = answer.as_ref().err().map_or(Code::Ok, Status::code);
        if code != due {
            self.wrong.push(format!("{name}: {code:?}, not {due:?}: {answer:.300?}"));
        }
        if let Err(status) = answer
            && (status.message().trim().is_empty() || status.message().contains("panicked"))
        {
            self.wrong.push(format!("{name}: says nothing useful: {:?}", status.message()));
        }
    }

    fn finish(self, at_least: usize) {
        assert!(
            self.wrong.is_empty(),
            "{} of {} rows:\n{}",
            self.wrong.len(),
            self.rows,
            self.wrong.join("\n")
        );
        assert!(self.rows >= at_least, "{} rows", self.rows);
    }
}

fn good() -> v1::CreateJobRequest {
    let args = vec!["true".to_owned()];
    let command = v1::Command { form: Some(v1::command::Form::Argv(v1::Argv { args })), entrypoint: None };
    let spec = v1::JobSpec { command: Some(command), ..v1::JobSpec::default() };
    v1::CreateJobRequest { spec: Some(spec), ..v1::CreateJobRequest::default() }
}

fn get(job: &str) -> v1::GetJobRequest {
    v1::GetJobRequest { job: job.to_owned(), explain: false }
}

#[tokio::test]
async fn references_that_mean_nothing_are_refused() {
    let cluster = Cluster::fake().await;
    let mut jobs = Api::of(&cluster).await.jobs();
    let mut table = Table::default();
    let long = "x".repeat(4096);
    let other_uid = Uuid::now_v7().to_string();
    for (job, due) in [
        ("", Code::InvalidArgument),
        ("0", Code::NotFound),
        ("-1", Code::NotFound),
        ("1e3", Code::NotFound),
        ("18446744073709551616", Code::NotFound),
        (long.as_str(), Code::InvalidArgument),
        ("'; DROP TABLE jobs; --", Code::NotFound),
        ("*", Code::NotFound),
        (".*", Code::NotFound),
        ("../../etc/passwd", Code::NotFound),
        ("namespaces/other/jobs/1", Code::NotFound),
        ("jobs/1/../2", Code::NotFound),
        ("a\u{1b}[2J", Code::InvalidArgument),
        ("7", Code::NotFound),
        ("last", Code::NotFound),
        ("no-such-name", Code::NotFound),
        (other_uid.as_str(), Code::NotFound),
        ("namespaces/default/jobs/7", Code::NotFound),
    ] {
        let shown: String = job.chars().take(30).collect();
        table.row(&format!("get {shown:?}"), due, jobs.get_job(get(job)).await);
        let request = v1::StopJobRequest { job: job.to_owned(), ..v1::StopJobRequest::default() };
        table.row(&format!("stop {shown:?}"), due, jobs.stop_job(request).await);
    }
    table.finish(36);
}

#[tokio::test]
async fn pages_filters_and_tokens_that_were_not_given_out_are_refused() {
    let cluster = Cluster::fake().await;
    let mut jobs = Api::of(&cluster).await.jobs();
    for _ in 0..3 {
        cluster.submit(["exit 0"]).await;
    }
    let mut table = Table::default();
    let list = |page_size, page_token: &str, filter: &str, order_by: &str| v1::ListJobsRequest {
        page_size,
        page_token: page_token.to_owned(),
        filter: filter.to_owned(),
        order_by: order_by.to_owned(),
    };
    let page = jobs.list_jobs(list(1, "", "", "")).await.expect("a page").into_inner();
    let token = page.next_page_token;
    table.row("page of minus one", Code::InvalidArgument, jobs.list_jobs(list(-1, "", "", "")).await);
    table.row("page of a billion is cut", Code::Ok, jobs.list_jobs(list(1_000_000_000, "", "", "")).await);
    table.row("forged token", Code::InvalidArgument, jobs.list_jobs(list(1, "forged", "", "")).await);
    table.row("token of zeros", Code::InvalidArgument, jobs.list_jobs(list(1, "AAAAAAAA", "", "")).await);
    table.row(
        "huge token",
        Code::InvalidArgument,
        jobs.list_jobs(list(1, &"A".repeat(100_000), "", "")).await,
    );
    table.row(
        "token of another filter",
        Code::InvalidArgument,
        jobs.list_jobs(list(1, &token, "state = ACTIVE", "")).await,
    );
    table.row(
        "token of another order",
        Code::InvalidArgument,
        jobs.list_jobs(list(1, &token, "", "id asc")).await,
    );
    table.row("the token itself", Code::Ok, jobs.list_jobs(list(1, &token, "", "")).await);
    table.row("unknown order", Code::InvalidArgument, jobs.list_jobs(list(1, "", "", "name; drop")).await);
    for filter in [
        "state",
        "state =",
        "= ACTIVE",
        "state = NONSENSE",
        "state > ACTIVE",
        "nonsense = 1",
        "id = x",
        "id = -1",
        "name = \"open",
        "labels. = \"x\"",
        "state = ACTIVE OR id = 1",
        "create_time > \"yesterday\"",
        "create_time > \"10000-01-01T00:00:00Z\"",
        "id = 99999999999999999999999",
    ] {
        table.row(
            &format!("filter {filter}"),
            Code::InvalidArgument,
            jobs.list_jobs(list(1, "", filter, "")).await,
        );
    }
    let long = vec!["id > 0"; 2000].join(" AND ");
    table.row("filter of 20 KB", Code::InvalidArgument, jobs.list_jobs(list(1, "", &long, "")).await);
    let tasks = |page_size, token: &str, states: Vec<i32>| v1::ListTasksRequest {
        job: "1".to_owned(),
        page_size,
        page_token: token.to_owned(),
        states,
    };
    table.row(
        "tasks, page of minus one",
        Code::InvalidArgument,
        jobs.list_tasks(tasks(-1, "", vec![])).await,
    );
    table.row("tasks, forged token", Code::InvalidArgument, jobs.list_tasks(tasks(1, "x", vec![])).await);
    table.row("tasks, token of jobs", Code::InvalidArgument, jobs.list_tasks(tasks(1, &token, vec![])).await);
    table.row("tasks, unknown state", Code::InvalidArgument, jobs.list_tasks(tasks(1, "", vec![99])).await);
    table.finish(25);
}

#[tokio::test]
async fn keys_make_one_job_and_never_two() {
    let cluster = Cluster::fake().await;
    let mut jobs = Api::of(&cluster).await.jobs();
    let mut table = Table::default();
    let id = Uuid::now_v7().to_string();
    let with = |request_id: &str, key: &str| v1::CreateJobRequest {
        request_id: request_id.to_owned(),
        key: key.to_owned(),
        ..good()
    };
    let mut other = with(&id, "");
    other.spec.as_mut().expect("a spec").priority = 7;
    let mut made = HashSet::new();
    for _ in 0..3 {
        made.insert(jobs.create_job(with(&id, "")).await.expect("taken").into_inner().job.expect("a job").id);
    }
    assert_eq!(made.len(), 1, "one key made {made:?}");
    table.row("the key with another spec", Code::AlreadyExists, jobs.create_job(other).await);
    table.row("no UUID", Code::InvalidArgument, jobs.create_job(with("not-a-uuid", "")).await);
    table.row("key of 1 KiB", Code::InvalidArgument, jobs.create_job(with("", &"k".repeat(1024))).await);
    table.row("key with a newline", Code::InvalidArgument, jobs.create_job(with("", "a\nb")).await);
    let first = jobs.create_job(with("", "chosen")).await.expect("taken").into_inner().job.expect("a job").id;
    let again = jobs.create_job(with("", "chosen")).await.expect("taken").into_inner().job.expect("a job").id;
    assert_eq!(first, again);
    let at_once = (0..20).map(|_| {
        let mut jobs = jobs.clone();
        tokio::spawn(async move {
            let request = v1::CreateJobRequest { key: "race".to_owned(), ..good() };
            jobs.create_job(request).await.expect("taken").into_inner().job.expect("a job").id
        })
    });
    let mut raced = HashSet::new();
    for one in at_once.collect::<Vec<_>>() {
        raced.insert(one.await.expect("no panic"));
    }
    assert_eq!(raced.len(), 1, "twenty callers with one key made {raced:?}");
    table.finish(4);
}

#[tokio::test]
async fn batches_are_all_or_nothing() {
    let cluster = Cluster::fake().await;
    let mut jobs = Api::of(&cluster).await.jobs();
    let mut table = Table::default();
    let batch = |requests| v1::BatchCreateJobsRequest { requests };
    table.row("empty batch", Code::InvalidArgument, jobs.batch_create_jobs(batch(vec![])).await);
    table.row(
        "batch of 1001",
        Code::InvalidArgument,
        jobs.batch_create_jobs(batch(vec![good(); 1001])).await,
    );
    let mut bad = vec![good(); 5];
    bad[3].spec = None;
    let refused = jobs.batch_create_jobs(batch(bad)).await;
    let fields = refused.as_ref().err().map(crate::spec_rows::fields).unwrap_or_default();
    assert!(fields.iter().any(|field| field.starts_with("requests[3]")), "{fields:?}");
    table.row("one bad of five", Code::InvalidArgument, refused);
    let mut mixed = vec![good(); 2];
    mixed[1].validate_only = true;
    table.row("half validated", Code::InvalidArgument, jobs.batch_create_jobs(batch(mixed)).await);
    assert_eq!(cluster.cli(["ps", "-a", "-q"]).ok().await.text(), "", "nothing was half created");
    let made = jobs.batch_create_jobs(batch(vec![good(); 1000])).await.expect("taken").into_inner().jobs;
    assert_eq!(made.len(), 1000);
    table.finish(4);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a flat table")]
async fn odd_waits_stops_logs_and_nodes_get_their_code() {
    let cluster = Cluster::fake().await;
    let api = Api::of(&cluster).await;
    let (mut jobs, mut logs, mut nodes, mut events) = (api.jobs(), api.logs(), api.nodes(), api.events());
    cluster.run(["echo hello; exit 1"]).await.expect_code(1);
    let mut table = Table::default();
    let duration = |seconds, nanos| Some(dockmgr_proto::wkt::Duration { seconds, nanos });
    let wait = |timeout| v1::WaitJobRequest { job: "1".to_owned(), timeout };
    table.row("wait minus one", Code::InvalidArgument, jobs.wait_job(wait(duration(-1, 0))).await);
    table.row("wait overflow is cut", Code::Ok, jobs.wait_job(wait(duration(100_000, 0))).await);
    table.row("wait of two signs", Code::InvalidArgument, jobs.wait_job(wait(duration(1, -1))).await);
    let stop = |signal: &str, grace, task| v1::StopJobRequest {
        job: "1".to_owned(),
        task_index: task,
        signal: signal.to_owned(),
        grace_period: grace,
        request_id: String::new(),
    };
    table.row("stop what has ended", Code::Ok, jobs.stop_job(stop("", None, None)).await);
    table.row("stop with SIGFOO", Code::InvalidArgument, jobs.stop_job(stop("SIGFOO", None, None)).await);
    table.row(
        "stop with grace minus one",
        Code::InvalidArgument,
        jobs.stop_job(stop("", duration(-1, 0), None)).await,
    );
    table.row("stop a task that is not", Code::NotFound, jobs.stop_job(stop("", None, Some(5))).await);
    let tail = |attempt, resume: &str, task| v1::TailLogsRequest {
        job: "1".to_owned(),
        attempt,
        task_index: task,
        resume_token: resume.to_owned(),
        ..v1::TailLogsRequest::default()
    };
    table.row(
        "tail attempt 0",
        Code::InvalidArgument,
        first(logs.tail_logs(tail(Some(0), "", None)).await).await,
    );
    table.row(
        "tail a forged token",
        Code::InvalidArgument,
        first(logs.tail_logs(tail(None, "forged", None)).await).await,
    );
    table.row(
        "tail a task that is not",
        Code::NotFound,
        first(logs.tail_logs(tail(None, "", Some(9))).await).await,
    );
    table.row(
        "tail an attempt that is not",
        Code::NotFound,
        first(logs.tail_logs(tail(Some(77), "", None)).await).await,
    );
    let range = |job_id, attempt, stream, offset| v1::GetLogsRequest {
        attempt: Some(v1::AttemptRef { job_id, task_index: 0, attempt }),
        stream,
        offset,
        max_bytes: 0,
    };
    table.row("range without a stream", Code::InvalidArgument, logs.get_logs(range(1, 1, 0, 0)).await);
    table.row("range of an unknown stream", Code::InvalidArgument, logs.get_logs(range(1, 1, 9, 0)).await);
    table.row("range of attempt 0", Code::InvalidArgument, logs.get_logs(range(1, 0, 1, 0)).await);
    table.row("range of no job", Code::NotFound, logs.get_logs(range(9, 1, 1, 0)).await);
    table.row(
        "range without an attempt",
        Code::InvalidArgument,
        logs.get_logs(v1::GetLogsRequest { stream: 1, ..Default::default() }).await,
    );
    let beyond = logs.get_logs(range(1, 1, 1, u64::MAX)).await;
    assert!(beyond.as_ref().map_or(true, |answer| answer.get_ref().data.is_empty()), "{beyond:?}");
    let node = |name: &str| v1::GetNodeRequest { node: name.to_owned() };
    table.row("node without a name", Code::InvalidArgument, nodes.get_node(node("")).await);
    table.row("node that is not", Code::NotFound, nodes.get_node(node("no-such-node")).await);
    let rm = v1::DeleteNodeRequest { node: "worker-0".to_owned(), ..v1::DeleteNodeRequest::default() };
    table.row("remove a connected node", Code::FailedPrecondition, nodes.delete_node(rm).await);
    let nodes_page = v1::ListNodesRequest { page_size: -1, page_token: String::new() };
    table.row("nodes, page of minus one", Code::InvalidArgument, nodes.list_nodes(nodes_page).await);
    let after = v1::WatchEventsRequest { after_sequence: u64::MAX, ..v1::WatchEventsRequest::default() };
    let from_the_future = first(events.watch_events(after).await).await;
    assert!(from_the_future.as_ref().map_or(true, Option::is_none), "{from_the_future:?}");
    table.row(
        "retry a job that is not",
        Code::NotFound,
        jobs.retry_job(v1::RetryJobRequest { job: "9".into(), ..Default::default() }).await,
    );
    table.row(
        "retry twice with one bad key",
        Code::InvalidArgument,
        jobs.retry_job(v1::RetryJobRequest { job: "1".into(), request_id: "x".into() }).await,
    );
    table.row("no spec", Code::InvalidArgument, jobs.create_job(v1::CreateJobRequest::default()).await);
    table.row(
        "a message of 1.5 MiB",
        Code::ResourceExhausted,
        jobs.create_job(v1::CreateJobRequest { key: "x".repeat(3 << 19), ..good() }).await,
    );
    table.finish(24);
}

/// The first message of a stream.
async fn first<T>(stream: Result<tonic::Response<tonic::Streaming<T>>, Status>) -> Result<Option<T>, Status> {
    let next = stream?.into_inner();
    tokio::pin!(next);
    tokio::time::timeout(std::time::Duration::from_secs(20), next.message())
        .await
        .unwrap_or_else(|_| Err(Status::deadline_exceeded("nothing came")))
}
