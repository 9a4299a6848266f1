//! A request on its way to a leader that may be gone: it comes back if nothing of it was taken.
//!
//! Used by the forwarding only. A call whose body was begun may have been carried out, and is never sent to a second leader.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http::request::Parts;
use http_body::{Body as _, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// What is kept of a request while it is lent.
pub(super) struct Claim {
    parts: Parts,
    held: Arc<Mutex<Held>>,
}

/// The body while nobody knows yet whether it is needed again.
struct Held {
    /// `None` once it was taken back.
    body: Option<Body>,
    /// Something of it was taken.
    begun: bool,
}

/// Gives `request` away so that it may be claimed back.
pub(super) fn lend(request: Request<Body>) -> (Request<Body>, Claim) {
    let (parts, body) = request.into_parts();
    // A request that is its head alone is carried out without a look at its body.
    let begun = body.is_end_stream();
    let held = Arc::new(Mutex::new(Held { body: Some(body), begun }));
    let lent = Body::new(Lent { held: Arc::clone(&held) });
    (Request::from_parts(parts.clone(), lent), Claim { parts, held })
}

impl Claim {
    /// Takes the request back, unless something of its body was taken. Whoever still has it then gets nothing any more.
    pub(super) fn back(self) -> Option<Request<Body>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let body = if held.begun { None } else { held.body.take() };
        body.map(|body| Request::from_parts(self.parts, body))
    }
}

/// The body as it travels.
struct Lent {
    held: Arc<Mutex<Held>>,
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.begun = true;
        match &mut held.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(Some(Err(Status::cancelled("the call went to another leader")))),
        }
    }

    fn is_end_stream(&self) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.body.as_ref().is_some_and(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.body.as_ref().map_or_else(SizeHint::default, http_body::Body::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    fn request() -> Request<Body> {
        let body = Body::new(Full::new(Bytes::from_static(b"message")));
        Request::builder().uri("/a/B").header("x", "1").body(body).expect("well formed")
    }

    #[tokio::test]
    async fn what_nobody_touched_comes_back_whole_and_is_useless_elsewhere() {
        let (lent, claim) = lend(request());
        let back = claim.back().expect("nothing was taken");
        assert_eq!((back.uri().path(), back.headers()["x"].as_bytes()), ("/a/B", &b"1"[..]));
        assert_eq!(back.into_body().collect().await.expect("whole").to_bytes(), "message");
        assert!(lent.into_body().collect().await.is_err(), "it must not be carried out twice");
    }

    #[tokio::test]
    async fn what_was_begun_never_comes_back() {
        let (mut lent, claim) = lend(request());
        lent.body_mut().frame().await.expect("a frame").expect("whole");
        assert!(claim.back().is_none());
        let empty = Request::new(Body::empty());
        assert!(lend(empty).1.back().is_none(), "a head alone may have been carried out");
    }
}
