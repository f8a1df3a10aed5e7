//! Compares two answers: both become JSON of one form, and are compared field by field.

use std::collections::{BTreeMap, BTreeSet};

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_STANDARD,
};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions};
use serde_json::{Map, Value};

/// The value of each field by its place, such as `items[0].sku`. Defaults are left out.
pub type Fields = BTreeMap<String, String>;

/// The message in `bytes` as JSON.
///
/// # Errors
/// When they are no such message.
pub fn of_protobuf(bytes: &[u8], message: &MessageDescriptor) -> Result<Value, String> {
    let decoded = DynamicMessage::decode(message.clone(), bytes)
        .map_err(|error| format!("is no {}: {error}", message.full_name()))?;
    let options = SerializeOptions::new().skip_default_fields(true);
    decoded
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|error| format!("cannot be written as JSON: {error}"))
}

/// The fields of `value` in one form, by the types of `message` where it is known: JSON names, enums by
/// name, numbers as numbers, nothing that is a default.
pub fn fields(value: &Value, message: Option<&MessageDescriptor>) -> Fields {
    let mut fields = Fields::new();
    let value = match message {
        Some(message) => canonical(value, message),
        None => value.clone(),
    };
    flatten("", &value, &mut fields);
    fields
}

fn canonical(value: &Value, message: &MessageDescriptor) -> Value {
    if message.full_name().starts_with("google.protobuf.") {
        return well_known(value, message);
    }
    let Value::Object(fields) = value else {
        return value.clone();
    };
    let mut named = Map::new();
    for (name, value) in fields {
        match super::rows::field(message, name) {
            Some(field) => named.insert(field.json_name().to_owned(), of_field(value, &field)),
            None => named.insert(name.clone(), value.clone()),
        };
    }
    Value::Object(named)
}

fn of_field(value: &Value, field: &FieldDescriptor) -> Value {
    let kind = field.kind();
    if field.is_map() {
        let (Value::Object(entries), Kind::Message(entry)) = (value, &kind) else {
            return value.clone();
        };
        let kind = entry.map_entry_value_field().kind();
        let entries = entries
            .iter()
            .map(|(key, value)| (key.clone(), of_kind(value, &kind)));
        return Value::Object(entries.collect());
    }
    match value {
        Value::Array(items) if field.is_list() => {
            Value::Array(items.iter().map(|item| of_kind(item, &kind)).collect())
        }
        value => of_kind(value, &kind),
    }
}

fn of_kind(value: &Value, kind: &Kind) -> Value {
    match (kind, value) {
        (Kind::Message(message), value) => canonical(value, message),
        (Kind::Enum(of), value) => {
            let by_number = |number: i64| of.get_value(i32::try_from(number).ok()?);
            let found = match value {
                Value::Number(number) => number.as_i64().and_then(by_number),
                Value::String(name) => of
                    .get_value_by_name(name)
                    .or_else(|| by_number(name.parse().ok()?)),
                _ => None,
            };
            match found {
                // The first one is what a message without it has.
                Some(value) if value.number() == 0 => Value::Null,
                Some(value) => value.name().into(),
                None => value.clone(),
            }
        }
        (Kind::Bytes, Value::String(text)) => {
            let config = GeneralPurposeConfig::new()
                .with_decode_padding_mode(DecodePaddingMode::Indifferent);
            let read = |alphabet| GeneralPurpose::new(alphabet, config).decode(text);
            match read(&STANDARD).or_else(|_| read(&URL_SAFE)) {
                Ok(bytes) => BASE64_STANDARD.encode(bytes).into(),
                Err(_) => value.clone(),
            }
        }
        (Kind::Float, Value::Number(number)) => match number.as_f64() {
            // As many digits as it has.
            Some(float) => (float as f32).to_string().into(),
            None => value.clone(),
        },
        (Kind::String | Kind::Bool, value) => value.clone(),
        (_, Value::String(text)) => match serde_json::from_str::<Value>(text) {
            Ok(number @ Value::Number(_)) => number,
            _ => value.clone(),
        },
        (_, value) => value.clone(),
    }
}

/// Such as a timestamp, in the one way in which protobuf writes it.
fn well_known(value: &Value, message: &MessageDescriptor) -> Value {
    let read = DynamicMessage::deserialize(message.clone(), value);
    let written = read.ok().and_then(|read| {
        let options = SerializeOptions::new();
        read.serialize_with_options(serde_json::value::Serializer, &options)
            .ok()
    });
    written.unwrap_or_else(|| value.clone())
}

