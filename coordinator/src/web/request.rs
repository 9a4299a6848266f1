//! From an HTTP request to the message of a call: names in the path, query parameters, a JSON body.

use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value};
use tonic::body::Body;

use super::problem::Problem;
use super::routes::{Route, Shape};

/// Most bytes of a body: what gRPC takes, and JSON is no shorter.
const MAX_BODY_BYTES: usize = 1 << 20;
/// How long a body may take: it is sent in one piece by whoever has it.
const BODY: Duration = Duration::from_secs(20);

/// A call to be made.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) message: DynamicMessage,
    /// What the call takes along: who calls, over which connection.
    pub(super) parts: Parts,
    /// It goes on where an earlier stream ended.
    pub(super) resumes: bool,
}

/// Reads a request for `route`; `names` come from its path.
pub(super) async fn read(
    route: &Route,
    names: Vec<(&'static str, String)>,
    request: Request<Body>,
) -> Result<Read, Problem> {
    let (parts, body) = request.into_parts();
    let wanted = route.method.input();
    let mut fields = if parts.method == Method::GET {
        query(&wanted, parts.uri.query().unwrap_or_default())?
    } else {
        json(&parts.headers, parts.uri.query(), body).await?
    };
    for (name, value) in names {
        let json_name = wanted.get_field_by_name(name).map(|field| field.json_name().to_owned());
        let json_name = json_name.unwrap_or_else(|| name.to_owned());
        if fields.contains_key(&json_name) || fields.contains_key(name) {
            return Err(Problem::field(&json_name, "is in the path already"));
        }
        fields.insert(json_name, Value::String(value));
    }
    let resumes = resume(route, &wanted, &parts.headers, &mut fields)?;
    let options = prost_reflect::DeserializeOptions::new();
    let message = DynamicMessage::deserialize_with_options(wanted, Value::Object(fields), &options)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, &error.to_string()))?;
    Ok(Read { message, parts, resumes })
}

/// The place an event stream goes on from; a browser tells it in a header of its own.
fn resume(
    route: &Route,
    wanted: &MessageDescriptor,
    headers: &HeaderMap,
    fields: &mut Map<String, Value>,
) -> Result<bool, Problem> {
    let Shape::Events(resume) = route.shape else { return Ok(false) };
    let json_name = |name| wanted.get_field_by_name(name).map(|field| field.json_name().to_owned());
    let Some(field) = resume.field().and_then(json_name) else { return Ok(false) };
    if let Some(last) = headers.get("last-event-id").filter(|last| !last.is_empty()) {
        let last = last.to_str().map_err(|_| Problem::field("Last-Event-ID", "is no text"))?;
        fields.insert(field.clone(), Value::String(last.to_owned()));
        if let Some(overruled) = resume.overruled().and_then(json_name) {
            fields.remove(&overruled);
        }
    }
    Ok(fields.get(&field).is_some_and(|value| value != "0" && value != ""))
}

/// The JSON object in a body; an empty body is an empty object.
async fn json(headers: &HeaderMap, query: Option<&str>, body: Body) -> Result<Map<String, Value>, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        let text = "changes need Content-Type: application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    if query.is_some_and(|query| !query.is_empty()) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "changes take their fields from the body, not from the query",
        ));
    }
    let collected = tokio::time::timeout(BODY, Limited::new(body, MAX_BODY_BYTES).collect()).await;
    let bytes: Bytes = match collected {
        Ok(Ok(whole)) => whole.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1 MiB"));
        }
        Ok(Err(_)) => return Err(Problem::new(StatusCode::BAD_REQUEST, "the body broke off")),
        Err(_elapsed) => {
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"));
        }
    };
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "the body must be a JSON object")),
        Err(error) => Err(Problem::new(StatusCode::BAD_REQUEST, &format!("the body is not JSON: {error}"))),
    }
}

/// The fields that query parameters name.
fn query(wanted: &MessageDescriptor, text: &str) -> Result<Map<String, Value>, Problem> {
    let mut fields = Map::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let spaced = |text: &str| decoded(&text.replace('+', " "));
        let (Some(name), Some(value)) = (spaced(name), spaced(value)) else {
            return Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "the query is not UTF-8 text in percent encoding",
            ));
        };
        let field = wanted.get_field_by_json_name(&name).filter(in_query);
        let Some(field) = field else { return Err(Problem::field(&name, "is no parameter of this call")) };
        let value = parameter(&field, value)?;
        if field.is_list() {
            let list = fields.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            list.as_array_mut().into_iter().for_each(|list| list.push(value.clone()));
        } else if fields.insert(name.clone(), value).is_some() {
            return Err(Problem::field(&name, "is given twice"));
        }
    }
    Ok(fields)
}

/// Whether a field can be a query parameter: one value, or a list of such.
pub(super) fn in_query(field: &FieldDescriptor) -> bool {
    let is_plain = match field.kind() {
        Kind::Message(message) => message.full_name().starts_with("google.protobuf."),
        _ => true,
    };
    is_plain && !field.is_map()
}

/// A parameter as the JSON value that its field takes.
fn parameter(field: &FieldDescriptor, text: String) -> Result<Value, Problem> {
    if field.kind() != Kind::Bool {
        return Ok(Value::String(text));
    }
    match text.as_str() {
        "true" => Ok(Value::Bool(true)),
        "false" => Ok(Value::Bool(false)),
        _ => Err(Problem::field(field.json_name(), "must be true or false")),
    }
}

/// Text in percent encoding; `None` if it is not UTF-8.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok())?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::contract::Contract;

    #[test]
    fn a_query_names_fields_once_and_nothing_else() {
        let wanted = Contract::new().method("JobService/ListTasks").expect("there is one").input();
        let fields =
            query(&wanted, "pageSize=7&states=TASK_STATE_QUEUED&states=TASK_STATE_FAILED&pageToken=a%2Bb+c");
        let fields = Value::Object(fields.expect("good"));
        assert_eq!(
            fields,
            serde_json::json!({ "pageSize": "7", "states": ["TASK_STATE_QUEUED", "TASK_STATE_FAILED"], "pageToken": "a+b c" })
        );
        for wrong in ["pageSize=1&pageSize=2", "no=1", "%ff=1", "pageToken=%f", "pageToken=%+1"] {
            assert!(query(&wanted, wrong).is_err(), "{wrong}");
        }
        let explain = Contract::new().method("JobService/GetJob").expect("there is one").input();
        assert!(query(&explain, "explain=yes").is_err());
    }
}
