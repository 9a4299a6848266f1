//! A document as JSON with the field names of the Elastic Common Schema, one object without line breaks.

use serde_json::{Map, Value, json};

use super::Document;
use crate::time::WallTime;

/// The version of the schema whose names are used.
const VERSION: &str = "8.11.0";
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// Appends the document to `out`.
pub fn write(document: &Document, out: &mut Vec<u8>) {
    let value = value(document);
    // Writing to memory cannot fail, and a value of ours has text keys only.
    serde_json::to_writer(out, &value).expect("JSON values can be written to memory");
}

/// The document as a JSON object.
pub fn value(document: &Document) -> Value {
    let (id, about) = (document.id, &document.about);
    let mut own = json!({ "job": id.job().get() });
    if let Some(attempt) = id.attempt() {
        own["task"] = json!(attempt.task.index.0);
        own["attempt"] = json!(attempt.number.0);
    }
    if let Some((stream, offset)) = id.line() {
        own["stream"] = json!(stream.to_string());
        own["offset"] = json!(offset);
    }
    if let Some(end) = &document.end {
        own["end_reason"] = json!(end.reason.as_str());
    }
    if let Some(name) = &about.job_name {
        own["name"] = json!(name);
    }
    if document.text().is_none() {
        // The message shows what can be shown of it; here are the bytes themselves.
        own["bytes_hex"] = json!(document.hex());
    }
    let mut value = json!({
        "@timestamp": timestamp(document.time),
        "message": String::from_utf8_lossy(&document.bytes),
        "ecs": { "version": VERSION },
        "event": { "id": id.to_string(), "dataset": format!("dockmgr.{}", id.kind()) },
        "dockmgr": own,
    });
    if let Some((_, offset)) = id.line() {
        value["event"]["sequence"] = json!(offset);
    }
    if let Some(end) = &document.end {
        value["event"]["outcome"] = json!(if end.is_success { "success" } else { "failure" });
        if let Some(code) = end.exit_code {
            value["process"] = json!({ "exit_code": code });
        }
    }
    if let Some(severity) = document.severity() {
        value["log"] = json!({ "level": severity.as_str() });
    }
    if let Some(node) = &about.node {
        value["host"] = json!({ "name": node });
    }
    if let Some(image) = &about.image {
        value["container"] = json!({ "image": { "name": image } });
    }
    if !about.labels.is_empty() {
        // A dot would make an object of the name, and an object cannot lie beside a value of its own name.
        let labels: Map<String, Value> =
            about.labels.iter().map(|(key, text)| (key.replace('.', "_"), json!(text))).collect();
        value["labels"] = Value::Object(labels);
    }
    value
}

/// A time as RFC 3339 in UTC with milliseconds.
pub fn timestamp(time: WallTime) -> String {
    let (days, millis) = (time.0.div_euclid(DAY_MILLIS), time.0.rem_euclid(DAY_MILLIS));
    let (year, month, day) = date(days);
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Year, month and day of a day counted from 1970, in the Gregorian calendar. Years begin in March here, so that the leap
/// day is their last.
fn date(days: i64) -> (i64, i64, i64) {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    /// From 1 March of the year 0 to 1970.
    const TO_1970: i64 = 719_468;
    let days = days.saturating_add(TO_1970);
    let (era, day) = (days.div_euclid(DAYS_OF_400_YEARS), days.rem_euclid(DAYS_OF_400_YEARS));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Five months from March on have 153 days.
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::super::{About, DocumentId, Ended};
    use super::*;
    use crate::ids::AttemptId;
    use crate::log::Stream;
    use crate::outcome::EndReason;

    fn document(bytes: &'static [u8], about: About) -> Document {
        let attempt = AttemptId::from_parts(42, 7, 2).expect("valid");
        let id = DocumentId::Line(attempt, Stream::Stderr, 1024);
        Document::line(id, WallTime(951_826_594_005), Bytes::from_static(bytes), &Arc::new(about))
    }

    #[test]
    fn times_are_written_as_the_calendar_says() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_826_594_005, "2000-02-29T12:16:34.005Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(timestamp(WallTime(millis)), text);
        }
    }

    #[test]
    fn a_document_carries_what_is_known_under_the_names_of_the_schema() {
        let about = About {
            job_name: Some("nightly".to_owned()),
            labels: vec![("team.name".to_owned(), "x".to_owned())],
            image: Some("debian".to_owned()),
            node: Some("n1".to_owned()),
        };
        let mut out = Vec::new();
        write(&document(b"level=warn msg=\"a \\\"b\"", about), &mut out);
        assert!(!out.contains(&b'\n'));
        let value: Value = serde_json::from_slice(&out).expect("JSON");
        for (pointer, expected) in [
            ("/@timestamp", json!("2000-02-29T12:16:34.005Z")),
            ("/message", json!("level=warn msg=\"a \\\"b\"")),
            ("/event/id", json!("42.7.2-stderr-1024")),
            ("/dockmgr/job", json!(42)),
            ("/dockmgr/task", json!(7)),
            ("/dockmgr/attempt", json!(2)),
            ("/dockmgr/stream", json!("stderr")),
            ("/dockmgr/name", json!("nightly")),
            ("/log/level", json!("warn")),
            ("/host/name", json!("n1")),
            ("/container/image/name", json!("debian")),
            ("/labels/team_name", json!("x")),
        ] {
            assert_eq!(value.pointer(pointer), Some(&expected), "{pointer} in {value}");
        }
    }

    #[test]
    fn an_end_says_why_and_has_no_stream() {
        let end = Ended {
            at: WallTime(0),
            reason: EndReason::Exited,
            exit_code: Some(3),
            is_success: false,
            message: String::new(),
        };
        let id = DocumentId::Job(crate::ids::JobId::new(42).expect("not 0"));
        let value = value(&Document::ended(id, end, Arc::default()));
        assert_eq!(
            value,
            json!({
                "@timestamp": "1970-01-01T00:00:00.000Z", "message": "ended: exited, exit code 3",
                "ecs": { "version": VERSION }, "log": { "level": "error" }, "process": { "exit_code": 3 },
                "event": { "id": "42-end", "dataset": "dockmgr.job_end", "outcome": "failure" },
                "dockmgr": { "job": 42, "end_reason": "exited" },
            })
        );
    }

    #[test]
    fn bytes_that_are_no_text_come_along_as_they_are() {
        let value = value(&document(b"a\xff\n\x00", About::default()));
        assert_eq!(value.pointer("/dockmgr/bytes_hex"), Some(&json!("61ff0a00")));
        assert_eq!(value.pointer("/message"), Some(&json!("a\u{fffd}\n\u{0}")));
    }
}
