//! The `OpenAPI` document, made of the table of routes and the comments of the contract: it cannot say anything else than
//! what is served.

use prost_reflect::{MessageDescriptor, MethodDescriptor};
use serde_json::{Map, Value, json};

use super::contract::Contract;
use super::examples;
use super::request::in_query;
use super::routes::{LINES, Line, Shape, name};
use super::schema::Schemas;

/// Number of a method within a service, in the paths of comments.
const METHOD: i32 = 2;

/// The document.
pub(super) fn document(contract: &Contract) -> Value {
    let mut schemas = Schemas::new(contract);
    let mut paths: Map<String, Value> = Map::new();
    for line in LINES {
        let method = contract.method(line.call).expect("a test looks up every call of the table");
        let described = operation(contract, &mut schemas, &line, &method);
        let path = paths.entry(line.path).or_insert_with(|| json!({}));
        path[line.verb.to_ascii_lowercase()] = described;
    }
    let mut schemas = schemas.into_json();
    schemas["Problem"] = problem();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "dockmgr",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": "The API of dockmgr as JSON over HTTP. The same calls exist as gRPC on the same port.",
        },
        "servers": [{ "url": super::API }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "responses": { "Problem": {
                "description": "What went wrong.",
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            } },
        },
    })
}

fn operation(
    contract: &Contract,
    schemas: &mut Schemas<'_>,
    line: &Line,
    method: &MethodDescriptor,
) -> Value {
    let wanted = method.input();
    let in_path: Vec<&str> = line.path.split('/').filter_map(name).collect();
    let mut parameters: Vec<Value> =
        in_path.iter().filter_map(|name| parameter(schemas, line, &wanted, name, "path")).collect();
    if line.verb == "GET" {
        for field in wanted.fields().filter(|field| in_query(field) && !in_path.contains(&field.name())) {
            parameters.extend(parameter(schemas, line, &wanted, field.name(), "query"));
        }
    }
    if let Shape::Events(resume) = line.shape
        && let Some(field) = resume.field()
    {
        parameters.push(json!({
            "name": "Last-Event-ID",
            "in": "header",
            "description": format!("Goes on after the event with this id; the same as `{field}`."),
            "schema": { "type": "string" },
        }));
    }
    let service = method.parent_service();
    let file = service.parent_file();
    let at = service.methods().position(|other| other.name() == method.name()).unwrap_or_default();
    let path = [service.path(), &[METHOD, i32::try_from(at).unwrap_or_default()]].concat();
    let suffix = if line.shape == Shape::Output { "Output" } else { "" };
    let mut operation = json!({
        "operationId": format!("{}{suffix}", method.name()),
        "tags": [service.name()],
        "description": contract.comment(&file, &path),
        "parameters": parameters,
        "responses": { "200": answer(schemas, line, method), "default": { "$ref": "#/components/responses/Problem" } },
    });
    if line.verb == "POST" {
        let schema = schemas.object(&wanted, &in_path);
        let mut content = json!({ "schema": schema });
        if let Some(example) = examples::body(line.call) {
            content["example"] = example;
        }
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": content } });
    }
    operation
}

fn parameter(
    schemas: &mut Schemas<'_>,
    line: &Line,
    of: &MessageDescriptor,
    name: &str,
    place: &str,
) -> Option<Value> {
    let field = of.get_field_by_name(name)?;
    let mut schema = schemas.field(of, &field);
    let description = schema["description"].take();
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("description");
    }
    if place == "path" {
        schema["minLength"] = json!(1);
    }
    let shown = if place == "path" { field.name() } else { field.json_name() };
    let mut parameter = json!({
        "name": shown, "in": place, "required": place == "path", "description": description, "schema": schema,
    });
    if let Some(example) = examples::parameter(line.call, field.name()) {
        parameter["example"] = example;
    }
    Some(parameter)
}

fn answer(schemas: &mut Schemas<'_>, line: &Line, method: &MethodDescriptor) -> Value {
    let schema = schemas.message(&method.output());
    match line.shape {
        Shape::Unary => {
            json!({ "description": "The answer.", "content": { "application/json": { "schema": schema } } })
        }
        Shape::Events(_) => json!({
            "description": format!(
                "Server-sent events; the data of each is a `{}`, its id a place to go on from. The last one is `end`, or \
                 `problem` with a Problem.",
                method.output().name()
            ),
            "content": { "text/event-stream": { "schema": event(&schema) } },
        }),
        Shape::Output => json!({
            "description": "The bytes as the containers wrote them.",
            "content": { "application/octet-stream": { "schema": { "type": "string", "format": "binary" } } },
        }),
    }
}

/// One event of a stream: the specification has no words for the stream itself before its version 3.2.
fn event(message: &Value) -> Value {
    json!({
        "type": "object",
        "properties": {
            "id": { "type": "string" },
            "event": { "type": "string" },
            "data": { "type": "string", "contentMediaType": "application/json", "contentSchema": message },
        },
    })
}

fn problem() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "reason", "retryable"],
        "properties": {
            "type": text("Always `about:blank`: see `reason`."),
            "title": text("The words of the HTTP status."),
            "status": { "type": "integer", "description": "The HTTP status." },
            "detail": text("For people."),
            "code": text("The canonical code of gRPC."),
            "reason": text("For programs: one word for each situation."),
            "retryable": { "type": "boolean", "description": "The same request may succeed later." },
            "violations": {
                "type": "array",
                "description": "The fields that are wrong.",
                "items": { "type": "object", "properties": { "field": text("Which."), "description": text("Why.") } },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_and_every_reference_leads_somewhere() {
        let document = document(&Contract::new());
        for line in LINES {
            let operation = &document["paths"][line.path][line.verb.to_ascii_lowercase()];
            assert!(
                !operation["description"].as_str().unwrap_or_default().is_empty(),
                "{} {}",
                line.verb,
                line.path
            );
            for parameter in operation["parameters"].as_array().expect("a list") {
                assert!(!parameter["description"].as_str().unwrap_or_default().is_empty(), "{parameter}");
            }
        }
        let text = document.to_string();
        for reference in
            text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next())
        {
            assert!(document["components"]["schemas"][reference].is_object(), "there is no {reference}");
        }
    }
}
