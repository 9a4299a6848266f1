//! The `_bulk` call of Elasticsearch and OpenSearch: its body, and what its answer says of each document.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, Document, Verdict, answer, by_status, ecs};

/// The body that creates each document under its id. One that is there already stays as it is and is answered with 409.
pub fn body(documents: &[Document]) -> Vec<u8> {
    let mut body = Vec::with_capacity(documents.iter().map(Document::size).sum());
    for document in documents {
        let action = json!({ "create": { "_id": document.id.to_string() } });
        body.extend_from_slice(action.to_string().as_bytes());
        body.push(b'\n');
        ecs::write(document, &mut body);
        body.push(b'\n');
    }
    body
}

/// What the answer to a request with `count` documents says.
pub fn answer(count: usize, status: u16, after: Option<Duration>, body: &[u8]) -> Answer {
    if let Some(answer) = by_status(status, after, body) {
        return answer;
    }
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return Answer::none("the answer to a bulk request is no JSON: is this Elasticsearch?");
    };
    let items = value.get("items").and_then(Value::as_array);
    match items {
        Some(items) if items.len() == count => Answer::Each(items.iter().map(verdict).collect()),
        Some(_) | None => Answer::none("the answer to a bulk request does not tell of each document"),
    }
}

fn verdict(item: &Value) -> Verdict {
    let result = item.get("create").unwrap_or(&Value::Null);
    let status = result.get("status").and_then(Value::as_u64).unwrap_or(0);
    match status {
        // 409: an earlier try whose answer was lost has put it there.
        200..=299 | 409 => Verdict::Delivered,
        400 | 413 | 422 => {
            let error = result.get("error").unwrap_or(&Value::Null);
            Verdict::Dead(format!("status {status}: {}", answer::words(error.to_string().as_bytes())))
        }
        // A full queue, a shard that moves, an index that is read-only because of a full disk: all of it passes.
        _ => Verdict::Again,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_document_gets_its_own_verdict() {
        let items: Vec<Value> = [201, 409, 429, 503, 403, 400]
            .into_iter()
            .map(|status| json!({ "create": { "status": status, "error": { "type": "mapper_parsing_exception" } } }))
            .collect();
        let body = json!({ "took": 1, "errors": true, "items": items }).to_string();
        let Answer::Each(verdicts) = answer(6, 200, None, body.as_bytes()) else { panic!("a word on each") };
        assert_eq!(verdicts[..2], [Verdict::Delivered, Verdict::Delivered]);
        assert_eq!(verdicts[2..5], [Verdict::Again, Verdict::Again, Verdict::Again]);
        let Verdict::Dead(why) = &verdicts[5] else { panic!("refused for good") };
        assert!(why.contains("mapper_parsing_exception"), "{why}");
    }

    #[test]
    fn an_answer_that_does_not_fit_settles_nothing() {
        for body in ["", "<html>", "{}", "{\"items\":[]}"] {
            assert!(matches!(answer(1, 200, None, body.as_bytes()), Answer::Later { .. }), "{body}");
        }
    }
}
