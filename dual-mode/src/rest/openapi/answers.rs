//! Answers in the OpenAPI document. Those of the business are the answers to the examples of
//! requests; the problems are made from the fault table, as REST renders it.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use serving::{CallContext, limits::Limits, refusal::Refusal};

use super::{
    requests::{BATCH, Body, ONE, REQUEST_ID, protobuf},
    schemas::reference,
};
use crate::{
    faults::Fault,
    greetings,
    rest::{
        calls::{self, Call},
        media::Form,
        problem::render,
    },
};

/// The example requests and the schemas from which the answers of an operation are documented.
pub(super) struct Examples {
    body: &'static Body,
    schema: &'static str,
    message: &'static str,
    /// Bodies that are refused.
    refused: &'static [&'static str],
}

pub(super) fn one_examples() -> Examples {
    Examples {
        body: &ONE,
        schema: "Answer",
        message: "rest_grpc_dual_mode.ResponseMessage",
        refused: &[
            r#"{"messageType":" ","year":0}"#,
            r#"{"messageType":"Holi","yeer":2021}"#,
            r#"{"messageType":"Holi""#,
        ],
    }
}

pub(super) fn batch_examples() -> Examples {
    Examples {
        body: &BATCH,
        schema: "BatchAnswer",
        message: "rest_grpc_dual_mode.BatchResponseMessage",
        refused: &[
            r#"{"requests":[]}"#,
            r#"{"requests":[{"messageType":"Holi","year":2021},{"messageType":"Diwali"}]}"#,
        ],
    }
}

/// The responses of an operation that answers as `call` does.
pub(super) fn responses(examples: &Examples, call: Call, has_body: bool) -> Value {
    let mut responses = problems(faults(examples, call, has_body));
    responses["200"] = success(examples, call);
    responses
}

/// The responses of a probe, whose 200 is `described` so.
pub(super) fn health(described: &str) -> Value {
    let health =
        |status: &str| json!({ "schema": reference("Health"), "example": { "status": status } });
    let mut responses = problems(surrounding());
    responses["200"] = json!({
        "description": described, "headers": headers(),
        "content": { "application/json": health("SERVING") },
    });
    responses["503"]["content"]["application/json"] = health("NOT_SERVING");
    // Whether a retry helps is what a probe asks.
    responses["503"]["headers"]["retry-after"]["required"] = false.into();
    responses
}

/// The responses that stand for `faults`, by status.
fn problems(faults: impl IntoIterator<Item = Fault>) -> Value {
    let mut by_status = BTreeMap::<_, Vec<Fault>>::new();
    for fault in faults {
        by_status
            .entry(fault.row().status.as_u16())
            .or_default()
            .push(fault);
    }
    let mut responses: Map<_, _> = by_status
        .iter()
        .map(|(status, faults)| (status.to_string(), response(faults)))
        .collect();
    let head = "The head is longer than the server takes, or has more headers. The HTTP library says so \
                before there is a request: this answer has no body and no `x-request-id`.";
    responses.insert("431".to_owned(), json!({ "description": head }));
    Value::from(responses)
}

/// The problems that any path may answer with, whether something is served there or not.
pub(super) fn anywhere() -> Value {
    let responses = elsewhere().map(|fault| (fault.row().reason.to_owned(), response(&[fault])));
    Value::from(Map::from_iter(responses))
}

/// Every reason that a problem can have.
pub(super) fn reasons() -> BTreeSet<&'static str> {
    let faults = faults(&one_examples(), calls::one, true);
    let faults = faults.into_iter().chain(elsewhere());
    faults.map(|fault| fault.row().reason).collect()
}

/// Returns the service's own answer to an example. It is not a real call, so it is not logged.
fn ask(call: Call, json: &'static str, form: Form) -> Result<Bytes, Fault> {
    let silent = tracing::subscriber::NoSubscriber::new();
    tracing::subscriber::with_default(silent, || call(Form::Json, Bytes::from(json), form))
}

fn success(examples: &Examples, call: Call) -> Value {
    let answer = |json, form| {
        let answer = ask(call, json, form);
        answer.unwrap_or_else(|fault| {
            panic!("{json} is an example of the OpenAPI document, and is refused: {fault}; change it in requests.rs")
        })
    };
    let in_json: Map<_, _> = examples
        .body
        .examples
        .iter()
        .map(|(name, summary, body)| {
            let value = from_json(&answer(body, Form::Json));
            (
                (*name).to_owned(),
                json!({ "summary": summary, "value": value }),
            )
        })
        .collect();
    let (name, summary, body) = examples.body.examples[0];
    let in_protobuf = answer(body, Form::Protobuf);
    json!({
        "description": "The request was greeted.",
        "headers": headers(),
        "content": {
            "application/json": { "schema": reference(examples.schema), "examples": in_json },
            "application/protobuf": protobuf(examples.schema, examples.message, name, summary, &in_protobuf),
        },
    })
}

