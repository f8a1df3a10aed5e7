//! The OpenAPI 3.1 document. Its limits are the business's constants, its problems are the rows of
//! the fault table as REST writes them, and its examples are calls that were made to write it, so
//! that there is little in it that could stop being true; `tests/openapi/` holds the rest against
//! the server.

mod answers;
mod requests;
mod schemas;

use serde_json::{Value, json};

use super::calls;
use answers::{batch_examples, one_examples, responses};
use requests::{BATCH, ONE, body, parameters};

/// The document, as it is served.
pub(super) fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "dual-mode",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "One business, over REST and over gRPC.",
            "description": DESCRIPTION,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The REST listener that serves this document." }],
        "tags": [
            { "name": "greetings", "description": "The business." },
            { "name": "probes", "description": "What orchestrators ask." },
        ],
        "paths": {
            "/v1/get_greetings": {
                "get": {
                    "operationId": "getGreetingByQuery", "tags": ["greetings"],
                    "summary": "A greeting, asked for by a query.",
                    "description": "A parameter that is unknown or comes twice is refused. `HEAD` \
                        answers the same without the body.",
                    "parameters": parameters(true),
                    "responses": responses(&one_examples(), calls::one, false),
                },
                "post": {
                    "operationId": "getGreeting", "tags": ["greetings"],
                    "summary": "A greeting, asked for by a body.",
                    "parameters": parameters(false),
                    "requestBody": body(&ONE),
                    "responses": responses(&one_examples(), calls::one, true),
                },
            },
            "/v1/get_greetings:batch": {
                "post": {
                    "operationId": "getGreetingsBatch", "tags": ["greetings"],
                    "summary": "Many greetings in one call, all or nothing.",
                    "description": "A request that breaks a rule refuses the whole batch, and each \
                        violation is named by its place and its field.",
                    "parameters": parameters(false),
                    "requestBody": body(&BATCH),
                    "responses": responses(&batch_examples(), calls::batch, true),
                },
            },
            "/healthz": { "get": {
                "operationId": "isAlive", "tags": ["probes"],
                "summary": "Whether the process lives.",
                "parameters": parameters(false),
                "responses": answers::health("The process lives."),
            } },
            "/readyz": { "get": {
                "operationId": "isReady", "tags": ["probes"],
                "summary": "Whether to send it calls.",
                "description": "`grpc.health.v1` says the same over gRPC.",
                "parameters": parameters(false),
                "responses": answers::health("The server takes calls."),
            } },
        },
        "components": {
            "schemas": schemas::schemas(),
            "responses": answers::anywhere(),
        },
    })
}

const DESCRIPTION: &str = "The same calls, with the same rules and the same faults, are served over \
    gRPC: `rest_grpc_dual_mode.GreetingsGenerator`. JSON-RPC 2.0 at `/rpc`, which describes itself in \
    other ways, is not part of this document.

JSON follows the proto3 JSON mapping: a whole number may be written as a text, `null` stands for the \
    default, and a field that is unknown or comes twice is refused.

An answer has the form that `Accept` values most, and that of the request where it says nothing. \
    `OPTIONS` names the methods of a path.

Every fault is a problem of RFC 9457, `application/problem+json`, with a `reason` for programs \
    and the `x-request-id` by which the server's log knows the call. Over gRPC the same reason comes as \
    `google.rpc.ErrorInfo`. Only what never becomes a request is answered by the HTTP library itself, \
    without a body: 400 to a head that is not HTTP, and 431 to one that is too large.

A server with `--auth-tokens` asks for a bearer token (RFC 6750) everywhere but at the probes. It answers \
    401 with `WWW-Authenticate` without one.";
