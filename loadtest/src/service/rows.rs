//! The rows of a data file: JSON lines or CSV, each an object with the line that it stands on.

use std::{fs, path::Path};

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Number, Value};

use super::error::ServiceError;

/// The longest data file that is read: of longer ones a few rows show the same.
const LONGEST_FILE: u64 = 512 * 1024 * 1024;

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The line it begins on, from 1; 0 if it was given by `--body`.
    pub line: usize,
    /// Its text, if it is JSON: a body that nothing is taken from is sent as it stands.
    pub text: Option<String>,
    /// Its fields.
    pub value: Value,
}

/// The rows of the file at `path`.
///
/// # Errors
/// When it cannot be read, holds no rows, or a row that is no object: with the line.
pub fn read(path: &Path) -> Result<Vec<Row>, ServiceError> {
    let name = path.display();
    let failed = |error: std::io::Error| {
        ServiceError::input(format!("--data {name} cannot be read: {error}"))
    };
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > LONGEST_FILE {
        return Err(ServiceError::input(format!(
            "--data {name} has {length} bytes, more than the {LONGEST_FILE} that are read; take a part of \
             it, such as by: shuf -n 1000 {name}"
        )));
    }
    let bytes = fs::read(path).map_err(failed)?;
    let text = text_of(&bytes)
        .map_err(|what| ServiceError::input(format!("--data {name} {what}; save it as UTF-8")))?;
    let is_csv = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let rows = match is_csv {
        true => csv_rows(text),
        false => json_rows(text),
    };
    let rows = rows.map_err(|what| ServiceError::input(format!("--data {name}, {what}")))?;
    if rows.is_empty() {
        let what = match is_csv {
            true => "rows after a line of names",
            false => "JSON objects, one a line",
        };
        return Err(ServiceError::input(format!(
            "--data {name} is empty; it needs {what}"
        )));
    }
    Ok(rows)
}

/// The row that `--body` gives.
///
/// # Errors
/// When it is no JSON object.
pub fn of_body(text: &str) -> Result<Row, ServiceError> {
    let value = object(text).map_err(|what| {
        ServiceError::input(format!(
            "--body {what}; write it like --body '{{\"id\": 1}}'"
        ))
    })?;
    Ok(Row {
        line: 0,
        text: Some(text.to_owned()),
        value,
    })
}

/// The text of a file. A byte order mark of UTF-8 is dropped.
fn text_of(bytes: &[u8]) -> Result<&str, &'static str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("is UTF-16");
    }
    std::str::from_utf8(bytes).map_err(|_| "is not UTF-8")
}

fn object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err("is not a JSON object".to_owned()),
        Err(error) => Err(format!("is not JSON: {}", without_place(&error))),
    }
}

/// An error of serde_json without its line, which is always the first.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    format!("{text} at column {}", error.column())
}

fn json_rows(text: &str) -> Result<Vec<Row>, String> {
    if text.trim_start().starts_with('[') {
        return Err(
            "line 1 begins an array; it needs JSON objects, one a line, such as by: jq -c '.[]'"
                .to_owned(),
        );
    }
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let value = object(line).map_err(|what| format!("line {} {what}", index + 1))?;
        rows.push(Row {
            line: index + 1,
            text: Some(line.to_owned()),
            value,
        });
    }
    Ok(rows)
}

/// Cells are strings here; [`typed`] gives them the types of a message, or those that they look like.
/// A dot in a name stands for a field of a field.
fn csv_rows(text: &str) -> Result<Vec<Row>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let names = reader.headers().map_err(|error| told(&error))?.clone();
    if let Some(index) = names.iter().position(str::is_empty) {
        let all_are = names.iter().all(str::is_empty);
        return match all_are {
            true => Ok(Vec::new()),
            false => Err(format!("line 1: column {} has no name", index + 1)),
        };
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| told(&error))?;
        let line = record
            .position()
            .map_or(0, |position| position.line() as usize);
        let mut fields = Map::new();
        for (name, cell) in names.iter().zip(&record) {
            // An empty cell is a field that is not there.
            if !cell.is_empty() {
                insert(&mut fields, name, Value::String(cell.to_owned())).map_err(|part| {
                    format!(
                        "line {line}: {part} is a value and has fields; name one of them otherwise"
                    )
                })?;
            }
        }
        rows.push(Row {
            line,
            text: None,
            value: Value::Object(fields),
        });
    }
    Ok(rows)
}

fn told(error: &csv::Error) -> String {
    let line = error.position().map_or(1, |position| position.line());
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("line {line} has {len} cells, and line 1 names {expected_len} columns"),
        _ => format!("line {line}: {error}"),
    }
}

