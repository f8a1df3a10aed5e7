//! An example of a message, as JSON: what `describe` shows, to be filled in.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

/// Messages inside of messages, at most: some hold themselves.
const DEEPEST: usize = 5;

/// An example of `message`: every field once, of a oneof the first.
pub fn of(message: &MessageDescriptor) -> Value {
    at(message, 0)
}

fn at(message: &MessageDescriptor, depth: usize) -> Value {
    if let Some(value) = well_known(message.full_name()) {
        return value;
    }
    let mut fields = Map::new();
    if depth < DEEPEST {
        for field in message.fields() {
            let is_other = field.containing_oneof().is_some_and(|oneof| {
                !oneof.is_synthetic() && oneof.fields().next().as_ref() != Some(&field)
            });
            if !is_other {
                fields.insert(field.json_name().to_owned(), of_field(&field, depth));
            }
        }
    }
    Value::Object(fields)
}

fn of_field(field: &FieldDescriptor, depth: usize) -> Value {
    let kind = field.kind();
    if let (true, Kind::Message(entry)) = (field.is_map(), &kind) {
        let key = match of_kind(&entry.map_entry_key_field(), depth) {
            Value::String(text) => text,
            other => other.to_string(),
        };
        return json!({ key: of_kind(&entry.map_entry_value_field(), depth) });
    }
    match field.is_list() {
        true => json!([of_kind(field, depth)]),
        false => of_kind(field, depth),
    }
}

fn of_kind(field: &FieldDescriptor, depth: usize) -> Value {
    match field.kind() {
        Kind::String => field.name().into(),
        Kind::Bytes => "AA==".into(),
        Kind::Bool => true.into(),
        Kind::Double | Kind::Float => 1.5.into(),
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64 => "1".into(),
        Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Fixed32 | Kind::Sfixed32 => 1.into(),
        Kind::Enum(of) => {
            // The first one is seldom what is meant.
            let mut values = of.values();
            let first = values.next();
            let shown = values.next().or(first);
            shown.map_or(Value::Null, |value| value.name().into())
        }
        Kind::Message(message) => at(&message, depth + 1),
    }
}

fn well_known(name: &str) -> Option<Value> {
    Some(match name.strip_prefix("google.protobuf.")? {
        "Timestamp" => "2026-01-31T12:00:00Z".into(),
        "Duration" => "1.5s".into(),
        "FieldMask" => "field".into(),
        "Struct" => json!({"field": 1}),
        "Value" => 1.into(),
        "ListValue" => json!([1]),
        "StringValue" => "text".into(),
        "BytesValue" => "AA==".into(),
        "BoolValue" => true.into(),
        "DoubleValue" | "FloatValue" => 1.5.into(),
        "Int64Value" | "UInt64Value" => "1".into(),
        "Int32Value" | "UInt32Value" => 1.into(),
        "Any" => json!({"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1.5s"}),
        _ => return None,
    })
}
