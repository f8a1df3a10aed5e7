//! Templates: `{field}` takes its value from a row; `${seq}` and `${uuid}` make calls unique;
//! `${env:NAME}` takes the value of a header from the environment.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

/// Characters that stand for themselves in a path or a query (RFC 3986 §2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The same in a part of a path that may be several segments.
const SEGMENTS: &AsciiSet = &UNRESERVED.remove(b'/');

/// A path and query whose places a row fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field { path: String, is_segments: bool },
}

impl Template {
    /// Reads `text`, such as `/v1/orders/{order.id}?limit={limit}`, or as google.api.http writes it:
    /// `/v1/{name=shops/*}`.
    ///
    /// # Errors
    /// The rest of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            // `${seq}` is filled later.
            let is_placeholder = rest[..start].ends_with('$');
            let Some(length) = rest[start..].find('}') else {
                return Err(format!("has a {{ without a }} in {text:?}"));
            };
            let end = start + length + 1;
            if is_placeholder {
                let placeholder = &rest[start - 1..end];
                if ![SEQ, UUID].contains(&placeholder) {
                    return Err(format!(
                        "has {placeholder} in its path, where {SEQ} and {UUID} alone are filled; a secret belongs into \
                         a header"
                    ));
                }
                parts.push(Part::Text(rest[..end].to_owned()));
            } else {
                let name = &rest[start + 1..end - 1];
                let (path, pattern) = name.split_once('=').unwrap_or((name, ""));
                if path.is_empty() {
                    return Err(format!("has a place without a name in {text:?}"));
                }
                parts.push(Part::Text(rest[..start].to_owned()));
                parts.push(Part::Field {
                    path: path.to_owned(),
                    is_segments: pattern.contains(['/', '*']) && pattern != "*",
                });
            }
            rest = &rest[end..];
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self { parts })
    }

    /// The path with the values of `row`, and `row` without them.
    ///
    /// # Errors
    /// The field that is missing, or is no single value, as the rest of a sentence.
    pub fn fill(&self, row: &mut Value) -> Result<String, String> {
        let mut filled = String::new();
        let mut used: Vec<&str> = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Field { path, is_segments } => {
                    let value = get(row, path)
                        .ok_or_else(|| format!("has no field {path:?}, which the path takes"))?;
                    let text = match value {
                        Value::String(text) => text.clone(),
                        Value::Number(number) => number.to_string(),
                        Value::Bool(bool) => bool.to_string(),
                        _ => {
                            return Err(format!(
                                "has no single value in {path:?}, which the path takes"
                            ));
                        }
                    };
                    if text.is_empty() {
                        return Err(format!("has an empty {path:?}, which the path takes"));
                    }
                    let set = if *is_segments { SEGMENTS } else { UNRESERVED };
                    filled.extend(utf8_percent_encode(&text, set));
                    used.push(path);
                }
            }
        }
        for path in used {
            remove(row, path);
        }
        Ok(filled)
    }

    /// Returns true if it has places.
    pub fn has_fields(&self) -> bool {
        let mut parts = self.parts.iter();
        parts.any(|part| matches!(part, Part::Field { .. }))
    }

    /// Returns true if its text differs from call to call.
    pub fn is_unique(&self) -> bool {
        let mut parts = self.parts.iter();
        parts.any(|part| matches!(part, Part::Text(text) if is_unique(text)))
    }
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Field { path, .. } => write!(f, "{{{path}}}"),
        })
    }
}

/// `value` as one percent-encoded word.
pub fn encoded(value: &str) -> String {
    utf8_percent_encode(value, UNRESERVED).to_string()
}

/// The value at the dotted `path`, by either spelling of each name.
fn get<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, name| {
        let fields = value.as_object()?;
        fields.get(&spelled(fields, name)?)
    })
}

/// Removes the value at the dotted `path`, if it is there still.
fn remove(value: &mut Value, path: &str) {
    let Some(fields) = value.as_object_mut() else {
        return;
    };
    let (first, rest) = match path.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    let Some(name) = spelled(fields, first) else {
        return;
    };
    match rest {
        None => {
            fields.remove(&name);
        }
        Some(rest) => {
            if let Some(inner) = fields.get_mut(&name) {
                remove(inner, rest);
                if inner.as_object().is_some_and(Map::is_empty) {
                    fields.remove(&name);
                }
            }
        }
    }
}

/// The name of a field in `fields`: as given, or in the other spelling (`order_id`, `orderId`).
fn spelled(fields: &Map<String, Value>, name: &str) -> Option<String> {
    if fields.contains_key(name) {
        return Some(name.to_owned());
    }
    let camel = camel(name);
    fields.keys().find(|key| self::camel(key) == camel).cloned()
}

