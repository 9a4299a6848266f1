//! The client against a coordinator that fails in the ways real ones do: busy, restarted, cut off in the middle.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use dockmgr_client::{Client, Options};
use dockmgr_proto::v1;
use dockmgr_proto::v1::job_service_server::{JobService, JobServiceServer};
use dockmgr_proto::v1::log_service_server::{LogService, LogServiceServer};
use dockmgr_proto::v1::search_logs_response::Event as Searched;
use dockmgr_proto::v1::tail_logs_response::Event;
use dockmgr_support::tasks::Tasks;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, iter};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// One step of a tail, or its failure.
type Step = Result<v1::TailLogsResponse, Status>;
/// One step of a search, or its failure.
type Found = Result<v1::SearchLogsResponse, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Plays back what a test wrote down, and keeps what it was asked.
#[derive(Clone, Default)]
struct Script {
    /// What the next calls get instead of an answer.
    refusals: Arc<Mutex<VecDeque<Status>>>,
    /// What the next tails send.
    tails: Arc<Mutex<VecDeque<Vec<Step>>>>,
    /// What the next searches send.
    searches: Arc<Mutex<VecDeque<Vec<Found>>>>,
    /// Request ids and resume tokens in the order they came.
    asked: Arc<Mutex<Vec<String>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Script {
    fn note(&self, asked: &str) -> Result<(), Status> {
        lock(&self.asked).push(asked.to_owned());
        lock(&self.refusals).pop_front().map_or(Ok(()), Err)
    }

    fn asked(&self) -> Vec<String> {
        lock(&self.asked).clone()
    }
}

/// Calls that no test here makes, spelled as `async_trait` would, which does not look into macros.
macro_rules! unused {
    ($($call:ident($request:ident) -> $response:ty;)*) => {
        $(fn $call<'a, 'b>(
            &'a self,
            _: Request<v1::$request>,
        ) -> Pin<Box<dyn Future<Output = Result<Response<$response>, Status>> + Send + 'b>>
        where
            'a: 'b,
            Self: 'b,
        {
            Box::pin(std::future::ready(Err(Status::unimplemented("not part of the script"))))
        })*
    };
}

#[tonic::async_trait]
impl JobService for Script {
    type WatchJobsStream = Answers<v1::WatchJobsResponse>;

    async fn create_job(
        &self,
        request: Request<v1::CreateJobRequest>,
    ) -> Result<Response<v1::CreateJobResponse>, Status> {
        self.note(&request.get_ref().request_id)?;
        let job = Some(v1::Job { id: 42, ..v1::Job::default() });
        Ok(Response::new(v1::CreateJobResponse { job, verdicts: Vec::new() }))
    }

    async fn delete_job(
        &self,
        request: Request<v1::DeleteJobRequest>,
    ) -> Result<Response<v1::DeleteJobResponse>, Status> {
        self.note(&request.get_ref().job)?;
        Ok(Response::new(v1::DeleteJobResponse {}))
    }

    unused! {
        batch_create_jobs(BatchCreateJobsRequest) -> v1::BatchCreateJobsResponse;
        get_job(GetJobRequest) -> v1::GetJobResponse;
        list_jobs(ListJobsRequest) -> v1::ListJobsResponse;
        list_tasks(ListTasksRequest) -> v1::ListTasksResponse;
        stop_job(StopJobRequest) -> v1::StopJobResponse;
        kill_job(KillJobRequest) -> v1::KillJobResponse;
        retry_job(RetryJobRequest) -> v1::RetryJobResponse;
        get_usage(GetUsageRequest) -> v1::GetUsageResponse;
        pin_job(PinJobRequest) -> v1::PinJobResponse;
        unpin_job(UnpinJobRequest) -> v1::UnpinJobResponse;
        wait_job(WaitJobRequest) -> v1::WaitJobResponse;
        watch_jobs(WatchJobsRequest) -> Self::WatchJobsStream;
    }
}

#[tonic::async_trait]
impl LogService for Script {
    type TailLogsStream = Answers<v1::TailLogsResponse>;

    async fn tail_logs(
        &self,
        request: Request<v1::TailLogsRequest>,
    ) -> Result<Response<Self::TailLogsStream>, Status> {
        self.note(&request.get_ref().resume_token)?;
        let steps = lock(&self.tails).pop_front().unwrap_or_default();
        Ok(Response::new(Box::pin(iter(steps))))
    }

