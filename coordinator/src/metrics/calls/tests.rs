use std::convert::Infallible;

use dockmgr_support::metrics::exposition::encode;
use http_body::Body as _;
use tower::{ServiceExt as _, service_fn};

use super::*;

const LIST: &str = "/dockmgr.v1.JobService/ListJobs";

/// A body that ends with a status, or never.
struct Answer(Option<&'static str>);

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(status) = self.0 else { return Poll::Pending };
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.parse().expect("a number"));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

async fn call(calls: &Calls, path: &str, status: Option<&'static str>) -> Body {
    let service = service_fn(move |_: Request<Body>| async move {
        Ok::<_, Infallible>(Response::new(Body::new(Answer(status))))
    });
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.parse().expect("a path");
    calls.layer(service).oneshot(request).await.expect("an answer").into_body()
}

fn handled(registry: &Registry, labels: &str) -> bool {
    encode(&[registry]).expect("writable").contains(&format!("grpc_server_handled_total{{{labels}}} 1\n"))
}

#[tokio::test]
async fn a_call_is_counted_with_the_status_its_last_frame_brings_and_once() {
    let mut registry = Registry::default();
    let calls = Calls::register(&mut registry);
    let mut body = call(&calls, LIST, Some("5")).await;
    let labels = "grpc_service=\"dockmgr.v1.JobService\",grpc_method=\"ListJobs\",grpc_code=\"NotFound\"";
    assert!(!handled(&registry, labels), "it has not ended");
    let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
    assert!(frame.is_some_and(|frame| frame.is_ok_and(|frame| frame.is_trailers())));
    drop(body);
    assert!(handled(&registry, labels));
    assert!(!encode(&[&registry]).expect("writable").contains("Canceled"));
}

#[tokio::test]
async fn a_stream_its_caller_leaves_is_cancelled_and_unknown_paths_share_one_label() {
    let mut registry = Registry::default();
    let calls = Calls::register(&mut registry);
    drop(call(&calls, LIST, None).await);
    let labels = "grpc_service=\"dockmgr.v1.JobService\",grpc_method=\"ListJobs\",grpc_code=\"Canceled\"";
    assert!(handled(&registry, labels));
    for n in 0..100 {
        drop(call(&calls, &format!("/made.up.Service/Call{n}"), None).await);
    }
    let text = encode(&[&registry]).expect("writable");
    assert_eq!(text.matches("grpc_server_handled_total{").count(), 2, "{text}");
}

#[test]
fn the_methods_of_all_services_are_known() {
    let known = known();
    for path in [LIST, "/dockmgr.v1.WorkerService/Session", "/grpc.health.v1.Health/Check"] {
        assert!(known.contains_key(path), "{path}");
    }
}
