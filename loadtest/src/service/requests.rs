//! Requests of one variant: a row becomes the bytes that are sent.

use bytes::Bytes;
use engine::{Expect, PreparedRequest};
use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor};
use serde_json::Value;

use super::{
    contract::RuleBody,
    headers::Header,
    rows::{Row, typed},
    template::{Sequence, Template, Unique, encoded, has_unique, is_unique},
};
use crate::record::Protocol;

/// The media type of messages over HTTP.
const PROTOBUF: &str = "application/protobuf";

/// A call that a row fills.
#[derive(Clone, Debug)]
pub struct Call {
    /// The protocol.
    pub protocol: Protocol,
    /// The message that a row is, and the one that answers it; none where no contract is known.
    pub messages: Option<(MessageDescriptor, MessageDescriptor)>,
    /// The form of the requests.
    pub form: Form,
    /// Headers of every request.
    pub headers: Vec<Header>,
}

/// The form of the requests.
#[derive(Clone, Debug)]
pub enum Form {
    /// A gRPC method.
    Grpc(MethodDescriptor),
    /// A request of HTTP.
    Http {
        /// The method.
        method: String,
        /// The path and query.
        path: Template,
        /// The part of what the path leaves that is the body.
        body: RuleBody,
        /// The field of the reply message that the reply is, if it is not the whole.
        response_body: Option<String>,
    },
}

impl Call {
    /// The request of `row`.
    ///
    /// # Errors
    /// The fault of the row, as the rest of a sentence that begins with its line.
    pub fn request(&self, row: &Row, unique: Option<&Unique>) -> Result<PreparedRequest, String> {
        let input = self.messages.as_ref().map(|(input, _)| input);
        // Cells have no types of their own.
        let mut value = match row.text {
            Some(_) => row.value.clone(),
            None => typed(&row.value, input),
        };
        if let Some(unique) = unique {
            unique.fill_value(&mut value);
            if let Some(input) = input {
                value = with_numbers(value, input);
            }
        }
        let (method, path, body, media) = match &self.form {
            Form::Grpc(method) => {
                let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
                let body = message(&value, &method.input())?;
                ("POST", path, body, None)
            }
            Form::Http {
                method, path, body, ..
            } => {
                let (path, body, media) = self.http(method, path, body, row, value)?;
                (method.as_str(), path, body, media)
            }
        };
        let fill = |text: &str| match unique {
            Some(unique) => unique.fill(text),
            None => text.to_owned(),
        };
        let mut headers: Vec<Header> = self
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), fill(value)))
            .collect();
        if let Some(media) = media {
            let mut names = vec!["content-type"];
            if media == PROTOBUF {
                // A service that takes both answers with JSON else.
                names.push("accept");
            }
            for name in names {
                if !headers.iter().any(|(known, _)| known == name) {
                    headers.push((name.to_owned(), media.to_owned()));
                }
            }
        }
        Ok(PreparedRequest {
            method: method.to_owned(),
            path: fill(&path),
            headers,
            body,
            expect: match self.protocol {
                Protocol::JsonHttp1 | Protocol::JsonHttp2 => Expect::Json,
                _ => Expect::Status,
            },
        })
    }

    /// Path, body and media type of an HTTP request.
    fn http(
        &self,
        method: &str,
        path: &Template,
        body: &RuleBody,
        row: &Row,
        mut value: Value,
    ) -> Result<(String, Bytes, Option<&'static str>), String> {
        let whole = value.clone();
        let mut path = path.fill(&mut value)?;
        let body = match body {
            RuleBody::Rest => Some(value),
            RuleBody::Nothing => {
                path = with_query(path, &value);
                None
            }
            RuleBody::Field(field) => {
                let taken = value
                    .as_object_mut()
                    .and_then(|fields| fields.remove(field));
                path = with_query(path, &value);
                Some(taken.unwrap_or_else(|| Value::Object(serde_json::Map::new())))
            }
        };
        let Some(body) = body else {
            return Ok((path, Bytes::new(), None));
        };
        if ["GET", "HEAD"].contains(&method) || (method == "DELETE" && is_empty(&body)) {
            return match &body {
                Value::Object(fields) if fields.is_empty() => Ok((path, Bytes::new(), None)),
                Value::Object(fields) => {
                    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
                    Err(format!(
                        "has {}, and {method} has no body; give it a place in the path or the query, such as \
                         ?{}={{{}}}, or leave it out of the row",
                        names.join(", "),
                        names[0],
                        names[0]
                    ))
                }
                _ => Ok((path, Bytes::new(), None)),
            };
        }
        if let Protocol::ProtobufHttp1 | Protocol::ProtobufHttp2 = self.protocol {
            let Some((input, _)) = &self.messages else {
                return Err("has no contract to be encoded by".to_owned());
            };
            return Ok((path, message(&body, input)?, Some(PROTOBUF)));
        }
        let is_untouched = body == whole && body == row.value;
        let text = match (&row.text, is_untouched) {
            (Some(text), true) => text.clone(),
            _ => body.to_string(),
        };
        Ok((path, text.into(), Some("application/json")))
    }

    /// Returns true if two calls of one row differ.
    pub fn is_unique(&self) -> bool {
        let of_headers = self.headers.iter().any(|(_, value)| is_unique(value));
        let of_path = match &self.form {
            Form::Http { path, .. } => path.is_unique(),
            Form::Grpc(_) => false,
        };
        of_headers || of_path
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// `path` with the fields of `value` in its query, as google.api.http puts them there.
fn with_query(mut path: String, value: &Value) -> String {
    let mut pairs = Vec::new();
    flatten("", value, &mut pairs);
    for (name, value) in pairs {
        path.push(if path.contains('?') { '&' } else { '?' });
        path += &format!("{}={}", encoded(&name), encoded(&value));
    }
    path
}

fn flatten(name: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Bool(bool) => pairs.push((name.to_owned(), bool.to_string())),
        Value::Number(number) => pairs.push((name.to_owned(), number.to_string())),
        Value::String(text) => pairs.push((name.to_owned(), text.clone())),
        Value::Array(items) => items.iter().for_each(|item| flatten(name, item, pairs)),
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = match name {
                    "" => field.clone(),
                    name => format!("{name}.{field}"),
                };
                flatten(&name, value, pairs);
            }
        }
    }
}