    type SearchLogsStream = Answers<v1::SearchLogsResponse>;

    async fn search_logs(
        &self,
        request: Request<v1::SearchLogsRequest>,
    ) -> Result<Response<Self::SearchLogsStream>, Status> {
        let v1::SearchLogsRequest { page_token, limit, count_only, .. } = request.get_ref();
        self.note(&format!("{page_token} {limit} {count_only}"))?;
        let steps = lock(&self.searches).pop_front().unwrap_or_default();
        Ok(Response::new(Box::pin(iter(steps))))
    }

    unused! {
        get_logs(GetLogsRequest) -> v1::GetLogsResponse;
    }
}

/// Serves the script on a port of its own.
async fn client_of(script: &Script) -> (Client, Tasks) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address: SocketAddr = listener.local_addr().expect("bound");
    let tasks = Tasks::default();
    let server = tonic::transport::Server::builder()
        .add_service(JobServiceServer::new(script.clone()))
        .add_service(LogServiceServer::new(script.clone()))
        .serve_with_incoming(TcpListenerStream::new(listener));
    let _serving = tasks.spawn("server", server);
    let options = Options::for_server(&format!("http://{address}")).expect("an address");
    (Client::connect(options).await.expect("reachable"), tasks)
}

#[expect(clippy::unnecessary_wraps, reason = "a step is a result")]
fn batch(token: &str, offset: u64, text: &'static str) -> Step {
    let record =
        v1::LogRecord { stream: 1, offset, time: None, data: bytes::Bytes::from_static(text.as_bytes()) };
    let attempt = Some(v1::AttemptRef { job_id: 42, task_index: 0, attempt: 1 });
    let batch = v1::LogBatch { attempt, records: vec![record] };
    Ok(v1::TailLogsResponse { resume_token: token.to_owned(), event: Some(Event::Batch(batch)) })
}

#[expect(clippy::unnecessary_wraps, reason = "a step is a result")]
fn job_end() -> Step {
    let end = v1::LogJobEnd { job: Some(v1::Job { id: 42, ..v1::Job::default() }) };
    Ok(v1::TailLogsResponse { resume_token: String::new(), event: Some(Event::JobEnd(end)) })
}

#[tokio::test]
async fn a_creation_is_repeated_under_one_request_id_until_it_is_taken() {
    let script = Script::default();
    lock(&script.refusals).extend([Status::unavailable("starting"), Status::unavailable("starting")]);
    let (client, _tasks) = client_of(&script).await;
    let answer = client.create_job(v1::CreateJobRequest::default()).await.expect("taken in the end");
    assert_eq!(answer.job.map(|job| job.id), Some(42));
    let asked = script.asked();
    assert_eq!(asked.len(), 3);
    assert!(!asked[0].is_empty() && asked.iter().all(|id| *id == asked[0]), "{asked:?}");
}

#[tokio::test]
async fn what_is_gone_after_a_deletion_with_an_open_outcome_counts_as_deleted() {
    let script = Script::default();
    lock(&script.refusals).extend([Status::unavailable("gone"), Status::not_found("no job 9")]);
    let (client, _tasks) = client_of(&script).await;
    let request = v1::DeleteJobRequest { job: "9".into(), delete_logs: false, force: false };
    client.delete_job(request).await.expect("the first try may have deleted it");
    assert_eq!(script.asked().len(), 2);
}

#[tokio::test]
async fn a_refusal_is_never_sent_twice() {
    let script = Script::default();
    lock(&script.refusals).extend([Status::not_found("no job 9"), Status::not_found("no job 9")]);
    let (client, _tasks) = client_of(&script).await;
    let request = v1::DeleteJobRequest { job: "9".into(), delete_logs: false, force: false };
    let error = client.delete_job(request).await.expect_err("nothing was open");
    assert_eq!(error.code(), Some(Code::NotFound));
    let error = client.create_job(v1::CreateJobRequest::default()).await.expect_err("refused");
    assert_eq!((error.code(), error.to_string()), (Some(Code::NotFound), "no job 9".to_owned()));
    assert_eq!(script.asked().len(), 2);
}

