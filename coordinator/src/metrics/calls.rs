//! Calls of the API: how many ended how, and how long they took.
//!
//! Stands before everything else, so that what the entrance answers is counted, too. The names are those of other gRPC
//! servers, for dashboards that exist. A stream's status comes with its last frame, so its body is followed to the end; a call
//! that its caller leaves counts as cancelled. Calls that are passed on to the leader count here and there.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use dockmgr_proto::DESCRIPTOR_SET;
use dockmgr_support::metrics::exposition::JOB_SECONDS;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

/// Service and method.
type Method = [(&'static str, String); 2];
/// Service, method and status.
type Ending = [(&'static str, String); 3];

/// Counts calls; a layer before the services. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Calls {
    /// The methods there are, by path: a caller must not be able to make new labels.
    methods: Arc<BTreeMap<String, Method>>,
    handled: Family<Ending, Counter>,
    seconds: Family<Method, Histogram>,
}

impl Calls {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let seconds: Family<Method, Histogram> = Family::new_with_constructor(|| Histogram::new(JOB_SECONDS));
        let calls = Self { methods: Arc::new(known()), handled: Family::default(), seconds };
        registry.register("grpc_server_handled", "Calls that ended, by status", calls.handled.clone());
        let help = "Time of calls from their headers to the end of the answer, of streams their whole life";
        registry.register("grpc_server_handling_seconds", help, calls.seconds.clone());
        calls
    }

    fn begin(&self, path: &str) -> Call {
        let method = self.methods.get(path).cloned().unwrap_or_else(|| method("unknown", "unknown"));
        Call { calls: self.clone(), method, began: Instant::now(), over: false }
    }
}

fn method(service: &str, name: &str) -> Method {
    [("grpc_service", service.to_owned()), ("grpc_method", name.to_owned())]
}

/// Every method this server has, health and reflection included.
fn known() -> BTreeMap<String, Method> {
    let sets = [
        DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    ];
    let mut known = BTreeMap::new();
    for set in sets {
        let files = FileDescriptorSet::decode(set).expect("the descriptors were made with the program").file;
        for file in files {
            for service in &file.service {
                let service_name = format!("{}.{}", file.package(), service.name());
                for found in &service.method {
                    let path = format!("/{service_name}/{}", found.name());
                    known.insert(path, method(&service_name, found.name()));
                }
            }
        }
    }
    known
}

/// One call under way; counts as cancelled if it is dropped before its end.
struct Call {
    calls: Calls,
    method: Method,
    began: Instant,
    over: bool,
}

impl Call {
    fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        self.calls.seconds.get_or_create(&self.method).observe(self.began.elapsed().as_secs_f64());
        let [service, name] = self.method.clone();
        self.calls.handled.get_or_create(&[service, name, ("grpc_code", word(code).to_owned())]).inc();
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

/// The status in headers or trailers, if it is there.
fn code(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()))
}

/// The word for a status, as other servers' metrics have it.
fn word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}

impl<S> Layer<S> for Calls {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, calls: self.clone() }
    }
}

/// The services, with every call counted.
#[derive(Debug, Clone)]
pub(crate) struct Counted<S> {
    inner: S,
    calls: Calls,
}

impl<S> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut call = self.calls.begin(request.uri().path());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            // An answer that is only a status has it in its headers.
            if let Some(code) = code(response.headers()) {
                call.end(code);
                return Ok(response);
            }
            Ok(response.map(|body| Body::new(Followed { body, call })))
        })
    }
}

/// An answer on its way out.
struct Followed {
    body: Body,
    call: Call,
}

impl http_body::Body for Followed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.call.end(code(trailers).unwrap_or(Code::Unknown));
                }
            }
            Poll::Ready(Some(Err(status))) => {
                let code = status.code();
                self.call.end(code);
            }
            Poll::Ready(None) => self.call.end(Code::Unknown),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
