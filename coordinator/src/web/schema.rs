//! JSON schemas of messages, as `OpenAPI` has them.

use std::collections::BTreeMap;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::contract::Contract;

/// Number of a field within a message, and of a value within an enum, in the paths of comments.
const MEMBER: i32 = 2;

/// The schemas that were asked for, and those they need.
#[derive(Debug)]
pub(super) struct Schemas<'a> {
    contract: &'a Contract,
    made: BTreeMap<String, Value>,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(contract: &'a Contract) -> Self {
        Self { contract, made: BTreeMap::new() }
    }

    /// All schemas so far, by name.
    pub(super) fn into_json(self) -> Value {
        Value::Object(self.made.into_iter().collect())
    }

    /// A reference to the schema of a message.
    pub(super) fn message(&mut self, message: &MessageDescriptor) -> Value {
        let name = short(message.full_name());
        if !self.made.contains_key(name) {
            // Before its fields: a message may hold itself.
            self.made.insert(name.to_owned(), Value::Null);
            let schema = self.object(message, &[]);
            self.made.insert(name.to_owned(), schema);
        }
        reference(name)
    }

    /// The schema of a message without some of its fields.
    pub(super) fn object(&mut self, message: &MessageDescriptor, without: &[&str]) -> Value {
        let mut properties = Map::new();
        for field in message.fields().filter(|field| !without.contains(&field.name())) {
            properties.insert(field.json_name().to_owned(), self.field(message, &field));
        }
        let text = self.contract.comment(&message.parent_file(), message.path());
        json!({ "type": "object", "description": text, "properties": properties, "additionalProperties": false })
    }

    /// The schema of a field, with what its comment says.
    pub(super) fn field(&mut self, message: &MessageDescriptor, field: &FieldDescriptor) -> Value {
        let mut schema = if field.is_map() {
            let Kind::Message(entry) = field.kind() else { return json!({}) };
            json!({ "type": "object", "additionalProperties": self.kind(&entry.map_entry_value_field().kind()) })
        } else if field.is_list() {
            json!({ "type": "array", "items": self.kind(&field.kind()) })
        } else {
            self.kind(&field.kind())
        };
        let at = message.fields().position(|other| other.number() == field.number()).unwrap_or_default();
        let declared = message.descriptor_proto().field.iter().position(|other| other.name() == field.name());
        let path =
            [message.path(), &[MEMBER, i32::try_from(declared.unwrap_or(at)).unwrap_or_default()]].concat();
        schema["description"] = Value::from(self.contract.comment(&message.parent_file(), &path));
        schema
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Double | Kind::Float => json!({ "type": "number" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                json!({ "type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX })
            }
            Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({ "type": "string", "format": "int64", "pattern": "^-?[0-9]{1,18}$" })
            }
            Kind::Uint64 | Kind::Fixed64 => {
                json!({ "type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$" })
            }
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Enum(kind) => self.enumeration(kind),
            Kind::Message(message) => match message.full_name() {
                "google.protobuf.Timestamp" => json!({ "type": "string", "format": "date-time" }),
                "google.protobuf.Duration" => {
                    json!({ "type": "string", "pattern": "^-?[0-9]{1,12}(\\.[0-9]{1,9})?s$", "examples": ["90s"] })
                }
                _ => self.message(message),
            },
        }
    }

    fn enumeration(&mut self, kind: &EnumDescriptor) -> Value {
        let name = short(kind.full_name());
        if !self.made.contains_key(name) {
            let mut words = Vec::new();
            let mut told = self.contract.comment(&kind.parent_file(), kind.path()).to_owned();
            for (at, value) in kind.values().enumerate() {
                words.push(Value::from(value.name()));
                let path = [kind.path(), &[MEMBER, i32::try_from(at).unwrap_or_default()]].concat();
                told.push_str(&format!(
                    "\n- `{}`: {}",
                    value.name(),
                    self.contract.comment(&kind.parent_file(), &path)
                ));
            }
            let schema = json!({ "type": "string", "enum": words, "description": told });
            self.made.insert(name.to_owned(), schema);
        }
        reference(name)
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The name of a type without its package.
fn short(full: &str) -> &str {
    full.strip_prefix("dockmgr.v1.").unwrap_or(full)
}
