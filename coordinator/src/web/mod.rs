//! The API as JSON over HTTP, and the page that uses it, on the port of gRPC.
//!
//! Owns the translation and nothing else: an HTTP call becomes the gRPC call that [`routes`] names and goes the way all of
//! them go, through counting, deadlines, forwarding to the leader and the token gate. What is no gRPC call ends here.
//!
//! ```text
//! request -- application/grpc on HTTP/2 --------------------------------------> calls -> entrance -> forward -> gate
//!    \-- anything else --> door (Host, Origin) --> /api/v1/... --> request -> call --^   \--> JSON, events or bytes
//!                                              \-> the page and its files
//! ```

mod call;
mod contract;
mod door;
mod examples;
mod openapi;
mod page;
mod problem;
mod request;
mod routes;
mod schema;
mod stream;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body_util::Full;
use tonic::body::Body;
use tower::{Layer, Service};

use self::contract::Contract;
use self::door::Door;
use self::problem::Problem;
use self::routes::{Found, Routes, Shape};

/// Where the API begins.
const API: &str = "/api/v1";

/// Puts the web before the gRPC calls.
#[derive(Debug, Clone)]
pub(crate) struct WebLayer<N> {
    web: Arc<Web>,
    noticed: N,
}

impl<N> WebLayer<N> {
    /// A web that may be called by the names in `hosts`, by `localhost` and by addresses. `noticed` is told of every request
    /// that was let in and answered here.
    pub(crate) fn new(hosts: Vec<String>, noticed: N) -> Self {
        let contract = Contract::new();
        let openapi = Bytes::from(openapi::document(&contract).to_string());
        let routes = Routes::new(&contract);
        Self { web: Arc::new(Web { door: Door::new(hosts), routes, openapi }), noticed }
    }
}

impl<S, N: Clone> Layer<S> for WebLayer<N> {
    type Service = WebService<S, N>;

    fn layer(&self, calls: S) -> Self::Service {
        WebService { calls, web: Arc::clone(&self.web), noticed: self.noticed.clone() }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct WebService<S, N> {
    calls: S,
    web: Arc<Web>,
    noticed: N,
}

#[derive(Debug)]
struct Web {
    door: Door,
    routes: Routes,
    openapi: Bytes,
}

impl<S, N> Service<Request<Body>> for WebService<S, N>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    N: Fn(&http::Extensions) + Clone + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.calls.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if is_grpc(&request) && request.version() == Version::HTTP_2 {
            return Box::pin(self.calls.call(request));
        }
        let (web, calls, noticed) = (Arc::clone(&self.web), self.calls.clone(), self.noticed.clone());
        Box::pin(async move {
            let answer = match web.door.check(&request) {
                Ok(()) => {
                    noticed(request.extensions());
                    web.answer(calls, request).await
                }
                Err(problem) => closing(problem.into_response()),
            };
            Ok(guarded(answer))
        })
    }
}

impl Web {
    async fn answer<S>(&self, calls: S, request: Request<Body>) -> Response<Body>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        if is_grpc(&request) {
            return closing(
                Problem::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "gRPC needs HTTP/2").into_response(),
            );
        }
        let Some(path) = request.uri().path().strip_prefix(API).map(str::to_owned) else {
            return page::answer(&request);
        };
        let is_get = request.method() == Method::GET;
        if path == "/openapi.json" && is_get {
            return full(StatusCode::OK, "application/json", self.openapi.clone());
        }
        let answered = match self.routes.find(request.method(), &path) {
            Found::Route(route, names) => {
                let shape = route.shape;
                match request::read(route, names, request).await {
                    Ok(read) => match shape {
                        Shape::Unary => call::unary(calls, route, read).await,
                        Shape::Events(_) => stream::events(calls, route, read).await,
                        Shape::Output => stream::output(calls, route, read).await,
                    },
                    Err(problem) => Err(problem),
                }
            }
            Found::OtherMethods(allowed) => Err(Problem::method(&allowed)),
            Found::Nothing => Err(Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path")),
        };
        answered.unwrap_or_else(Problem::into_response)
    }
}

fn is_grpc(request: &Request<Body>) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// An answer that is there at once.
fn full(status: StatusCode, kind: &'static str, bytes: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(bytes)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Ends the connection with this answer, where the protocol has a word for that.
fn closing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// What every answer forbids the browser.
fn guarded(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
}
