//! What every call passes first: its connection is noted as not silent, its answer must begin in time, a panic is answered
//! with `INTERNAL`, and a message over our limit as such.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};

use super::admission::Peer;
use crate::forward::FORWARDED;
use crate::rpc::status;

/// How long a call may take to the begin of its answer, which for unary calls is the answer: three times what a caller
/// waits for room in the controller, so that the controller's own words come first.
const ANSWER: Duration = Duration::from_secs(30);
/// The same for the one unary call that waits for as long as its caller asks, at most a minute.
const WAITED_ANSWER: Duration = Duration::from_secs(90);
/// That call.
const WAITING: &str = "/dockmgr.v1.JobService/WaitJob";

/// Calls that need no token.
const HEALTH: &str = "/grpc.health.";

/// Puts [`Entrance`] before the services.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntranceLayer;

/// Notes a request that is answered before it comes here.
pub(super) fn note(extensions: &http::Extensions) {
    if let Some(peer) = extensions.get::<Peer>() {
        peer.called();
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Entrance<S>(S);

impl<S> Layer<S> for EntranceLayer {
    type Service = Entrance<S>;

    fn layer(&self, inner: S) -> Entrance<S> {
        Entrance(inner)
    }
}

impl<S> Service<Request<Body>> for Entrance<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let peer = request.extensions().get::<Peer>().cloned();
        note(request.extensions());
        // Health is told to everybody: an answer proves nothing.
        let proves = !request.uri().path().starts_with(HEALTH);
        let for_others = request.headers().contains_key(FORWARDED);
        let limit = if request.uri().path() == WAITING { WAITED_ANSWER } else { ANSWER };
        let answer = self.0.call(request);
        Box::pin(async move {
            let answer = AssertUnwindSafe(tokio::time::timeout(limit, answer)).catch_unwind();
            match answer.await {
                Ok(Ok(response)) => {
                    let response = response?;
                    if let Some(peer) = peer
                        && proves
                        && is_good(&response)
                    {
                        peer.trust(for_others);
                    }
                    Ok(too_large_is_exhausted(response))
                }
                Ok(Err(_)) => Ok(status::too_slow().into_http()),
                // What the handler had in its hands is gone; what others share is whole or poisoned, and then says so.
                Err(_) => {
                    tracing::error!("a call panicked");
                    Ok(status::internal().into_http())
                }
            }
        })
    }
}

/// Whether the call was let in by the gate, here or at the leader, and was no mistake.
fn is_good(response: &Response<Body>) -> bool {
    response.headers().get("grpc-status").is_none_or(|code| code == "0")
}

/// A message over the limit is refused by the library with `OUT_OF_RANGE`, which in this API means a place in a stream that
/// is not kept any more; what it is, is a limit of ours.
fn too_large_is_exhausted(mut response: Response<Body>) -> Response<Body> {
    const OUT_OF_RANGE: &str = "11";
    let headers = response.headers();
    let about_size = |text: &HeaderValue| {
        String::from_utf8_lossy(text.as_bytes()).replace("%20", " ").contains("message length too large")
    };
    if headers.get("grpc-status").is_some_and(|code| code == OUT_OF_RANGE)
        && headers.get("grpc-message").is_some_and(about_size)
    {
        // It only fails for a message that is no header value, and ours is.
        let _always = status::message_too_large().add_header(response.headers_mut());
    }
    response
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceExt as _, service_fn};

    use super::*;

    fn request() -> Request<Body> {
        Request::new(Body::empty())
    }

    #[tokio::test]
    async fn a_call_that_panics_is_answered_and_the_next_one_served() {
        let calls = std::sync::atomic::AtomicU32::new(0);
        let service = service_fn(move |_: Request<Body>| {
            let first = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
            async move {
                assert!(!first, "on purpose");
                Ok::<_, Infallible>(Response::new(Body::empty()))
            }
        });
        let mut entrance = EntranceLayer.layer(service);
        let answer = entrance.ready().await.expect("ready").call(request()).await.expect("an answer");
        assert_eq!(answer.headers().get("grpc-status").expect("a status"), "13");
        let answer = entrance.ready().await.expect("ready").call(request()).await.expect("an answer");
        assert!(answer.headers().get("grpc-status").is_none());
    }
}
