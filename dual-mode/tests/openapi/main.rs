//! The OpenAPI document against the server that serves it: what it says is answered is what is
//! answered, for every operation and status, and its schemas draw the line where the business does.

use std::{collections::BTreeSet, net::SocketAddr};

use jsonschema::Validator;
use serde_json::{Value, json};

#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "../common/mod.rs"]
mod common;
mod line;
mod provoked;
use common::{Served, http};

const ONE: &str = "/v1/get_greetings";
const BATCH: &str = "/v1/get_greetings:batch";

async fn document(address: SocketAddr) -> Value {
    let answer = http(address, "GET /openapi.json", "", "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    serde_json::from_str(&answer.body).expect("JSON")
}

/// Returns a validator of `schema`, which stands in `document`. If `strict`, it refuses properties
/// that are not named.
fn validator(document: &Value, schema: &Value, strict: bool) -> Validator {
    let mut whole = json!({ "allOf": [schema], "components": document["components"] });
    if strict {
        forbid_more(&mut whole);
    }
    jsonschema::draft202012::new(&whole).expect("a schema")
}

fn forbid_more(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("properties").is_some_and(Value::is_object) {
                members.insert("additionalProperties".to_owned(), false.into());
            }
            members.values_mut().for_each(forbid_more);
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_more),
        _ => {}
    }
}

/// Each operation with its method and path.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().expect("paths").iter();
    let operations = paths.flat_map(|(path, item)| {
        let item = item.as_object().expect("a path item").iter();
        item.map(move |(method, operation)| {
            (format!("{} {path}", method.to_uppercase()), operation)
        })
    });
    operations.collect()
}

/// Asserts that `answer` is as `described`.
#[track_caller]
fn fits(document: &Value, described: &Value, answer: &common::Answer, what: &str) {
    let headers = described["headers"].as_object();
    for (name, header) in headers.into_iter().flatten() {
        assert!(
            answer.header(name).is_some() || header["required"] == false,
            "{what} without {name}: {answer:?}"
        );
    }
    let Some(content) = described["content"].as_object() else {
        assert_eq!(answer.body, "", "{what}");
        return;
    };
    let content_type = answer.header("content-type").expect("a content type");
    let media = content.get(content_type);
    let media = media.unwrap_or_else(|| panic!("{what} is {content_type}: {answer:?}"));
    if content_type.ends_with("json") {
        let body = serde_json::from_str(&answer.body).expect("JSON");
        let fits = validator(document, &media["schema"], true).validate(&body);
        fits.unwrap_or_else(|error| panic!("{what}: {error} in {answer:?}"));
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere_and_every_example_fits_its_schema() {
    let served = Served::start().await;
    let document = document(served.rest).await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut checked = 0;
    visit(&document, &mut |value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference
                .strip_prefix('#')
                .expect("it stays in the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        let Some(schema) = value.get("schema") else {
            return;
        };
        let of_one = value.get("example");
        let of_many = value.get("examples").and_then(Value::as_object);
        let of_many = of_many.into_iter().flat_map(|examples| examples.values());
        for example in of_many
            .filter_map(|example| example.get("value"))
            .chain(of_one)
        {
            let fits = validator(&document, schema, true).validate(example);
            fits.unwrap_or_else(|error| panic!("{example}: {error}"));
            checked += 1;
        }
    });
    assert!(checked > 30, "only {checked} examples");
    let ids = operations(&document);
    let ids: BTreeSet<_> = ids
        .iter()
        .map(|(_, one)| one["operationId"].as_str())
        .collect();
    assert_eq!(
        ids.len(),
        operations(&document).len(),
        "an id is there twice"
    );
    served.stop().await;
}

fn visit(value: &Value, look: &mut impl FnMut(&Value)) {
    look(value);
    match value {
        Value::Object(members) => members.values().for_each(|member| visit(member, look)),
        Value::Array(items) => items.iter().for_each(|item| visit(item, look)),
        _ => {}
    }
}

#[tokio::test]
async fn the_methods_of_a_path_are_the_documented_ones() {
    let served = Served::start().await;
    let document = document(served.rest).await;
    for (path, item) in document["paths"].as_object().expect("paths") {
        let answer = http(served.rest, &format!("OPTIONS {path}"), "", "").await;
        let allow = answer.header("allow").expect("RFC 9110 asks for it");
        let allowed: BTreeSet<_> = allow.split(", ").map(str::to_owned).collect();
        let methods = item.as_object().expect("a path item").keys();
        let mut documented: BTreeSet<_> = methods.map(|method| method.to_uppercase()).collect();
        // What the description says about all paths.
        documented.insert("OPTIONS".to_owned());
        if documented.contains("GET") {
            documented.insert("HEAD".to_owned());
        }
        assert_eq!(allowed, documented, "{path}");
        let refused = http(served.rest, &format!("PATCH {path}"), "", "").await;
        let described = &document["components"]["responses"]["METHOD_NOT_ALLOWED"];
        assert_eq!(refused.status, 405, "{refused:?}");
        fits(&document, described, &refused, "405");
    }
    let nowhere = http(served.rest, "GET /nowhere", "", "").await;
    let described = &document["components"]["responses"]["UNKNOWN_PATH"];
    assert_eq!(nowhere.status, 404, "{nowhere:?}");
    fits(&document, described, &nowhere, "404");
    served.stop().await;
}

/// Each example of a request brings the example of an answer that bears its name.
#[tokio::test]
async fn the_examples_are_what_happens() {
    let served = Served::start().await;
    let document = document(served.rest).await;
    for path in [ONE, BATCH] {
        let operation = &document["paths"][path]["post"];
        let sent = &operation["requestBody"]["content"];
        let got = &operation["responses"]["200"]["content"];
        let examples = sent["application/json"]["examples"].as_object();
        for (name, example) in examples.expect("examples") {
            let body = example["value"].to_string();
            let answer = http(served.rest, &format!("POST {path}"), "", body).await;
            let answer: Value = serde_json::from_str(&answer.body).expect("JSON");
            let expected = &got["application/json"]["examples"][name]["value"];
            assert_eq!(answer, *expected, "{path}, {name}");
        }
        let examples = sent["application/protobuf"]["examples"].as_object();
        for (name, example) in examples.expect("examples") {
            let as_protobuf = "content-type: application/protobuf\r\n";
            let body = bytes(&example["x-hex"]);
            let answer = http(served.rest, &format!("POST {path}"), as_protobuf, body).await;
            let expected = &got["application/protobuf"]["examples"][name]["x-hex"];
            assert_eq!(answer.body.into_bytes(), bytes(expected), "{path}, {name}");
        }
    }
    served.stop().await;
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().expect("hexadecimal").as_bytes();
    let pairs = hex
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal"))
        .collect()
}
