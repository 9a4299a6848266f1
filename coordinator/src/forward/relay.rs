//! The body of an answer on its way through.
//!
//! Frames pass as they come; at most one is held, so a reader that stalls stalls the leader's stream and nothing else. What
//! breaks on the way ends with a gRPC status, as if the leader had said so: a client of one address learns to ask again.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use super::peer::Ticket;
use crate::rpc::status;

/// Ends a stream when it completes.
type Over = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An answer's body and what ends it early.
pub(super) struct Relay {
    body: Body,
    over: Over,
    ended: bool,
    _ticket: Ticket,
}

impl Relay {
    pub(super) fn new(body: Body, over: Over, ticket: Ticket) -> Self {
        Self { body, over, ended: false, _ticket: ticket }
    }

    /// The last frame of a stream that broke.
    fn broken(&mut self, why: &str) -> Frame<Bytes> {
        self.ended = true;
        self.body = Body::empty();
        let mut trailers = http::HeaderMap::new();
        if let Err(error) = status::leader_unreachable(why).add_header(&mut trailers) {
            tracing::debug!(%error, "a stream ends without a status");
        }
        Frame::trailers(trailers)
    }
}

impl http_body::Body for Relay {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.ended = frame.is_trailers();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let frame = self.broken(&format!("the connection to the leader broke: {}", error.message()));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => match self.over.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Some(Ok(self.broken("the leader changed during the call")))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
