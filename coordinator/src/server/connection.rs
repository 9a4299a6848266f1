//! One accepted connection: the socket, its place, and the patience with a peer that says nothing.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tonic::transport::server::Connected;

use super::admission::{Peer, Place};
use super::complaints::Complaints;
use super::frame_watch::{Flood, FrameWatch};

/// How long a new connection may take to its first call: TLS, preface, settings and headers are a few round trips.
pub(super) const FIRST_CALL: Duration = Duration::from_secs(10);

/// A connection with a place.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    peer: Peer,
    /// Until the first call.
    patience: Option<Pin<Box<Sleep>>>,
    /// Where frames can be seen.
    watch: Option<FrameWatch>,
    complaints: Complaints,
    _place: Place,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, place: Place, plain: bool, complaints: Complaints) -> Self {
        let patience = Some(Box::pin(tokio::time::sleep(FIRST_CALL)));
        let watch = plain.then(FrameWatch::new);
        Self { stream, peer: place.peer(), patience, watch, complaints, _place: place }
    }

    /// Fails when the peer has been silent for too long or its place is needed.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.peer.is_cut(context) {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "too many connections"));
        }
        if let Some(patience) = &mut self.patience {
            if self.peer.has_called() {
                self.patience = None;
            } else if patience.as_mut().poll(context).is_ready() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no call on a new connection"));
            }
        }
        Ok(())
    }
}

impl Connection {
    fn note(&mut self, written: &Poll<io::Result<usize>>) {
        if let (Some(watch), Poll::Ready(Ok(bytes))) = (&mut self.watch, written) {
            watch.sent(*bytes);
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let this = &mut *self;
        if let Some(watch) = &mut this.watch
            && let Err(Flood) = watch.received(&buffer.filled()[before..])
        {
            this.complaints.say("a connection floods us with frames that carry nothing");
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "flood of frames")));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
