//! Our spans as OTLP's.

use dockmgr_core::time::WallTime;
use dockmgr_core::trace::{Span, Value};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{self as otlp, ResourceSpans, ScopeSpans, Status};

use super::Service;

const NANOS_PER_MILLI: u64 = 1_000_000;

/// Who sends.
pub(super) fn resource(service: &Service) -> Resource {
    let text = |key: &str, value: &str| attribute(key, &Value::Text(value.to_owned()));
    Resource {
        attributes: vec![
            text("service.name", service.name),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("service.instance.id", &service.instance),
        ],
        ..Resource::default()
    }
}

/// One message of many spans.
pub(super) fn spans(resource: &Resource, batch: &[Span]) -> ResourceSpans {
    let scope = InstrumentationScope { name: "dockmgr".to_owned(), ..InstrumentationScope::default() };
    let spans = batch.iter().map(span).collect();
    ResourceSpans {
        resource: Some(resource.clone()),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }
}

fn span(span: &Span) -> otlp::Span {
    let failed =
        |message: &String| Status { message: message.clone(), code: otlp::status::StatusCode::Error.into() };
    otlp::Span {
        trace_id: span.trace.0.to_vec(),
        span_id: span.id.0.to_vec(),
        parent_span_id: span.parent.map(|parent| parent.0.to_vec()).unwrap_or_default(),
        name: span.name.to_owned(),
        kind: otlp::span::SpanKind::Internal.into(),
        start_time_unix_nano: nanos(span.start),
        end_time_unix_nano: nanos(span.end),
        attributes: span.attributes.iter().map(|(key, value)| attribute(key, value)).collect(),
        status: span.error.as_ref().map(failed),
        ..otlp::Span::default()
    }
}

fn nanos(time: WallTime) -> u64 {
    u64::try_from(time.0).unwrap_or(0).saturating_mul(NANOS_PER_MILLI)
}

fn attribute(key: &str, value: &Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => any_value::Value::StringValue(text.clone()),
        Value::Number(number) => any_value::Value::IntValue(*number),
    };
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}
