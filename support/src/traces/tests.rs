use std::sync::{Arc, Mutex};
use std::time::Duration;

use dockmgr_core::time::WallTime;
use dockmgr_core::trace::{SpanId, TraceId, Value};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::*;

/// Keeps what it takes; refuses as often as it is told first.
#[derive(Clone, Default)]
struct Collector {
    taken: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    refusals: Arc<Mutex<Vec<Status>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        if let Some(refusal) = self.refusals.lock().expect("lock").pop() {
            return Err(refusal);
        }
        self.taken.lock().expect("lock").push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn serve(&self) -> Address {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address =
            Address::parse(&format!("http://{}", listener.local_addr().expect("bound"))).expect("address");
        let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(self.clone()));
        Tasks::default().spawn("collector", server.serve_with_incoming(TcpListenerStream::new(listener)));
        address
    }

    fn names(&self) -> Vec<String> {
        let taken = self.taken.lock().expect("lock");
        let spans =
            taken.iter().flat_map(|request| &request.resource_spans).flat_map(|spans| &spans.scope_spans);
        spans.flat_map(|scope| &scope.spans).map(|span| span.name.clone()).collect()
    }
}

fn span(name: &'static str) -> Span {
    Span {
        trace: TraceId([1; 16]),
        id: SpanId([2; 8]),
        parent: None,
        name,
        start: WallTime(1_000),
        end: WallTime(2_500),
        attributes: vec![("dockmgr.job", Value::Number(42))],
        error: Some("exited 3".to_owned()),
    }
}

fn service() -> Service {
    Service { name: "dockmgr-test", instance: "one".to_owned() }
}

fn meter() -> Meter {
    Meter::register(&mut Registry::default())
}

async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if reached() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come");
}

#[tokio::test]
async fn spans_arrive_as_they_were_and_after_a_refusal_that_may_pass() {
    let collector = Collector::default();
    collector.refusals.lock().expect("lock").push(Status::unavailable("not yet"));
    let (tasks, meter) = (Tasks::default(), meter());
    let tracer =
        Tracer::open(Some(&collector.serve().await), &service(), meter.clone(), &tasks).expect("start");
    tracer.record([span("job")]);
    until("the span", || meter.sent.get() == 1).await;
    let taken = collector.taken.lock().expect("lock")[0].resource_spans[0].clone();
    let sent = &taken.scope_spans[0].spans[0];
    assert_eq!((sent.trace_id.as_slice(), sent.span_id.as_slice()), (&[1_u8; 16][..], &[2_u8; 8][..]));
    assert_eq!((sent.start_time_unix_nano, sent.end_time_unix_nano), (1_000_000_000, 2_500_000_000));
    assert_eq!(sent.status.as_ref().map(|status| status.message.as_str()), Some("exited 3"));
    assert_eq!(sent.attributes[0].key, "dockmgr.job");
    assert!(taken.resource.expect("named").attributes.iter().any(|fact| fact.key == "service.name"));
    assert_eq!(tasks.shut_down(Duration::from_secs(5)).await, Vec::<&str>::new());
}

#[tokio::test]
async fn what_is_refused_for_good_is_dropped_once_and_the_next_goes_on() {
    let collector = Collector::default();
    collector.refusals.lock().expect("lock").push(Status::invalid_argument("no"));
    let (tasks, meter) = (Tasks::default(), meter());
    let tracer =
        Tracer::open(Some(&collector.serve().await), &service(), meter.clone(), &tasks).expect("start");
    tracer.record([span("refused")]);
    until("the refusal", || meter.dropped.get() == 1).await;
    tracer.record([span("taken")]);
    until("the next", || meter.sent.get() == 1).await;
    assert_eq!(collector.names(), ["taken"]);
}

#[tokio::test]
async fn the_end_of_the_program_sends_what_waits_and_does_not_wait_for_a_collector_that_is_gone() {
    let collector = Collector::default();
    let (tasks, counts) = (Tasks::default(), meter());
    let tracer = Tracer::open(Some(&collector.serve().await), &service(), counts, &tasks).expect("start");
    tracer.record([span("last")]);
    assert_eq!(tasks.shut_down(Duration::from_secs(5)).await, Vec::<&str>::new());
    assert_eq!(collector.names(), ["last"]);

    let gone = Address::parse("http://127.0.0.1:1").expect("address");
    let tasks = Tasks::new(CancellationToken::new());
    let tracer = Tracer::open(Some(&gone), &service(), meter(), &tasks).expect("start");
    tracer.record([span("lost")]);
    assert_eq!(tasks.shut_down(Duration::from_secs(5)).await, Vec::<&str>::new());
}

#[tokio::test]
async fn the_end_of_the_program_does_not_wait_for_a_collector_that_takes_and_never_answers() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address =
        Address::parse(&format!("http://{}", silent.local_addr().expect("bound"))).expect("address");
    let (tasks, meter) = (Tasks::default(), meter());
    let tracer = Tracer::open(Some(&address), &service(), meter.clone(), &tasks).expect("start");
    tracer.record([span("on its way")]);
    let _connection = silent.accept().await.expect("it connects");
    tracer.record([span("waits")]);
    assert_eq!(tasks.shut_down(Duration::from_secs(3)).await, Vec::<&str>::new());
    assert_eq!(meter.dropped.get(), 2);
}

#[tokio::test]
async fn recording_never_waits_and_counts_what_it_drops() {
    let (to, _never_read) = mpsc::channel(2);
    let meter = meter();
    let tracer = Tracer(Some(Queue { to, meter: meter.clone() }));
    tracer.record(["a", "b", "c"].map(span));
    assert_eq!(meter.dropped.get(), 1);
    Tracer::default().record([span("nowhere")]);
}

#[test]
fn an_endpoint_is_an_address_or_is_refused() {
    assert!(endpoint(None).expect("none").is_none());
    assert!(endpoint(Some("http://127.0.0.1:4317")).expect("good").is_some());
    assert!(endpoint(Some("127.0.0.1:4317")).is_err());
}
