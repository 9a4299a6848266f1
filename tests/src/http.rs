//! JSON over HTTP/1.1 as a plain client speaks it: one request a connection, chunked answers, server-sent events.

use std::fmt::Write as _;

use dockmgr_support::secret::ApiToken;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::{Cluster, STEP_LIMIT};

/// One coordinator, asked with or without a token.
#[derive(Debug, Clone)]
pub struct Http {
    address: String,
    token: Option<ApiToken>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The status line and the headers, in lower case.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

/// One server-sent event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its id; empty if it has none.
    pub id: String,
    /// Its name; empty for an ordinary one.
    pub name: String,
    /// Its data.
    pub data: String,
}

impl Http {
    /// The first coordinator of a cluster, with the token.
    pub fn of(cluster: &Cluster) -> Self {
        Self::at(cluster, 0)
    }

    /// Coordinator `n` of a cluster, with the token.
    pub fn at(cluster: &Cluster, n: usize) -> Self {
        let address = cluster.server_of(n).trim_start_matches("http://").to_owned();
        Self { address, token: Some(cluster.token().clone()) }
    }

    /// The same without a token.
    #[must_use]
    pub fn without_token(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The JSON at a path of the API.
    ///
    /// # Panics
    /// If the answer is not 200.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.send("GET", &format!("/api/v1{path}"), &[], b"").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// The answer to a change.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let json = [("content-type", "application/json")];
        self.send("POST", &format!("/api/v1{path}"), &json, body.to_string().as_bytes()).await
    }

    /// Any request; a `host` among the headers replaces the right one.
    ///
    /// # Panics
    /// If there is no whole answer in time.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let exchange = async {
            let (mut stream, status, head) = self.begin(method, path, headers, body).await?;
            let mut whole = Vec::new();
            while let Some(piece) = read_piece(&mut stream, &head).await? {
                whole.extend_from_slice(&piece);
            }
            Ok::<_, std::io::Error>(Answer { status, head, body: whole })
        };
        let answer = tokio::time::timeout(STEP_LIMIT, exchange).await;
        answer.expect("an answer in time").unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// The status of the answer at a path of the API, without its body.
    ///
    /// # Panics
    /// If there is none.
    pub async fn status(&self, path: &str) -> u16 {
        self.begin("GET", &format!("/api/v1{path}"), &[], b"").await.expect("an answer").1
    }

    /// Opens a stream of events; `after` is the id of the last one seen.
    ///
    /// # Panics
    /// If the answer is not a stream of events.
    pub async fn events(&self, path: &str, after: &str) -> Events {
        let headers = [("last-event-id", after), ("accept", "text/event-stream")];
        let headers = if after.is_empty() { &headers[1..] } else { &headers[..] };
        let opened = self.begin("GET", &format!("/api/v1{path}"), headers, b"").await;
        let (stream, status, head) = opened.expect("an answer");
        assert_eq!(status, 200, "{path}: {head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        Events { stream, head, text: String::new() }
    }

    async fn begin(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<(BufReader<TcpStream>, u16, String)> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            let _always = write!(request, "Host: {}\r\n", self.address);
        }
        if let Some(token) = &self.token {
            let _always = write!(request, "Authorization: Bearer {}\r\n", token.expose());
        }
        for (name, value) in headers {
            let _always = write!(request, "{name}: {value}\r\n");
        }
        let _always = write!(request, "Content-Length: {}\r\n\r\n", body.len());
        let mut stream = BufReader::new(TcpStream::connect(&self.address).await?);
        stream.write_all(&[request.as_bytes(), body].concat()).await?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await? == 0 {
                return Err(std::io::Error::other(format!("it ended in the headers: '{head}'")));
            }
        }
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| std::io::Error::other(head.clone()))?;
        Ok((stream, status, head.to_ascii_lowercase()))
    }
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The reason of a problem.
    ///
    /// # Panics
    /// If the answer is no problem.
    pub fn reason(&self) -> String {
        assert!(self.head.contains("content-type: application/problem+json"), "{}", self.head);
        self.json()["reason"].as_str().expect("a problem has a reason").to_owned()
    }
}

/// An open stream of events.
#[derive(Debug)]
pub struct Events {
    stream: BufReader<TcpStream>,
    head: String,
    text: String,
}

impl Events {
    /// The next event; `None` once the stream has ended or broken.
    ///
    /// # Panics
    /// If there is none in time.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event = event_of(&self.text[..end]);
                self.text.drain(..end + 2);
                if event.is_some() {
                    return event;
                }
                continue;
            }
            let read = tokio::time::timeout(STEP_LIMIT, read_piece(&mut self.stream, &self.head)).await;
            let piece = read.expect("an event in time").ok().flatten()?;
            self.text += std::str::from_utf8(&piece).expect("events end between characters");
        }
    }

    /// The next event that `wanted` takes.
    ///
    /// # Panics
    /// If the stream ends before.
    pub async fn find(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if wanted(&event) {
                return event;
            }
        }
    }
}

fn event_of(block: &str) -> Option<Event> {
    let mut event = Event::default();
    for line in block.lines() {
        match line.split_once(": ") {
            Some(("id", id)) => id.clone_into(&mut event.id),
            Some(("event", name)) => name.clone_into(&mut event.name),
            Some(("data", data)) => event.data += data,
            Some(_) | None => {}
        }
    }
    (!event.data.is_empty()).then_some(event)
}

/// The next piece of a body; `None` at its end.
async fn read_piece(stream: &mut BufReader<TcpStream>, head: &str) -> std::io::Result<Option<Vec<u8>>> {
    if !head.contains("transfer-encoding: chunked") {
        let mut whole = Vec::new();
        stream.read_to_end(&mut whole).await?;
        return Ok((!whole.is_empty()).then_some(whole));
    }
    let mut size = String::new();
    stream.read_line(&mut size).await?;
    let size = usize::from_str_radix(size.trim(), 16).map_err(std::io::Error::other)?;
    let mut piece = vec![0; size + 2];
    stream.read_exact(&mut piece).await?;
    piece.truncate(size);
    Ok((size > 0).then_some(piece))
}
