//! One trace over coordinator, worker and command, seen by a server of OTLP.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dockmgr_tests::{Cluster, STEP_LIMIT, wait_until};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The code of a failed span.
const ERROR: i32 = opentelemetry_proto::tonic::trace::v1::status::StatusCode::Error as i32;

/// Keeps the spans it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = request.into_inner().resource_spans.into_iter().flat_map(|of| of.scope_spans);
        self.0.lock().expect("lock").extend(spans.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(self.clone()));
        tokio::task::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        url
    }

    /// The spans of a trace by name, as soon as there are so many.
    async fn spans(&self, trace: &str, count: usize) -> BTreeMap<String, Span> {
        let of_trace = || -> Vec<Span> {
            let all = self.0.lock().expect("lock");
            all.iter().filter(|span| hex(&span.trace_id) == trace).cloned().collect()
        };
        let spans = wait_until("the spans", STEP_LIMIT, async || {
            let spans = of_trace();
            if spans.len() >= count { Ok(spans) } else { Err(format!("{} of {count}", spans.len())) }
        })
        .await;
        assert_eq!(spans.len(), count, "{spans:?}");
        spans.into_iter().map(|span| (span.name.clone(), span)).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn traced() -> (Collector, Cluster) {
    let collector = Collector::default();
    let url = collector.serve().await;
    let args = ["--otlp-endpoint", &url];
    let cluster = Cluster::builder().coordinator_args(&args).worker_args(&args).start().await;
    (collector, cluster)
}

#[tokio::test]
async fn a_trace_leads_from_the_submitter_over_the_job_into_the_command() {
    let (collector, cluster) = traced().await;
    let ran = cluster.cli(["run", "echo $TRACEPARENT; exit 3"]).env("TRACEPARENT", PARENT).run().await;
    let given = ran.expect_code(3).text();
    let spans = collector.spans("0af7651916cd43dd8448eb211c80319c", 6).await;
    for (name, parent) in [
        ("schedule", "job"),
        ("attempt", "job"),
        ("pull", "attempt"),
        ("start", "attempt"),
        ("run", "attempt"),
    ] {
        assert_eq!(spans[name].parent_span_id, spans[parent].span_id, "{name} below {parent}");
        assert!(spans[name].end_time_unix_nano >= spans[name].start_time_unix_nano);
    }
    assert_eq!(hex(&spans["job"].parent_span_id), "b7ad6b7169203331");
    let run = hex(&spans["run"].span_id);
    assert_eq!(given.trim(), format!("00-0af7651916cd43dd8448eb211c80319c-{run}-01"));
    let failed = |name: &str| spans[name].status.as_ref().is_some_and(|status| status.code == ERROR);
    assert!(failed("attempt") && failed("run") && !failed("pull"));
}

#[tokio::test]
async fn a_job_nobody_traced_before_begins_a_trace_and_a_parent_that_records_nothing_is_passed_on() {
    let (collector, cluster) = traced().await;
    let silent = PARENT.replace("-01", "-00");
    let passed = cluster.cli(["run", "echo $TRACEPARENT"]).env("TRACEPARENT", &silent).ok().await;
    assert!(passed.text().trim().ends_with("-00"), "{}", passed.text());
    let begun = cluster.run(["echo $TRACEPARENT"]).await.expect_code(0).text();
    let trace = begun.trim().split('-').nth(1).expect("a trace").to_owned();
    let spans = collector.spans(&trace, 6).await;
    assert!(spans["job"].parent_span_id.is_empty());
    let others = collector.0.lock().expect("lock").iter().filter(|span| hex(&span.trace_id) != trace).count();
    assert_eq!(others, 0, "the silent job left no span");
}

#[tokio::test]
async fn without_a_collector_the_command_gets_what_its_submitter_gave_and_nothing_else() {
    let cluster = Cluster::fake().await;
    let given = cluster.cli(["run", "echo $TRACEPARENT"]).env("TRACEPARENT", PARENT).ok().await;
    assert_eq!(given.text().trim(), PARENT);
    assert_eq!(cluster.run(["echo \"[$TRACEPARENT]\""]).await.expect_code(0).text().trim(), "[]");
}
