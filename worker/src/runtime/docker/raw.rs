//! One HTTP exchange over the daemon's socket, byte for byte under our control.
//!
//! Owns the smallest client that can do it: one connection, one request, one answer of bounded size. A plain exchange is
//! HTTP/1.0, so the answer's body is what comes until the connection closes, without chunks; an upgrade is HTTP/1.1.
//! Nothing is pooled and nothing is ever sent twice. Used by start, attach and logs, and by every call whose answer is
//! kept whole: the client library would take an answer of any length into memory.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
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
    exchange_unversioned(docker, call, method, &format!("/v{version}{path}"), kind, b"").await
}

/// [`exchange`] with the whole path and a JSON body.
pub(super) async fn exchange_unversioned(
    docker: &Docker,
    call: Call,
    method: &str,
    path: &str,
    kind: Kind,
    body: &[u8],
) -> Result<Answer, Error> {
    let mut socket = docker.connect().await?;
    let (protocol, connection) = match kind {
        Kind::Plain => ("1.0", "Connection: close"),
        Kind::Upgrade => ("1.1", "Connection: Upgrade\r\nUpgrade: tcp"),
    };
    let (length, json) =
        (body.len(), if body.is_empty() { "" } else { "Content-Type: application/json\r\n" });
    let mut request = format!(
        "{method} {path} HTTP/{protocol}\r\nHost: docker\r\n{connection}\r\n{json}Content-Length: {length}\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    let broke = |error: io::Error| Error::Interrupted { call, message: error.to_string() };
    socket.write_all(&request).await.map_err(broke)?;
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

/// A call whose answer is kept whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Json<'a> {
    pub(super) call: Call,
    /// How long it may take.
    pub(super) within: Duration,
    pub(super) method: &'a str,
    /// Without the version.
    pub(super) path: &'a str,
    pub(super) body: &'a [u8],
    /// Longest answer believed, in bytes.
    pub(super) longest: usize,
}

impl Json<'_> {
    /// Sends it once and reads the answer.
    pub(super) async fn ask<T: DeserializeOwned>(self, docker: &Docker) -> Result<T, Error> {
        let request = async {
            let path = format!("/v{}{}", docker.api_version().await?, self.path);
            self.answer(docker, &path).await
        };
        self.parse(&docker.within(self.call, self.within, request).await?)
    }

    /// [`Json::ask`] before a version was agreed on.
    pub(super) async fn ask_unversioned<T: DeserializeOwned>(self, docker: &Docker) -> Result<T, Error> {
        self.parse(&docker.within(self.call, self.within, self.answer(docker, self.path)).await?)
    }

    async fn answer(self, docker: &Docker, path: &str) -> Result<Bytes, Error> {
        let answer =
            exchange_unversioned(docker, self.call, self.method, path, Kind::Plain, self.body).await?;
        match answer.status {
            200..=299 => answer.body(self.call, self.longest).await,
            _ => Err(answer.into_refusal(docker, self.call).await),
        }
    }

    fn parse<T: DeserializeOwned>(self, body: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(body)
            .map_err(|error| Error::Protocol { call: self.call, message: clip(&error.to_string()) })
    }
}

/// Escapes everything of a text that is not plain inside an address.
pub(super) fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b':' | b'@') {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
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
    use super::{escaped, parse_head};

    #[test]
    fn only_plain_bytes_stand_in_an_address() {
        assert_eq!(escaped("a/b:1@sha256:00"), "a/b:1@sha256:00");
        assert_eq!(escaped("[::1]:5/a+b {\"\u{e4}"), "%5B::1%5D:5/a%2Bb%20%7B%22%C3%A4");
    }

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
