//! The schemas of what goes over the wire as JSON.

use serde_json::{Value, json};

use super::answers;
use crate::{
    faults::DOMAIN,
    greetings::{
        LARGEST_BATCH, LONGEST_DATA_COMM_TYPE, LONGEST_MESSAGE_TYPE, MOST_VIOLATIONS, YEARS,
    },
};

pub(super) const MESSAGE_TYPE: &str =
    "The occasion. It is not blank, and has no control characters.";
pub(super) const YEAR: &str = "The year of the occasion.";
pub(super) const DATA_COMM_TYPE: &str =
    "How the caller reached the service. It is only for the server's log.";

/// A reference to the schema `name`.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

pub(super) fn message_type() -> Value {
    // Control characters are Unicode's Cc, blanks its White_Space: what `char::is_control` and
    // `str::trim` go by, spelled out because regular expressions disagree about `\s`.
    const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";
    const BLANK: &str = r"\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": LONGEST_MESSAGE_TYPE,
        "pattern": format!("^[^{CONTROL}]*[^{CONTROL}{BLANK}][^{CONTROL}]*$"),
    })
}

pub(super) fn year() -> Value {
    json!({ "type": "integer", "minimum": YEARS.start(), "maximum": YEARS.end() })
}

pub(super) fn data_comm_type() -> Value {
    json!({ "type": "string", "maxLength": LONGEST_DATA_COMM_TYPE })
}

/// `schema`, described.
fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = description.into();
    schema
}

pub(super) fn schemas() -> Value {
    let year_as_text = json!({ "type": "string", "pattern": "^[1-9][0-9]{0,3}$" });
    let mut comm = described(data_comm_type(), DATA_COMM_TYPE);
    comm["type"] = json!(["string", "null"]);
    json!({
        "Request": {
            "type": "object",
            "description": "The occasion to greet.",
            "properties": {
                "messageType": described(message_type(), MESSAGE_TYPE),
                "year": described(json!({ "anyOf": [year(), year_as_text] }), YEAR),
                "dataCommType": comm,
            },
            "required": ["messageType", "year"],
            "additionalProperties": false,
        },
        "Answer": {
            "type": "object",
            "description": "The greeting.",
            "properties": {
                "greetings": { "type": "string", "description": "The text of the greeting." },
                "messageReceived": {
                    "const": true, "description": "Says that the request was received.",
                },
            },
            "required": ["greetings", "messageReceived"],
        },
        "BatchRequest": {
            "type": "object",
            "description": "The occasions to greet.",
            "properties": {
                "requests": {
                    "type": "array", "items": reference("Request"),
                    "minItems": 1, "maxItems": LARGEST_BATCH,
                    "description": "What is asked for.",
                },
            },
            "required": ["requests"],
            "additionalProperties": false,
        },
        "BatchAnswer": {
            "type": "object",
            "description": "Their greetings.",
            "properties": {
                "responses": {
                    "type": "array", "items": reference("Answer"),
                    "minItems": 1, "maxItems": LARGEST_BATCH,
                    "description": "One for each request, in the order of the requests.",
                },
            },
            "required": ["responses"],
        },
        "Health": {
            "type": "object",
            "description": "The state of the server, as `grpc.health.v1` names it.",
            "properties": {
                "status": {
                    "type": "string", "enum": ["SERVING", "NOT_SERVING"],
                    "description": "The state.",
                },
            },
            "required": ["status"],
        },
        "Problem": {
            "type": "object",
            "description": "What is wrong with a call (RFC 9457).",
            "properties": {
                "title": { "type": "string", "description": "The phrase of the status." },
                "status": {
                    "type": "integer", "minimum": 400, "maximum": 599,
                    "description": "The status of the answer.",
                },
                "detail": { "type": "string", "description": "What happened, for people." },
                "reason": {
                    "type": "string", "enum": answers::reasons(),
                    "description": "What happened, for programs.",
                },
                "domain": { "const": DOMAIN, "description": "Whose reasons these are." },
                "violations": {
                    "type": "array", "items": reference("Violation"),
                    "minItems": 1, "maxItems": MOST_VIOLATIONS,
                    "description": "The fields that are wrong, where it is fields.",
                },
                "requestId": {
                    "type": "string",
                    "description": "The `x-request-id` of the call, by which the server's log knows it.",
                },
            },
            "required": ["title", "status", "detail", "reason", "domain"],
        },
        "Violation": {
            "type": "object",
            "description": "A field that is wrong.",
            "properties": {
                "field": {
                    "type": "string",
                    "description": "Its name, in a batch with its place: `requests[2].year`.",
                },
                "description": { "type": "string", "description": "The rule that it breaks." },
            },
            "required": ["field", "description"],
        },
    })
}