/// Puts `value` at the dotted `path`.
fn insert(fields: &mut Map<String, Value>, path: &str, value: Value) -> Result<(), String> {
    match path.split_once('.') {
        None => {
            fields.insert(path.to_owned(), value);
            Ok(())
        }
        Some((first, rest)) => {
            let inner = fields
                .entry(first)
                .or_insert_with(|| Value::Object(Map::new()));
            match inner {
                Value::Object(inner) => insert(inner, rest, value),
                _ => Err(first.to_owned()),
            }
        }
    }
}

/// The field of `message` that JSON calls `name`: by its JSON name or its own.
pub fn field(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    message
        .get_field_by_json_name(name)
        .or_else(|| message.get_field_by_name(name))
}

/// The object of cells `value` with the types of `message`; without one, those that they look like.
pub fn typed(value: &Value, message: Option<&MessageDescriptor>) -> Value {
    let Value::Object(fields) = value else {
        return value.clone();
    };
    let typed = fields.iter().map(|(name, value)| {
        let of_message = message.map(|message| field(message, name));
        let value = match (value, of_message) {
            (Value::String(cell), Some(Some(field))) => of_field(cell, &field),
            (Value::String(cell), _) => of_looks(cell),
            (Value::Object(_), of_message) => {
                let inner = of_message
                    .flatten()
                    .and_then(|field| field.kind().as_message().cloned());
                self::typed(value, inner.as_ref())
            }
            (value, _) => value.clone(),
        };
        (name.clone(), value)
    });
    Value::Object(typed.collect())
}

fn of_field(cell: &str, field: &FieldDescriptor) -> Value {
    let json = || serde_json::from_str(cell).ok();
    if field.is_list() || field.is_map() {
        return json().unwrap_or_else(|| Value::String(cell.to_owned()));
    }
    let found = match field.kind() {
        Kind::String | Kind::Bytes | Kind::Enum(_) => None,
        Kind::Message(message) => match message.full_name() {
            // Written as strings in JSON.
            "google.protobuf.Timestamp"
            | "google.protobuf.Duration"
            | "google.protobuf.FieldMask"
            | "google.protobuf.StringValue"
            | "google.protobuf.BytesValue" => None,
            _ => json(),
        },
        _ => json().filter(|value: &Value| value.is_number() || value.is_boolean()),
    };
    found.unwrap_or_else(|| Value::String(cell.to_owned()))
}

/// Numbers, booleans, lists and objects as JSON writes them; all else is a string. So is a number with
/// leading zeros, such as a postal code.
fn of_looks(cell: &str) -> Value {
    match serde_json::from_str::<Value>(cell) {
        Ok(Value::Number(number)) if number.to_string() == cell || is_float(&number) => {
            Value::Number(number)
        }
        Ok(value @ (Value::Bool(_) | Value::Array(_) | Value::Object(_))) => value,
        _ => Value::String(cell.to_owned()),
    }
}

fn is_float(number: &Number) -> bool {
    number.is_f64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_lines_keep_their_text_and_their_line() {
        let rows = json_rows("{\"a\": 1.50}\n\n{\"b\":2}\n").unwrap();
        assert_eq!(rows[0].text.as_deref(), Some("{\"a\": 1.50}"));
        assert_eq!((rows[1].line, &rows[1].value), (3, &json!({"b": 2})));
        let error = json_rows("{}\n{\"a\":}").unwrap_err();
        assert!(error.starts_with("line 2 is not JSON"), "{error}");
        assert!(
            json_rows("{}\n7")
                .unwrap_err()
                .contains("line 2 is not a JSON object")
        );
        assert!(json_rows("[\n{}]").unwrap_err().contains("jq -c"));
    }

    #[test]
    fn cells_get_the_types_that_they_look_like() {
        let rows =
            csv_rows("id,customer.name,zip,ok,tags\n7,Ann,00123,true,\"[1,2]\"\n8,,1,,\n").unwrap();
        assert_eq!(
            typed(&rows[0].value, None),
            json!({"id": 7, "customer": {"name": "Ann"}, "zip": "00123", "ok": true, "tags": [1, 2]})
        );
        assert_eq!(typed(&rows[1].value, None), json!({"id": 8, "zip": 1}));
        assert_eq!(rows[1].line, 3);
        let error = csv_rows("a,b\n1\n").unwrap_err();
        assert!(error.contains("line 2 has 1 cells"), "{error}");
    }

    #[test]
    fn a_byte_order_mark_is_dropped_and_utf16_is_named() {
        assert_eq!(text_of(b"\xef\xbb\xbf{}"), Ok("{}"));
        assert_eq!(text_of(b"\xff\xfe{\0"), Err("is UTF-16"));
    }
}