/// The faults of an operation.
fn faults(examples: &Examples, call: Call, has_body: bool) -> Vec<Fault> {
    let refused = examples.refused.iter().map(|json| match ask(call, json, Form::Json) {
        Err(fault) => fault,
        Ok(_) => panic!(
            "{json} is to show a problem in the OpenAPI document, and is answered; change it in answers.rs"
        ),
    });
    let mut faults: Vec<_> = refused.collect();
    if has_body {
        let limit = Limits::default().message;
        let html = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/html"))]);
        let form = Form::of_request(&html).expect_err("it is not read");
        faults.extend([
            Fault::Incomplete,
            Fault::TooLarge { limit },
            form,
            Fault::ForeignOrigin,
        ]);
    }
    faults.extend(surrounding());
    faults
}

/// The faults of any call, which the server around the service finds. A server that goes away lets
/// calls finish: only a stream of gRPC is told.
fn surrounding() -> [Fault; 6] {
    [
        Refusal::MalformedDeadline.into(),
        Fault::UriTooLong,
        Fault::UnknownHost,
        Fault::Internal,
        Fault::Overloaded,
        Fault::DeadlinePassed,
    ]
}

/// The faults of a call that meets no operation, or of which a server with authorisation does not let come so
/// far.
fn elsewhere() -> [Fault; 4] {
    let allow = "POST, OPTIONS";
    [
        Fault::UnknownPath,
        Fault::MethodNotAllowed { allow },
        Fault::Unauthenticated,
        Fault::NotAllowed,
    ]
}

/// The meaning of a fault, in a few words. A new fault has to be listed in one of the functions
/// above.
fn meaning(fault: &Fault) -> &'static str {
    match fault {
        Fault::Business(greetings::Fault::InvalidArgument { .. }) => "Fields break rules",
        Fault::Malformed(_) => "The request cannot be read",
        Fault::UnknownPath | Fault::UnknownMethod => "Nothing is served at this path",
        Fault::MethodNotAllowed { .. } => "The path takes other methods",
        Fault::UnsupportedMediaType { .. } => "The body is in a form that is not read",
        Fault::TooLarge { .. } => "The body is longer than the server takes",
        Fault::UriTooLong => "The path and the query are longer than the server takes",
        Fault::UnknownHost => "The server does not answer to this host",
        Fault::ForeignOrigin => "A page of another origin asks, and CORS does not name it",
        Fault::Unauthenticated => "The server asks for a token, and knows none that came",
        Fault::NotAllowed => "The caller is known, and may not do this",
        Fault::Incomplete => "The rest of the body did not come",
        Fault::NotOneMessage { .. } | Fault::CompressedWithoutEncoding => {
            "The messages are not those of one call over gRPC"
        }
        Fault::Unavailable => "What the server needs is away",
        Fault::DeadlinePassed => "The deadline passed",
        Fault::Overloaded => "The server has as much work as it takes",
        Fault::Draining => "The server is going away",
        Fault::Internal => "The server is at fault, and its log knows why",
    }
}

/// The response that stands for `faults`, which have one status.
fn response(faults: &[Fault]) -> Value {
    let mut meanings: Vec<_> = faults.iter().map(meaning).collect();
    meanings.dedup();
    let mut examples = Map::new();
    let mut headers = headers();
    for (number, fault) in (1..).zip(faults) {
        let answer = render(fault, &CallContext::default());
        for (name, description) in HEADERS {
            let Some(value) = answer.headers().get(name) else {
                continue;
            };
            let example = value.to_str().expect("the adapter writes ASCII");
            let header = json!({
                "description": description, "required": true,
                "schema": { "type": "string" }, "example": example,
            });
            headers.insert(name.to_owned(), header);
        }
        let mut value = from_json(answer.body());
        value["requestId"] = REQUEST_ID.into();
        let name = format!("{number}-{}", fault.row().reason);
        examples.insert(name, json!({ "summary": meaning(fault), "value": value }));
    }
    json!({
        "description": format!("{}.", meanings.join(". ")),
        "headers": headers,
        "content": {
            "application/problem+json": { "schema": reference("Problem"), "examples": examples },
        },
    })
}

/// The headers that problems bring.
const HEADERS: [(&str, &str); 3] = [
    ("allow", "The methods that the path takes."),
    ("accept", "The forms that are read."),
    ("retry-after", "The seconds after which a retry may help."),
];

/// The headers of every answer, which the server around the service sets.
fn headers() -> Map<String, Value> {
    let header = json!({
        "description": "The call's own `x-request-id`, or one that the server made.",
        "required": true, "example": REQUEST_ID,
        "schema": { "type": "string", "pattern": "^[!-~]{1,128}$" },
    });
    Map::from_iter([("x-request-id".to_owned(), header)])
}

fn from_json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("the adapter writes JSON")
}