/// `order_id` → `orderId`.
fn camel(name: &str) -> String {
    let mut camel = String::new();
    let mut is_upper = false;
    for c in name.chars() {
        match c {
            '_' => is_upper = true,
            c if std::mem::take(&mut is_upper) => camel.extend(c.to_uppercase()),
            c => camel.push(c),
        }
    }
    camel
}

/// Numbers for `${seq}`: one for each request, whoever sends it.
#[derive(Debug)]
pub struct Sequence(AtomicU64);

impl Default for Sequence {
    fn default() -> Self {
        Self(AtomicU64::new(1))
    }
}

impl Sequence {
    /// The next one.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Relaxed)
    }
}

/// A number of a sequence and an id, for one request.
pub struct Unique {
    seq: String,
    uuid: String,
}

impl Unique {
    /// The next one of `sequence`.
    pub fn next(sequence: &Sequence) -> Self {
        Self {
            seq: sequence.next().to_string(),
            uuid: uuid(),
        }
    }

    /// `text` with its places filled.
    pub fn fill(&self, text: &str) -> String {
        text.replace(SEQ, &self.seq).replace(UUID, &self.uuid)
    }

    /// `value` with those of its strings filled.
    pub fn fill_value(&self, value: &mut Value) {
        match value {
            Value::String(text) if is_unique(text) => *text = self.fill(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.fill_value(item)),
            Value::Object(fields) => fields.values_mut().for_each(|value| self.fill_value(value)),
            _ => {}
        }
    }
}

const SEQ: &str = "${seq}";
const UUID: &str = "${uuid}";

/// Returns true if `text` differs from call to call.
pub fn is_unique(text: &str) -> bool {
    text.contains(SEQ) || text.contains(UUID)
}

/// Returns true if a string inside of `value` does.
pub fn has_unique(value: &Value) -> bool {
    match value {
        Value::String(text) => is_unique(text),
        Value::Array(items) => items.iter().any(has_unique),
        Value::Object(fields) => fields.values().any(has_unique),
        _ => false,
    }
}

/// A random id, version 4 (RFC 9562 §5.4). It need not be secret.
fn uuid() -> String {
    let bits = fastrand::u128(..);
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// `text` with `${env:NAME}` taken from the environment.
///
/// # Errors
/// The name that is not set, as the rest of a sentence.
pub fn from_environment(text: &str) -> Result<String, String> {
    const OPEN: &str = "${env:";
    let mut filled = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(OPEN) {
        let Some(length) = rest[start..].find('}') else {
            return Err("has a ${env: without a }".to_owned());
        };
        let name = &rest[start + OPEN.len()..start + length];
        let value = std::env::var(name).map_err(|_| {
            format!("takes {name} from the environment, where it is not set; export it")
        })?;
        filled += &rest[..start];
        filled += value.trim_end_matches(['\r', '\n']);
        rest = &rest[start + length + 1..];
    }
    Ok(filled + rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_takes_its_values_from_the_row_and_leaves_the_rest() {
        let template =
            Template::parse("/v1/shops/{shop.id}/orders/{orderId}?note={note}&x=1").unwrap();
        let mut row = json!({"shop": {"id": 7}, "order_id": "a/b ü", "note": "x&y", "items": []});
        let path = template.fill(&mut row).unwrap();
        assert_eq!(path, "/v1/shops/7/orders/a%2Fb%20%C3%BC?note=x%26y&x=1");
        assert_eq!(row, json!({"items": []}));
    }

    #[test]
    fn google_api_http_may_take_several_segments() {
        let template = Template::parse("/v1/{name=shops/*}:close").unwrap();
        let path = template.fill(&mut json!({"name": "shops/a b"})).unwrap();
        assert_eq!(path, "/v1/shops/a%20b:close");
    }

    #[test]
    fn what_is_missing_is_named() {
        let template = Template::parse("/{id}").unwrap();
        for row in [
            json!({}),
            json!({"id": null}),
            json!({"id": []}),
            json!({"id": ""}),
        ] {
            let error = template.fill(&mut row.clone()).unwrap_err();
            assert!(error.contains("\"id\""), "{row}: {error}");
        }
        assert!(Template::parse("/{id").is_err());
        assert!(Template::parse("/{}").is_err());
    }

    #[test]
    fn unique_values_differ() {
        let sequence = Sequence::default();
        let fill = || Unique::next(&sequence).fill("a-${seq}-${uuid}");
        let (first, second) = (fill(), fill());
        assert!(first.starts_with("a-1-") && second.starts_with("a-2-"));
        assert_eq!(first.len(), "a-1-".len() + 36);
        assert_eq!(&first["a-1-".len() + 14..][..1], "4");
        assert!(has_unique(&json!({"a": [{"b": "${uuid}"}]})));
    }
}
