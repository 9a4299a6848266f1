//! One HTTP exchange over the daemon's socket, byte for byte under our control.
//!
//! Owns the smallest client that can do it: one connection, one request without a body, one answer. A plain exchange is
//! HTTP/1.0, so the answer's body is what comes until the connection closes, without chunks; an upgrade is HTTP/1.1.
//! Nothing is pooled and nothing is ever sent twice. Used by start, inspect, attach and logs.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::super::error::clip;
use super::super::{Call, Error};
use super::{Docker, classify};

/// Longest head of an answer; the daemon sends well under 1 KiB.
const HEAD_LIMIT: usize = 16 * 1024;
/// How much is read at once.
pub(super) const READ_SIZE: usize = 64 * 1024;

/// What the connection becomes after the head of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An ordinary exchange.
    Plain,
    /// A raw byte stream.
    Upgrade,
}

/// An answer whose body has not been read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    length: Option<usize>,
    rest: BytesMut,
    socket: UnixStream,
}

/// Sends `method path` and reads the head of the answer. The caller sets the deadline.
///
/// Dropping the future closes the connection; what was sent may still take effect.
pub(super) async fn exchange(
    docker: &Docker,
    call: Call,
    method: &str,
    path: &str,
    kind: Kind,
) -> Result<Answer, Error> {
    let version = docker.api_version().await?;
    let mut socket = UnixStream::connect(docker.socket())
        .await
        .map_err(|error| classify::unreachable(docker.socket(), Some(error.kind()), &error.to_string()))?;
    let (protocol, connection) = match kind {
        Kind::Plain => ("1.0", "Connection: close"),
        Kind::Upgrade => ("1.1", "Connection: Upgrade\r\nUpgrade: tcp"),
    };
    let request = format!(
        "{method} /v{version}{path} HTTP/{protocol}\r\nHost: docker\r\n{connection}\r\nContent-Length: 0\r\n\r\n"
    );
    let broke = |error: io::Error| Error::Interrupted { call, message: error.to_string() };
    socket.write_all(request.as_bytes()).await.map_err(broke)?;
    let mut received = BytesMut::with_capacity(READ_SIZE);
    loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = received.split_to(end + 4);
            let (status, length) = parse_head(&head).ok_or_else(|| Error::Protocol {
                call,
                message: format!(
                    "bad head: {}",
                    clip(&String::from_utf8_lossy(&head[..head.len().min(200)]))
                ),
            })?;
            return Ok(Answer { status, length, rest: received, socket });
        }
        if received.len() > HEAD_LIMIT {
            return Err(Error::Protocol { call, message: "the head of the answer is too long".to_owned() });
        }
        if socket.read_buf(&mut received).await.map_err(broke)? == 0 {
            return Err(Error::Interrupted { call, message: "closed before the answer".to_owned() });
        }
    }
}

impl Answer {
    /// Reads the body to its end, at most `limit` bytes.
    pub(super) async fn body(mut self, call: Call, limit: usize) -> Result<Bytes, Error> {
        let too_long = || Error::Protocol { call, message: format!("an answer of more than {limit} bytes") };
        let wanted = if matches!(self.status, 204 | 304) { Some(0) } else { self.length };
        if wanted.is_some_and(|length| length > limit) {
            return Err(too_long());
        }
        while wanted.is_none_or(|length| self.rest.len() < length) {
            let count = self
                .socket
                .read_buf(&mut self.rest)
                .await
                .map_err(|error| Error::Interrupted { call, message: error.to_string() })?;
            if count == 0 {
                break;
            }
            if self.rest.len() > limit {
                return Err(too_long());
            }
        }
        if wanted.is_some_and(|length| self.rest.len() < length) {
            return Err(Error::Interrupted {
                call,
                message: "closed in the middle of the answer".to_owned(),
            });
        }
        Ok(self.rest.freeze())
    }

    /// The refusal this answer carries, from the `message` of its body.
    pub(super) async fn into_refusal(self, docker: &Docker, call: Call) -> Error {
        /// A refusal is one sentence; some carry a runtime's whole complaint.
        const LIMIT: usize = 64 * 1024;
        #[derive(serde::Deserialize)]
        struct Refusal {
            message: String,
        }
        let status = self.status;
        let body = match self.body(call, LIMIT).await {
            Ok(body) => body,
            Err(error) => return error,
        };
        let message = serde_json::from_slice::<Refusal>(&body)
            .map_or_else(|_| String::from_utf8_lossy(&body).into_owned(), |refusal| refusal.message);
        classify::status(call, docker.socket(), status, &message)
    }

    /// The connection as a byte stream, with the bytes that came along with the head.
    pub(super) fn into_stream(self) -> (BytesMut, UnixStream) {
        (self.rest, self.socket)
    }
}

/// Reads status and content length from the head of an answer.
fn parse_head(head: &[u8]) -> Option<(u16, Option<usize>)> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let status_line = lines.next()?;
    let mut words = status_line.split(' ');
    if !words.next()?.starts_with("HTTP/1.") {
        return None;
    }
    let status = words.next()?.parse().ok().filter(|status| (100..600).contains(status))?;
    let mut length = None;
    for line in lines {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = Some(value.trim().parse().ok()?);
        }
    }
    Some((status, length))
}

#[cfg(test)]
mod tests {
    use super::parse_head;

    #[test]
    fn heads_are_read_strictly() {
        assert_eq!(parse_head(b"HTTP/1.0 204 No Content\r\n\r\n"), Some((204, None)));
        assert_eq!(parse_head(b"HTTP/1.1 404 x\r\ncontent-LENGTH: 12\r\n\r\n"), Some((404, Some(12))));
        for bad in [
            "",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 9999 x\r\n",
            "HTTP/1.1\r\n",
            "HTTP/1.1 200 x\r\nContent-Length: -1\r\n",
        ] {
            assert_eq!(parse_head(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
