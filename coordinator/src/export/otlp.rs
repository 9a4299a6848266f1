//! OTLP over HTTP: documents as log records in protobuf.

use dockmgr_core::export::{Answer, Document, DocumentId, by_status};
use dockmgr_core::search::Severity;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use super::http_sink::Reply;

/// The body of a request: documents that follow each other and are of one attempt share a resource.
pub(super) fn body(documents: &[Document]) -> Vec<u8> {
    let groups = documents.chunk_by(|a, b| a.id.attempt() == b.id.attempt() && a.about == b.about);
    ExportLogsServiceRequest { resource_logs: groups.map(resource_logs).collect() }.encode_to_vec()
}

/// What an answer says. A server that rejected some does not say which, so all of them are taken for refused: the halves
/// that are sent next tell. What it took comes to it again, under the same id.
pub(super) fn answer(reply: &Reply) -> Answer {
    if let Some(answer) = by_status(reply.status, reply.after, &reply.body) {
        return answer;
    }
    match ExportLogsServiceResponse::decode(&*reply.body) {
        Ok(ExportLogsServiceResponse { partial_success: Some(partial) })
            if partial.rejected_log_records > 0 =>
        {
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
    let scope = InstrumentationScope {
        name: "dockmgr".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let log_records = documents.iter().map(log_record).collect();
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records, ..ScopeLogs::default() }];
    let resource = Resource { attributes, ..Resource::default() };
    ResourceLogs { resource: Some(resource), scope_logs, ..ResourceLogs::default() }
}

fn log_record(document: &Document) -> LogRecord {
    let severity = document.severity();
    let body = match document.text() {
        Some(text) => Value::StringValue(text.to_owned()),
        None => Value::BytesValue(document.bytes.to_vec()),
    };
    LogRecord {
        time_unix_nano: u64::try_from(document.time.0).unwrap_or(0).saturating_mul(1_000_000),
        severity_number: severity.map_or(0, severity_number),
        severity_text: severity.map_or("", Severity::as_str).to_owned(),
        body: Some(AnyValue { value: Some(body) }),
        attributes: attributes(document),
        event_name: match document.id {
            DocumentId::Line(..) => String::new(),
            DocumentId::Mark(..) | DocumentId::Attempt(_) | DocumentId::Job(_) => {
                format!("dockmgr.{}", document.id.kind())
            }
        },
        ..LogRecord::default()
    }
}

fn attributes(document: &Document) -> Vec<KeyValue> {
    let id = document.id;
    let number =
        |key: &str, number: u64| value(key, Value::IntValue(i64::try_from(number).unwrap_or(i64::MAX)));
    let mut attributes = vec![text("log.record.uid", id.to_string()), number("dockmgr.job", id.job().get())];
    if let Some(attempt) = id.attempt() {
        attributes.push(number("dockmgr.task", u64::from(attempt.task.index.0)));
        attributes.push(number("dockmgr.attempt", u64::from(attempt.number.0)));
    }
    if let Some((stream, offset)) = id.line() {
        attributes.push(text("log.iostream", stream.to_string()));
        attributes.push(number("dockmgr.offset", offset));
    }
    if let Some(end) = &document.end {
        attributes.push(text("dockmgr.end_reason", end.reason.as_str().to_owned()));
        attributes.extend(end.exit_code.map(|code| number("process.exit.code", u64::from(code))));
    }
    attributes
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
    value(key, Value::StringValue(text))
}

fn value(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsPartialSuccess;

    use super::*;

    fn reply(status: u16, body: &ExportLogsServiceResponse) -> Reply {
        Reply { status, after: None, body: body.encode_to_vec().into() }
    }

    #[test]
    fn a_partial_success_is_a_refusal_and_an_empty_answer_is_success() {
        assert_eq!(answer(&reply(200, &ExportLogsServiceResponse { partial_success: None })), Answer::Taken);
        let none =
            ExportLogsPartialSuccess { rejected_log_records: 0, error_message: "slow down".to_owned() };
        assert_eq!(
            answer(&reply(200, &ExportLogsServiceResponse { partial_success: Some(none) })),
            Answer::Taken
        );
        let some =
            ExportLogsPartialSuccess { rejected_log_records: 1, error_message: "bad\u{1b}".to_owned() };
        let refused = Answer::Refused { why: "bad\\u{1b}".to_owned() };
        assert_eq!(answer(&reply(200, &ExportLogsServiceResponse { partial_success: Some(some) })), refused);
        assert!(matches!(
            answer(&reply(503, &ExportLogsServiceResponse { partial_success: None })),
            Answer::Later { .. }
        ));
    }
}
