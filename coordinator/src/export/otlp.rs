//! OTLP over HTTP: documents as log records in protobuf.
//!
//! The messages are written here field by field: they are a dozen, frozen by their own rules, and a crate of them would bring
//! a second set of generated code.

use dockmgr_core::export::{Answer, Document, by_status};
use dockmgr_core::search::{Severity, severity};
use prost::Message;

use super::http_sink::Reply;

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resource_logs: Vec<ResourceLogs>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceLogs {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_logs: Vec<ScopeLogs>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeLogs {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    log_records: Vec<LogRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct LogRecord {
    #[prost(fixed64, tag = "1")]
    time_unix_nano: u64,
    #[prost(int32, tag = "2")]
    severity_number: i32,
    #[prost(string, tag = "3")]
    severity_text: String,
    #[prost(message, optional, tag = "5")]
    body: Option<AnyValue>,
    #[prost(message, repeated, tag = "6")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 3, 7")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Any {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(int64, tag = "3")]
    Number(i64),
    #[prost(bytes, tag = "7")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// The body of a request: documents that follow each other and are of one attempt share a resource.
pub(super) fn body(documents: &[Document]) -> Vec<u8> {
    let groups = documents.chunk_by(|a, b| a.id.attempt == b.id.attempt && a.about == b.about);
    Request { resource_logs: groups.map(resource_logs).collect() }.encode_to_vec()
}

/// What an answer says. A server that rejected some does not say which, so all of them are taken for refused: the halves
/// that are sent next tell. What it took comes to it again, under the same id.
pub(super) fn answer(reply: &Reply) -> Answer {
    if let Some(answer) = by_status(reply.status, reply.after, &reply.body) {
        return answer;
    }
    match Response::decode(&*reply.body) {
        Ok(Response { partial_success: Some(partial) }) if partial.rejected > 0 => {
            let why: String =
                partial.error_message.chars().take(512).flat_map(char::escape_default).collect();
            Answer::Refused { why }
        }
        Ok(_) => Answer::Taken,
        Err(_) => Answer::none("the answer is no protobuf: is this an OTLP server?"),
    }
}

fn resource_logs(documents: &[Document]) -> ResourceLogs {
    let about = documents.first().map(|document| &*document.about);
    let name = about.and_then(|about| about.job_name.clone()).unwrap_or_else(|| "dockmgr".to_owned());
    let mut attributes = vec![text("service.name", name)];
    if let Some(about) = about {
        attributes.extend(about.node.clone().map(|node| text("host.name", node)));
        attributes.extend(about.image.clone().map(|image| text("container.image.name", image)));
        let label = |(key, value): &(String, String)| text(&format!("dockmgr.label.{key}"), value.clone());
        attributes.extend(about.labels.iter().map(label));
    }
    let scope = Scope { name: "dockmgr".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let log_records = documents.iter().map(log_record).collect();
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records }];
    ResourceLogs { resource: Some(Resource { attributes }), scope_logs }
}

fn log_record(document: &Document) -> LogRecord {
    let id = document.id;
    let severity = severity(&document.bytes);
    let body = match document.text() {
        Some(text) => Any::Text(text.to_owned()),
        None => Any::Bytes(document.bytes.to_vec()),
    };
    let number = |key: &str, number: u64| value(key, Any::Number(i64::try_from(number).unwrap_or(i64::MAX)));
    LogRecord {
        time_unix_nano: u64::try_from(document.time.0).unwrap_or(0).saturating_mul(1_000_000),
        severity_number: severity.map_or(0, severity_number),
        severity_text: severity.map_or("", Severity::as_str).to_owned(),
        body: Some(AnyValue { value: Some(body) }),
        attributes: vec![
            text("log.record.uid", id.to_string()),
            text("log.iostream", id.stream.to_string()),
            number("dockmgr.job", id.attempt.job().get()),
            number("dockmgr.task", u64::from(id.attempt.task.index.0)),
            number("dockmgr.attempt", u64::from(id.attempt.number.0)),
            number("dockmgr.offset", id.offset),
        ],
    }
}

/// The first number of each range that the data model of OpenTelemetry gives to a severity.
fn severity_number(severity: Severity) -> i32 {
    match severity {
        Severity::Trace => 1,
        Severity::Debug => 5,
        Severity::Info => 9,
        Severity::Warn => 13,
        Severity::Error => 17,
        Severity::Fatal => 21,
    }
}

fn text(key: &str, text: String) -> KeyValue {
    value(key, Any::Text(text))
}

fn value(key: &str, any: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(any) }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &Response) -> Reply {
        Reply { status, after: None, body: body.encode_to_vec().into() }
    }

    #[test]
    fn a_partial_success_is_a_refusal_and_an_empty_answer_is_success() {
        assert_eq!(answer(&reply(200, &Response { partial_success: None })), Answer::Taken);
        let none = PartialSuccess { rejected: 0, error_message: "slow down".to_owned() };
        assert_eq!(answer(&reply(200, &Response { partial_success: Some(none) })), Answer::Taken);
        let some = PartialSuccess { rejected: 1, error_message: "bad\u{1b}".to_owned() };
        let refused = Answer::Refused { why: "bad\\u{1b}".to_owned() };
        assert_eq!(answer(&reply(200, &Response { partial_success: Some(some) })), refused);
        assert!(matches!(answer(&reply(503, &Response { partial_success: None })), Answer::Later { .. }));
    }
}