/// The bytes of `value` as a `message`, by the proto3 JSON mapping.
fn message(value: &Value, message: &MessageDescriptor) -> Result<Bytes, String> {
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    match DynamicMessage::deserialize(message.clone(), tracked) {
        Ok(message) => Ok(message.encode_to_vec().into()),
        Err(error) => {
            let path = track.path().to_string();
            let place = match path.as_str() {
                "." | "" | "?" => String::new(),
                path => format!("{path}: "),
            };
            let error = error.to_string();
            let near = unknown_name(&error)
                .and_then(|name| {
                    let names = names_at(message, &path);
                    super::error::nearest(name, names.iter().map(String::as_str)).map(str::to_owned)
                })
                .map_or_else(String::new, |near| format!("; did you mean {near}?"));
            Err(format!(
                "is no {}: {place}{error}{near}",
                message.full_name()
            ))
        }
    }
}

/// The name in an error about a field that is not known.
fn unknown_name(error: &str) -> Option<&str> {
    let rest = error.strip_prefix("unrecognized field name '")?;
    rest.split('\'').next()
}

/// The JSON names of the fields of the innermost message on `path`.
fn names_at(message: &MessageDescriptor, path: &str) -> Vec<String> {
    let mut message = message.clone();
    for part in path.split('.') {
        let name = part.split('[').next().unwrap_or_default();
        let field = super::rows::field(&message, name);
        match field.and_then(|field| field.kind().as_message().cloned()) {
            Some(inner) => message = inner,
            None => break,
        }
    }
    let fields = message.fields();
    fields.map(|field| field.json_name().to_owned()).collect()
}

/// `value` with numbers where `${seq}` was put for a number: JSON tells `"7"` and `7` apart.
fn with_numbers(value: Value, message: &MessageDescriptor) -> Value {
    use prost_reflect::Kind;
    let Value::Object(fields) = value else {
        return value;
    };
    let typed = fields.into_iter().map(|(name, value)| {
        let field = super::rows::field(message, &name);
        let value = match (field.map(|field| field.kind()), value) {
            (Some(Kind::Message(message)), Value::Array(items)) => {
                let items = items.into_iter().map(|item| with_numbers(item, &message));
                Value::Array(items.collect())
            }
            (Some(Kind::Message(message)), value) => with_numbers(value, &message),
            (Some(Kind::String | Kind::Bytes | Kind::Enum(_) | Kind::Bool) | None, value) => value,
            (Some(_), Value::String(text)) => match text.parse::<u64>() {
                Ok(number) => number.into(),
                Err(_) => Value::String(text),
            },
            (Some(_), value) => value,
        };
        (name, value)
    });
    Value::Object(typed.collect())
}

/// Rows, and what makes their calls unique.
#[derive(Debug)]
pub struct Rows {
    /// The rows, at least one.
    pub rows: Vec<Row>,
    /// True if any holds `${seq}` or `${uuid}`.
    pub is_unique: bool,
    /// The numbers that all variants share.
    pub sequence: Sequence,
}

impl Rows {
    /// All of `rows`.
    pub fn new(rows: Vec<Row>) -> Self {
        Self {
            is_unique: rows.iter().any(|row| has_unique(&row.value)),
            rows,
            sequence: Sequence::default(),
        }
    }

    /// The request of row `index` by `call`, whose unique values are new.
    ///
    /// # Errors
    /// The line, and what is wrong with it, as the rest of a sentence.
    pub fn request(&self, call: &Call, index: usize) -> Result<PreparedRequest, String> {
        let row = &self.rows[index % self.rows.len()];
        let unique = (self.is_unique || call.is_unique()).then(|| Unique::next(&self.sequence));
        call.request(row, unique.as_ref())
            .map_err(|what| match row.line {
                0 => format!("--body {what}"),
                line => format!("line {line} {what}"),
            })
    }
}
