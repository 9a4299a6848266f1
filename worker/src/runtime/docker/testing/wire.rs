//! As much of HTTP as a daemon's socket needs: one request a connection, one answer.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::Edit;

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    /// Without the version in front and the query behind.
    pub(super) path: String,
    /// Path and query, for faults of some calls only.
    pub(super) target: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// What is answered.
pub(super) enum Reply {
    Json(u16, Value),
    Empty(u16),
    /// Chunks of JSON as they come.
    Stream {
        status: u16,
        chunks: BoxStream<'static, Value>,
    },
    /// A head, then raw bytes until the end of the connection.
    Frames {
        head: &'static [u8],
        frames: BoxStream<'static, Bytes>,
    },
}

impl Request {
    pub(super) async fn read(socket: &mut UnixStream) -> Option<Self> {
        let mut received = BytesMut::new();
        let end = loop {
            if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if socket.read_buf(&mut received).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8(received.split_to(end).to_vec()).ok()?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        while received.len() < length.unwrap_or(0) {
            if socket.read_buf(&mut received).await.ok()? == 0 {
                return None;
            }
        }
        let mut words = head.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let target = decoded(target);
        let versioned = path.strip_prefix("/v").filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let path = versioned.and_then(|rest| rest.find('/').map(|at| &rest[at..])).unwrap_or(path);
        let query = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = query.map(|(name, value)| (name.to_owned(), decoded(value))).collect();
        Some(Self { method, path: decoded(path), target, query, body: received.to_vec() })
    }

    /// A part of the query.
    pub(super) fn asked(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }
}

impl Reply {
    pub(super) fn refusal(status: u16, message: &str) -> Self {
        Self::Json(status, json!({ "message": message }))
    }

    pub(super) async fn send(self, edit: Option<Edit>, socket: &mut UnixStream) {
        let sent = match self {
            Self::Json(status, mut value) => {
                if let Some(edit) = edit {
                    edit(&mut value);
                }
                let body = value.to_string();
                socket.write_all(&head_and_body(status, "application/json", body.as_bytes())).await
            }
            Self::Empty(status) => socket.write_all(&head_and_body(status, "text/plain", b"")).await,
            Self::Stream { status, chunks } => stream(socket, status, chunks, edit).await,
            Self::Frames { head, mut frames } => {
                let mut sent = socket.write_all(head).await;
                while sent.is_ok()
                    && let Some(frame) = frames.next().await
                {
                    sent = socket.write_all(&frame).await;
                }
                sent
            }
        };
        if sent.is_ok() {
            let _closed = socket.shutdown().await;
        }
    }
}

async fn stream(
    socket: &mut UnixStream,
    status: u16,
    mut chunks: BoxStream<'static, Value>,
    edit: Option<Edit>,
) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await?;
    while let Some(mut value) = chunks.next().await {
        if let Some(edit) = &edit {
            edit(&mut value);
        }
        let line = format!("{value}\r\n");
        socket.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes()).await?;
    }
    socket.write_all(b"0\r\n\r\n").await
}

/// Answers a refusal.
pub(super) async fn refuse(socket: &mut UnixStream, status: u16, message: &str) {
    Reply::refusal(status, message).send(None, socket).await;
}

/// A whole answer.
pub(super) fn head_and_body(status: u16, kind: &str, body: &[u8]) -> Bytes {
    let length = if matches!(status, 204 | 304) {
        String::new()
    } else {
        format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len())
    };
    let mut bytes = format!("HTTP/1.1 {status} Status\r\n{length}Connection: close\r\n\r\n").into_bytes();
    if !matches!(status, 204 | 304) {
        bytes.extend_from_slice(body);
    }
    Bytes::from(bytes)
}

/// Undoes the escapes of an address.
fn decoded(text: &str) -> String {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match (first, digits.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => {
                out.push(b' ');
                rest = tail;
            }
            (byte, _) => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