#[tokio::test]
async fn reason_and_wrong_fields_come_through() {
    let script = Script::default();
    let mut details = ErrorDetails::new();
    details.set_error_info("INVALID_ARGUMENT", "dockmgr", std::collections::HashMap::new());
    details.add_bad_request_violation("spec.image", "is empty");
    let status = Status::with_error_details(Code::InvalidArgument, "spec.image: is empty", details);
    lock(&script.refusals).push_back(status);
    let (client, _tasks) = client_of(&script).await;
    let error = client.create_job(v1::CreateJobRequest::default()).await.expect_err("refused");
    let refusal = error.refusal().expect("the server's own word");
    assert_eq!(refusal.reason, "INVALID_ARGUMENT");
    assert_eq!((refusal.violations[0].field.as_str(), refusal.violations.len()), ("spec.image", 1));
}

#[tokio::test]
async fn a_follow_goes_on_where_it_broke_off_without_loss_or_repetition() {
    let script = Script::default();
    lock(&script.tails).extend([
        vec![batch("t1", 0, "one "), batch("t2", 4, "two "), Err(Status::unavailable("restarted"))],
        // Ended without a word, after bytes that were sent before.
        vec![batch("t3", 4, "two three ")],
        vec![batch("t4", 14, "four"), job_end()],
    ]);
    let (client, _tasks) = client_of(&script).await;
    let mut tail = client.tail_logs(v1::TailLogsRequest {
        job: "42".into(),
        follow: true,
        ..v1::TailLogsRequest::default()
    });
    let mut text = Vec::new();
    let mut ended = false;
    while let Some(event) = tail.next().await.expect("goes on") {
        match event {
            Event::Batch(batch) => batch.records.iter().for_each(|r| text.extend_from_slice(&r.data)),
            Event::JobEnd(_) => ended = true,
            other => panic!("nobody sent {other:?}"),
        }
    }
    assert_eq!((String::from_utf8_lossy(&text).as_ref(), ended), ("one two three four", true));
    assert_eq!(script.asked(), ["", "t2", "t3"]);
}

#[tokio::test]
async fn a_tail_without_follow_ends_with_what_is_kept() {
    let script = Script::default();
    lock(&script.tails).push_back(vec![batch("t1", 0, "all")]);
    let (client, _tasks) = client_of(&script).await;
    let mut tail =
        client.tail_logs(v1::TailLogsRequest { job: "42".into(), ..v1::TailLogsRequest::default() });
    assert!(matches!(tail.next().await, Ok(Some(Event::Batch(_)))));
    assert!(matches!(tail.next().await, Ok(None)));
}

#[expect(clippy::unnecessary_wraps, reason = "a step is a result")]
fn hit(token: &str) -> Found {
    let hit = v1::SearchHit { page_token: token.to_owned(), ..v1::SearchHit::default() };
    Ok(v1::SearchLogsResponse { event: Some(Searched::Hit(hit)) })
}

#[tokio::test]
async fn a_search_goes_on_behind_the_last_hit_and_gives_none_twice() {
    let script = Script::default();
    let next_page_token = "p3".to_owned();
    let done = v1::SearchDone { next_page_token, ..v1::SearchDone::default() };
    let done = Ok(v1::SearchLogsResponse { event: Some(Searched::Done(done)) });
    lock(&script.searches).extend([
        vec![hit("p1"), hit("p2"), Err(Status::unavailable("restarted"))],
        // Ended without a word, before anything was found again.
        vec![],
        vec![hit("p3"), Err(Status::unavailable("restarted"))],
        // All hits that were asked for are there: only the counts are missing.
        vec![done],
    ]);
    let (client, _tasks) = client_of(&script).await;
    let mut search = client.search_logs(v1::SearchLogsRequest { limit: 3, ..Default::default() });
    let mut tokens = Vec::new();
    while let Some(event) = search.next().await.expect("goes on") {
        match event {
            Searched::Hit(hit) => tokens.push(hit.page_token),
            Searched::Done(done) => tokens.push(format!("done {}", done.next_page_token)),
            Searched::Progress(_) => panic!("nobody sent it"),
        }
    }
    assert_eq!(tokens, ["p1", "p2", "p3", "done p3"]);
    assert_eq!(script.asked(), [" 3 false", "p2 1 false", "p2 1 false", "p3 1 true"]);
}

#[tokio::test]
async fn nobody_at_the_address_is_said_at_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let options = Options::for_server(&format!("http://{address}")).expect("an address");
    let error = Client::connect(options).await.expect_err("nobody is there");
    assert!(error.is_retryable() && error.to_string().contains("cannot reach"), "{error}");
}
