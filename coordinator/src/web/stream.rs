//! Answers that go on: server-sent events, and a job's output as a file.
//!
//! Nothing is gathered: the next message is asked for when the last one was taken, so a slow reader slows its own stream.
//!
//! ```text
//! retry: 1000 | id: PLACE, data: MESSAGE | ... | : (while nothing happens) | event: end, or event: problem
//! ```
//!
//! Whoever sends the last id it saw as `Last-Event-ID` misses nothing and sees nothing twice.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::StreamBody;
use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};
use tonic::body::Body;
use tonic::{Status, Streaming};
use tower::Service;

use super::call;
use super::problem::Problem;
use super::request::Read;
use super::routes::{Resume, Route, Shape};

/// How often a reader hears from us while nothing happens: proxies close what is idle for a minute.
const ALIVE: Duration = Duration::from_secs(10);
/// What a stream begins with: a browser asks again one second after a break.
const BEGIN: &str = "retry: 1000\n\n";

/// Answers with the messages of a call as events.
pub(super) async fn events<S>(calls: S, route: &Route, read: Read) -> Result<Response<Body>, Problem>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let Shape::Events(resume) = route.shape else {
        return Err(Status::internal("no stream of events").into());
    };
    let whole = read.resumes;
    let messages = call::streaming(calls, route, read).await?;
    let teller = Teller { messages, resume, whole, ended: false };
    let told = futures_util::stream::unfold(teller, async |mut teller| Some((teller.next().await?, teller)));
    let begin = futures_util::stream::once(std::future::ready(Bytes::from_static(BEGIN.as_bytes())));
    Ok(flowing("text/event-stream", begin.chain(told).map(Ok)))
}

/// Answers with the bytes of a job's output.
pub(super) async fn output<S>(calls: S, route: &Route, read: Read) -> Result<Response<Body>, Problem>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let job =
        read.message.get_field_by_name("job").and_then(|job| job.as_str().map(file_name)).unwrap_or_default();
    let messages = call::streaming(calls, route, read).await?;
    // A stream that breaks breaks the connection: what was saved by then must not look whole.
    let bytes = messages.map(|message| message.map(|message| bytes_of(&message)));
    let mut response = flowing("application/octet-stream", bytes);
    if let Ok(name) = HeaderValue::try_from(format!("attachment; filename=\"job-{job}.log\"")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// What of a job's reference can be in the name of a file anywhere.
fn file_name(job: &str) -> String {
    job.chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'))
        .take(64)
        .collect()
}

fn flowing(
    kind: &'static str,
    bytes: impl Stream<Item = Result<Bytes, Status>> + Send + 'static,
) -> Response<Body> {
    let mut response = Response::new(Body::new(StreamBody::new(bytes.map(|bytes| bytes.map(Frame::data)))));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Turns the messages of a call into events.
struct Teller {
    messages: Streaming<DynamicMessage>,
    resume: Resume,
    /// Everything before the next message has been told, so its place is one to go on from.
    whole: bool,
    ended: bool,
}

impl Teller {
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let next = tokio::time::timeout(ALIVE, self.messages.message()).await;
        let text = match next {
            Err(_elapsed) => ":\n\n".to_owned(),
            Ok(Ok(Some(message))) => match call::to_json(&message) {
                Ok(json) => format!("{}data: {json}\n\n", self.place(&message)),
                Err(status) => self.problem(status),
            },
            Ok(Ok(None)) => {
                self.ended = true;
                "event: end\ndata: {}\n\n".to_owned()
            }
            Ok(Err(status)) => self.problem(status),
        };
        Some(Bytes::from(text))
    }

    fn problem(&mut self, status: Status) -> String {
        self.ended = true;
        format!("event: problem\ndata: {}\n\n", Problem::from(status).to_json())
    }

    /// The line with the place after a message, if it is one to go on from.
    fn place(&mut self, message: &DynamicMessage) -> String {
        let field = |name: &str| message.get_field_by_name(name).map(std::borrow::Cow::into_owned);
        let id = match self.resume {
            // The jobs of a snapshot all have its revision: only its end is a place.
            Resume::Revision => {
                self.whole |= ends_snapshot(message);
                field("revision").filter(|_| self.whole).map(|revision| text(&revision))
            }
            Resume::Sequence => match field("event") {
                Some(Value::Message(event)) => {
                    event.get_field_by_name("sequence").map(|sequence| text(&sequence))
                }
                _ => None,
            },
            Resume::Never => None,
            Resume::Token => field("resume_token").map(|token| text(&token)),
        };
        id.filter(|id| !id.is_empty()).map_or_else(String::new, |id| format!("id: {id}\n"))
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::U64(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => String::new(),
    }
}

fn ends_snapshot(message: &DynamicMessage) -> bool {
    let Some(bookmark) = message.get_field_by_name("bookmark") else { return false };
    let Value::Message(bookmark) = bookmark.as_ref() else { return false };
    bookmark.get_field_by_name("snapshot_done").is_some_and(|done| done.as_bool() == Some(true))
}

/// The output in a step of a tail; most steps have none.
fn bytes_of(message: &DynamicMessage) -> Bytes {
    let batch = message.descriptor().get_field_by_name("batch").filter(|field| message.has_field(field));
    let Some(batch) = batch.map(|field| message.get_field(&field).into_owned()) else { return Bytes::new() };
    let records = batch
        .as_message()
        .and_then(|batch| batch.get_field_by_name("records"))
        .map(std::borrow::Cow::into_owned);
    let mut all = Vec::new();
    for record in records.as_ref().and_then(Value::as_list).into_iter().flatten() {
        let data = record.as_message().and_then(|record| record.get_field_by_name("data"));
        all.extend_from_slice(data.as_ref().and_then(|data| data.as_bytes()).map_or(&[][..], |bytes| bytes));
    }
    Bytes::from(all)
}
