//! The push call of Loki: its body as JSON, and what its answer says.
//!
//! Labels are few, because each combination of their values is a stream that Loki keeps apart: a name for the cluster, the
//! name of the job, the stream and the level. Everything else is structured metadata of an entry.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Answer, Document, DocumentId, by_status};
use crate::log::Stream;
use crate::mix::mix;

const NANOS_OF_MILLI: u64 = 1_000_000;

/// The body of a request; `cluster` is the label of that name.
pub fn body(cluster: &str, documents: &[Document]) -> Vec<u8> {
    let mut streams: BTreeMap<[(&str, &str); 4], Vec<Value>> = BTreeMap::new();
    for document in documents {
        streams.entry(labels(cluster, document)).or_default().push(entry(document));
    }
    let stream = |(labels, values): ([(&str, &str); 4], Vec<Value>)| {
        let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
        let labels: Map<String, Value> =
            labels.map(|(name, value)| (name.to_owned(), json!(value))).collect();
        json!({ "stream": labels, "values": values })
    };
    json!({ "streams": streams.into_iter().map(stream).collect::<Vec<_>>() }).to_string().into_bytes()
}

/// What an answer says. Loki takes the good entries of a request and answers 400 for the others without naming them all, so
/// the halves that are sent next tell; what it took comes to it again at the same time with the same text, which it ignores.
pub fn answer(status: u16, after: Option<Duration>, body: &[u8]) -> Answer {
    by_status(status, after, body).unwrap_or(Answer::Taken)
}

fn labels<'a>(cluster: &'a str, document: &'a Document) -> [(&'static str, &'a str); 4] {
    let stream = match document.id {
        DocumentId::Line(_, Stream::Stdout, _) => "stdout",
        DocumentId::Line(_, Stream::Stderr, _) => "stderr",
        DocumentId::Mark(..) | DocumentId::Attempt(_) | DocumentId::Job(_) => "end",
    };
    [
        ("cluster", cluster),
        ("service_name", document.about.job_name.as_deref().unwrap_or("dockmgr")),
        ("stream", stream),
        ("level", document.severity().map_or("", |severity| severity.as_str())),
    ]
}

fn entry(document: &Document) -> Value {
    let mut more = Map::new();
    let mut tell = |name: &str, value: String| {
        more.insert(name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"), json!(value));
    };
    let (id, about) = (document.id, &document.about);
    tell("id", id.to_string());
    tell("kind", id.kind().to_owned());
    tell("job", id.job().to_string());
    if let Some(attempt) = id.attempt() {
        tell("task", attempt.task.index.to_string());
        tell("attempt", attempt.number.to_string());
    }
    if let Some((_, offset)) = id.line() {
        tell("offset", offset.to_string());
    }
    if let Some(end) = &document.end {
        tell("end_reason", end.reason.as_str().to_owned());
        if let Some(code) = end.exit_code {
            tell("exit_code", code.to_string());
        }
    }
    if document.text().is_none() {
        tell("bytes_hex", document.hex());
    }
    for (name, value) in [("node", &about.node), ("image", &about.image)] {
        if let Some(value) = value {
            tell(name, value.clone());
        }
    }
    for (key, value) in &about.labels {
        tell(&format!("label_{key}"), value.clone());
    }
    json!([nanoseconds(document).to_string(), String::from_utf8_lossy(&document.bytes), more])
}

/// The time of an entry. Loki takes two entries of one stream with one time and one text for the same, so a line's place goes
/// into the part of a millisecond that nobody measured: the same each time, another one for the next line, growing along a
/// task's stream until it wraps.
fn nanoseconds(document: &Document) -> u64 {
    let place = match document.id {
        DocumentId::Line(attempt, _, offset) => {
            let task = u64::from(attempt.task.index.0) << 32 | u64::from(attempt.number.0);
            mix(task ^ mix(attempt.job().get())).wrapping_add(offset)
        }
        DocumentId::Mark(_, number) => NANOS_OF_MILLI - 1 - u64::from(number) % 1000,
        DocumentId::Attempt(_) | DocumentId::Job(_) => NANOS_OF_MILLI - 1,
    };
    let millis = u64::try_from(document.time.0).unwrap_or(0);
    millis.saturating_mul(NANOS_OF_MILLI).saturating_add(place % NANOS_OF_MILLI)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::super::About;
    use super::*;
    use crate::ids::AttemptId;
    use crate::time::WallTime;

    fn line(task: u32, offset: u64, text: &'static [u8], about: &Arc<About>) -> Document {
        let attempt = AttemptId::from_parts(42, task, 1).expect("valid");
        let id = DocumentId::Line(attempt, Stream::Stdout, offset);
        Document::line(id, WallTime(7), Bytes::from_static(text), about)
    }

    #[test]
    fn lines_of_one_job_and_level_share_a_stream_and_the_rest_is_metadata() {
        let about = About {
            job_name: Some("nightly".to_owned()),
            labels: vec![("team.name".to_owned(), "x".to_owned())],
            ..About::default()
        };
        let about = Arc::new(about);
        let documents =
            [line(0, 0, b"one", &about), line(3, 0, b"\xff", &about), line(0, 4, b"error: two", &about)];
        let value: Value = serde_json::from_slice(&body("main", &documents)).expect("JSON");
        let [plain, bad] = value["streams"].as_array().expect("streams").as_slice() else {
            panic!("{value}")
        };
        assert_eq!(
            plain["stream"],
            json!({ "cluster": "main", "service_name": "nightly", "stream": "stdout" })
        );
        assert_eq!(bad["stream"]["level"], "error");
        assert_eq!((&plain["values"][0][1], &plain["values"][1][1]), (&json!("one"), &json!("\u{fffd}")));
        let metadata = &plain["values"][1][2];
        assert_eq!(
            *metadata,
            json!({ "id": "42.3.1-stdout-0", "kind": "output", "job": "42", "task": "3", "attempt": "1",
                    "offset": "0", "bytes_hex": "ff", "label_team_name": "x" })
        );
    }

    #[test]
    fn the_same_text_at_the_same_time_is_another_entry_and_a_repeat_is_not() {
        let about = Arc::new(About::default());
        let times = [line(0, 0, b"x", &about), line(0, 2, b"x", &about), line(1, 0, b"x", &about)];
        let times: Vec<u64> = times.iter().map(nanoseconds).collect();
        assert!(times.iter().all(|time| time / NANOS_OF_MILLI == 7), "{times:?}");
        assert!(times[0] != times[1] && times[0] != times[2] && times[1] != times[2], "{times:?}");
        assert_eq!(nanoseconds(&line(0, 2, b"x", &about)), times[1]);
    }

    #[test]
    fn only_what_is_about_the_content_is_refused() {
        assert_eq!(answer(204, None, b""), Answer::Taken);
        assert!(matches!(answer(400, None, b"entry too far behind"), Answer::Refused { .. }));
        assert!(matches!(answer(429, None, b"rate limit"), Answer::Later { .. }));
    }
}
