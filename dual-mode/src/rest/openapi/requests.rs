//! Requests in the OpenAPI document.

use prost::Message;
use proto::rest_grpc_dual_mode::{BatchRequestMessage, RequestMessage};
use serde_json::{Map, Value, json};

use super::schemas;

/// A request id, as an example.
pub(super) const REQUEST_ID: &str = "b7ad6b7169203331";

/// A body, in every form.
pub(super) struct Body {
    /// The schema of its JSON.
    schema: &'static str,
    /// The message that its protobuf is.
    message: &'static str,
    /// Examples, as JSON: a name, and what it is.
    pub(super) examples: &'static [(&'static str, &'static str, &'static str)],
    /// The protobuf of the first example.
    protobuf: fn() -> Vec<u8>,
}

pub(super) const ONE: Body = Body {
    schema: "Request",
    message: "rest_grpc_dual_mode.RequestMessage",
    examples: &[
        (
            "1-number",
            "The year as a number",
            r#"{"dataCommType":"REST","messageType":"Holi","year":2021}"#,
        ),
        (
            "2-text",
            "The year as a text, and no word for the log",
            r#"{"messageType":"Diwali","year":"2023"}"#,
        ),
    ],
    protobuf: || holi().encode_to_vec(),
};

pub(super) const BATCH: Body = Body {
    schema: "BatchRequest",
    message: "rest_grpc_dual_mode.BatchRequestMessage",
    examples: &[(
        "two",
        "Two greetings",
        r#"{"requests":[{"dataCommType":"REST","messageType":"Holi","year":2021},{"messageType":"Diwali","year":2023}]}"#,
    )],
    protobuf: || {
        let diwali = RequestMessage {
            message_type: "Diwali".to_owned(),
            year: 2023,
            ..RequestMessage::default()
        };
        let requests = vec![holi(), diwali];
        BatchRequestMessage { requests }.encode_to_vec()
    },
};

fn holi() -> RequestMessage {
    RequestMessage {
        data_comm_type: "REST".to_owned(),
        message_type: "Holi".to_owned(),
        year: 2021,
    }
}

/// The request body of an operation.
pub(super) fn body(body: &Body) -> Value {
    let examples: Map<_, _> = body
        .examples
        .iter()
        .map(|(name, summary, json)| {
            let value: Value = serde_json::from_str(json).expect("it is written above");
            (
                (*name).to_owned(),
                json!({ "summary": summary, "value": value }),
            )
        })
        .collect();
    let (name, summary, _) = body.examples[0];
    json!({
        "required": true,
        "description": "A body without a content type, or with the one that curl sends by default \
            (`application/x-www-form-urlencoded`), is read as JSON. `application/x-protobuf` is \
            taken for `application/protobuf`.",
        "content": {
            "application/json": { "schema": schemas::reference(body.schema), "examples": examples },
            "application/protobuf": protobuf(body.schema, body.message, name, summary, &(body.protobuf)()),
        },
    })
}

/// Protobuf, whose bytes JSON cannot hold: the schema of what they stand for in the proto3 JSON
/// mapping, the message, and an example in hexadecimal.
pub(super) fn protobuf(
    schema: &str,
    message: &str,
    name: &str,
    summary: &str,
    bytes: &[u8],
) -> Value {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "schema": schemas::reference(schema),
        "x-message": message,
        "examples": { name: { "summary": summary, "x-hex": hex } },
    })
}

/// The parameters of an operation, with the fields of a request where they stand in the query.
pub(super) fn parameters(in_query: bool) -> Value {
    let field = |name, required, schema, description, example| {
        json!({
            "name": name, "in": "query", "required": required, "schema": schema,
            "description": description, "example": example,
        })
    };
    let header = |name, schema, description, example| {
        json!({
            "name": name, "in": "header", "required": false, "schema": schema,
            "description": description, "example": example,
        })
    };
    let mut parameters = vec![];
    if in_query {
        parameters = vec![
            field(
                "messageType",
                true,
                schemas::message_type(),
                schemas::MESSAGE_TYPE,
                json!("Holi"),
            ),
            field("year", true, schemas::year(), schemas::YEAR, json!(2021)),
            field(
                "dataCommType",
                false,
                schemas::data_comm_type(),
                schemas::DATA_COMM_TYPE,
                json!("REST"),
            ),
        ];
    }
    parameters.push(header(
        "x-request-id",
        json!({ "type": "string" }),
        "Names the call in the server's log and in the answer, if it is at most 128 visible ASCII \
            characters. The server makes one where it is not.",
        REQUEST_ID,
    ));
    parameters.push(header(
        "grpc-timeout",
        json!({ "type": "string", "pattern": "^[0-9]{1,8}[HMSmun]$" }),
        "How long the caller waits, as gRPC writes it: hours, minutes, seconds, milli-, micro- or \
            nanoseconds. What takes longer is stopped.",
        "5S",
    ));
    Value::from(parameters)
}