/// Puts each value of `value` at its place. A default is the same as an absent value.
fn flatten(place: &str, value: &Value, fields: &mut Fields) {
    match value {
        Value::Null | Value::Bool(false) => {}
        Value::Bool(true) => {
            fields.insert(place.to_owned(), "true".to_owned());
        }
        Value::Number(number) => {
            let text = written(number);
            if text != "0" {
                fields.insert(place.to_owned(), text);
            }
        }
        Value::String(text) => {
            if !text.is_empty() {
                fields.insert(place.to_owned(), text.clone());
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let place = format!("{place}[{index}]");
                let before = fields.len();
                flatten(&place, item, fields);
                if fields.len() == before {
                    // How many there are counts, be they defaults or not.
                    fields.insert(place, String::new());
                }
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                let place = match place {
                    "" => name.clone(),
                    place => format!("{place}.{name}"),
                };
                flatten(&place, value, fields);
            }
        }
    }
}

/// A number in one form: `7`, `7.0` and `"7"` are one.
fn written(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
            format!("{float:.0}").replace("-0", "0")
        }
        _ => number.to_string(),
    }
}

/// A place without its indexes: what is left out is left out of every item.
pub fn general(place: &str) -> String {
    let mut general = String::new();
    let mut is_inside = false;
    for c in place
        .trim_start_matches("$.")
        .trim_start_matches('$')
        .chars()
    {
        match c {
            '[' => is_inside = true,
            ']' => is_inside = false,
            c if !is_inside => general.push(c),
            _ => {}
        }
    }
    general
}

/// The places, without indexes, at which `a` and `b` differ.
pub fn varying(a: &Fields, b: &Fields) -> BTreeSet<String> {
    let places = a.keys().chain(b.keys());
    places
        .filter(|place| a.get(*place) != b.get(*place))
        .map(|place| general(place))
        .collect()
}

/// A place at which two answers differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The place.
    pub place: String,
    /// The value in each of the two; none where there is none.
    pub values: [Option<String>; 2],
}

/// The places in which `a` and `b` differ, without those in `left_out` and all below them.
pub fn differences(a: &Fields, b: &Fields, left_out: &BTreeSet<String>) -> Vec<Difference> {
    let is_left_out = |place: &str| {
        let place = general(place);
        left_out.iter().any(|out| {
            let below = place.strip_prefix(out.as_str());
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    let places: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    places
        .into_iter()
        .filter(|place| a.get(*place) != b.get(*place) && !is_left_out(place))
        .map(|place| Difference {
            place: place.clone(),
            values: [a.get(place).cloned(), b.get(place).cloned()],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message() -> MessageDescriptor {
        let file = r#"
            syntax = "proto3";
            package t;
            import "google/protobuf/timestamp.proto";
            enum State { UNKNOWN = 0; OPEN = 1; }
            message Item { string sku = 1; int64 cents = 2; }
            message Order {
                string order_id = 1; int64 total = 2; State state = 3; repeated Item items = 4;
                optional string note = 5; google.protobuf.Timestamp made_at = 6; bytes raw = 7;
                float weight = 8; map<string, int64> counts = 9; bool done = 10;
            }"#;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.proto"), file).unwrap();
        let mut compiler = protox::Compiler::new([folder.path()]).unwrap();
        compiler.include_imports(true).open_file("t.proto").unwrap();
        let pool = compiler.descriptor_pool();
        pool.get_message_by_name("t.Order").unwrap()
    }

    #[test]
    fn the_same_message_is_the_same_however_it_is_written() {
        let message = message();
        let one = json!({
            "orderId": "a", "total": "7", "state": "OPEN", "madeAt": "2024-01-02T03:04:05Z",
            "items": [{"sku": "x", "cents": "5"}], "raw": "+/8=", "weight": 0.1, "counts": {"a": "1"}
        });
        let other = json!({
            "counts": {"a": 1}, "order_id": "a", "total": 7.0, "state": 1, "note": null, "done": false,
            "made_at": "2024-01-02T03:04:05.000Z", "items": [{"cents": 5, "sku": "x"}], "raw": "-_8",
            "weight": 0.100_000_001
        });
        let [one, other] = [one, other].map(|value| fields(&value, Some(&message)));
        assert_eq!(differences(&one, &other, &BTreeSet::new()), []);
    }

    #[test]
    fn what_differs_has_its_place() {
        let a = fields(
            &json!({"items": [{"sku": "x"}, {"sku": "y"}], "id": 1}),
            None,
        );
        let b = fields(
            &json!({"items": [{"sku": "x"}, {"sku": "z"}, {}], "id": 2}),
            None,
        );
        let found = differences(&a, &b, &BTreeSet::from(["id".to_owned()]));
        let places: Vec<&str> = found.iter().map(|one| one.place.as_str()).collect();
        assert_eq!(places, ["items[1].sku", "items[2]"]);
        let ignored = BTreeSet::from([general("$.items[*]"), "id".to_owned()]);
        assert!(differences(&a, &b, &ignored).is_empty());
        assert!(!differences(&a, &b, &BTreeSet::from(["item".to_owned()])).is_empty());
        assert_eq!(
            varying(&a, &b),
            BTreeSet::from(["id", "items", "items.sku"].map(str::to_owned))
        );
    }
}
