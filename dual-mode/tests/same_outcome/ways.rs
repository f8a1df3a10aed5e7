//! The ways in: each turns the same request into its own bytes, and its own answer into the same
//! outcome.

use std::fmt::Write;

use dual_mode::{faults::Fault, greetings};
use prost::Message;
use proto::rest_grpc_dual_mode::{
    BatchRequestMessage, BatchResponseMessage, RequestMessage, ResponseMessage,
};
use serde_json::{Value, json};
use tonic::Status;
use tonic_types::StatusExt;

use crate::{
    cases::Asked,
    common::wire::{To, Whole, Wire},
};

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Greeted(Vec<String>),
    Refused(Refusal),
}

/// Reason for refusing a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: String,
    pub(crate) detail: String,
    /// Each field that is wrong, with what is wrong with it.
    pub(crate) fields: Vec<(String, String)>,
}

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Core,
    Query,
    Json,
    /// Over HTTP/2, with numbers as texts and defaults left out.
    TersestJson,
    Protobuf,
    /// With an answer in JSON.
    ProtobufToJson,
    Grpc,
    GrpcWeb,
    JsonRpc,
}

const ONE: &str = "/v1/get_greetings";
const SERVICE: &str = "/rest_grpc_dual_mode.GreetingsGenerator";

impl Way {
    /// In the order of the README's columns.
    pub(crate) const AROUND_THE_CORE: [Self; 8] = [
        Self::Query,
        Self::Json,
        Self::TersestJson,
        Self::Protobuf,
        Self::ProtobufToJson,
        Self::Grpc,
        Self::GrpcWeb,
        Self::JsonRpc,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Query => "query",
            Self::Json => "JSON",
            Self::TersestJson => "tersest JSON, HTTP/2",
            Self::Protobuf => "protobuf",
            Self::ProtobufToJson => "protobuf → JSON",
            Self::Grpc => "gRPC",
            Self::GrpcWeb => "gRPC-Web",
            Self::JsonRpc => "JSON-RPC",
        }
    }

    /// Returns true if this way can express `asked`.
    pub(crate) fn can_say(self, asked: &Asked) -> bool {
        self != Self::Query || matches!(asked, Asked::One(_))
    }

    /// Asks, and reads what comes of it.
    pub(crate) async fn ask(self, wire: &mut Wire, asked: &Asked) -> Outcome {
        let batch = matches!(asked, Asked::Batch(_));
        let path = if batch { ":batch" } else { "" };
        let post = format!("POST {ONE}{path}");
        let method = format!(
            "{SERVICE}/GRPCGetGreetings{}",
            if batch { "Batch" } else { "" }
        );
        let protobuf = ("content-type", "application/protobuf");
        match self {
            Self::Core => core(asked),
            Self::Query => {
                let get = format!("GET {ONE}?{}", query(asked));
                from_json(&wire.send(To::Rest1, &get, &[], "").await)
            }
            Self::Json => {
                let body = json_of(asked, false).to_string();
                from_json(&wire.send(To::Rest1, &post, &[], body).await)
            }
            Self::TersestJson => {
                let body = json_of(asked, true).to_string();
                from_json(&wire.send(To::Rest2, &post, &[], body).await)
            }
            Self::Protobuf => {
                let answer = wire
                    .send(To::Rest1, &post, &[protobuf], protobuf_of(asked))
                    .await;
                if answer.status != 200 {
                    return from_json(&answer);
                }
                assert_eq!(answer.header("content-type"), "application/protobuf");
                from_protobuf(&answer.body, batch)
            }
            Self::ProtobufToJson => {
                let headers = [protobuf, ("accept", "application/json")];
                from_json(
                    &wire
                        .send(To::Rest1, &post, &headers, protobuf_of(asked))
                        .await,
                )
            }
            Self::Grpc => from_grpc(&wire.grpc(&method, &[], &protobuf_of(asked)).await, batch),
            Self::GrpcWeb => from_grpc(
                &wire.grpc_web(&method, &[], &protobuf_of(asked)).await,
                batch,
            ),
            Self::JsonRpc => {
                let method = if batch {
                    "get_greetings_batch"
                } else {
                    "get_greetings"
                };
                let call = json!({
                    "jsonrpc": "2.0", "method": method, "params": json_of(asked, false), "id": 7,
                });
                from_json_rpc(
                    &wire
                        .send(To::Rest1, "POST /rpc", &[], call.to_string())
                        .await,
                )
            }
        }
    }
}

fn core(asked: &Asked) -> Outcome {
    let outcome = match asked {
        Asked::One(request) => greetings::greet(request).map(|answer| vec![answer]),
        Asked::Batch(requests) => greetings::greet_batch(requests),
    };
    match outcome {
        Ok(answers) => {
            assert!(answers.iter().all(|answer| answer.message_received));
            Outcome::Greeted(answers.into_iter().map(|answer| answer.greetings).collect())
        }
        Err(fault) => {
            let fault = Fault::from(fault);
            let fields = fault.violations().iter();
            Outcome::Refused(Refusal {
                reason: fault.row().reason.to_owned(),
                detail: fault.to_string(),
                fields: fields
                    .map(|v| (v.field.clone(), v.rule.to_owned()))
                    .collect(),
            })
        }
    }
}

fn query(asked: &Asked) -> String {
    let Asked::One(request) = asked else {
        panic!("a query holds one request");
    };
    let encoded = |text: &str| {
        text.bytes().fold(String::new(), |mut encoded, byte| {
            let _ = write!(encoded, "%{byte:02X}");
            encoded
        })
    };
    format!(
        "dataCommType={}&messageType={}&year={}",
        encoded(&request.data_comm_type),
        encoded(&request.message_type),
        request.year
    )
}

fn json_of(asked: &Asked, tersely: bool) -> Value {
    let one = |request: &greetings::Request| {
        let mut json = json!({
            "dataCommType": request.data_comm_type,
            "messageType": request.message_type,
            "year": request.year,
        });
        if tersely {
            json["year"] = request.year.to_string().into();
            let fields = json.as_object_mut().expect("it is an object");
            fields.retain(|name, value| *value != "" && (name != "year" || *value != "0"));
        }
        json
    };
    match asked {
        Asked::One(request) => one(request),
        Asked::Batch(requests) if tersely && requests.is_empty() => json!({}),
        Asked::Batch(requests) => {
            json!({ "requests": requests.iter().map(one).collect::<Vec<_>>() })
        }
    }
}

fn protobuf_of(asked: &Asked) -> Vec<u8> {
    let one = |request: &greetings::Request| RequestMessage {
        data_comm_type: request.data_comm_type.clone(),
        message_type: request.message_type.clone(),
        year: request.year,
    };
    match asked {
        Asked::One(request) => one(request).encode_to_vec(),
        Asked::Batch(requests) => {
            let requests = requests.iter().map(one).collect();
            BatchRequestMessage { requests }.encode_to_vec()
        }
    }
}

fn from_protobuf(message: &[u8], batch: bool) -> Outcome {
    let answers = if batch {
        BatchResponseMessage::decode(message)
            .expect("a batch")
            .responses
    } else {
        vec![ResponseMessage::decode(message).expect("an answer")]
    };
    assert!(answers.iter().all(|answer| answer.message_received));
    Outcome::Greeted(answers.into_iter().map(|answer| answer.greetings).collect())
}

/// The greetings of an answer in JSON.
fn greeted(json: &Value) -> Outcome {
    let one = |answer: &Value| {
        assert_eq!(answer["messageReceived"], true);
        answer["greetings"].as_str().expect("a text").to_owned()
    };
    Outcome::Greeted(match json.get("responses") {
        Some(answers) => answers
            .as_array()
            .expect("a list")
            .iter()
            .map(one)
            .collect(),
        None => vec![one(json)],
    })
}

/// The refusal of a problem, or of JSON-RPC.
fn refused(detail: &Value, data: &Value) -> Outcome {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let fields = data["violations"].as_array().into_iter().flatten();
    Outcome::Refused(Refusal {
        reason: text(&data["reason"]),
        detail: text(detail),
        fields: fields
            .map(|v| (text(&v["field"]), text(&v["description"])))
            .collect(),
    })
}

fn from_json(answer: &Whole) -> Outcome {
    let json = answer.json();
    if answer.status == 200 {
        assert_eq!(answer.header("content-type"), "application/json");
        return greeted(&json);
    }
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    refused(&json["detail"], &json)
}

fn from_json_rpc(answer: &Whole) -> Outcome {
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    assert_eq!((&json["jsonrpc"], &json["id"]), (&json!("2.0"), &json!(7)));
    match json.get("result") {
        Some(result) => greeted(result),
        None => {
            assert_eq!(json["error"]["code"], -32602, "{json}");
            refused(&json["error"]["message"], &json["error"]["data"])
        }
    }
}

fn from_grpc(answer: &Whole, batch: bool) -> Outcome {
    assert_eq!(answer.status, 200, "{answer:?}");
    let refused = [&answer.trailers, &answer.headers].into_iter();
    let status = refused.filter_map(Status::from_header_map).next();
    let status = status.unwrap_or_else(|| panic!("no status: {answer:?}"));
    if status.code() == tonic::Code::Ok {
        return from_protobuf(&answer.body, batch);
    }
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
    let details = status.get_error_details();
    let fields = details
        .bad_request()
        .map(|bad| bad.field_violations.clone());
    let fields = fields.unwrap_or_default().into_iter();
    Outcome::Refused(Refusal {
        reason: details.error_info().expect("always").reason.clone(),
        detail: status.message().to_owned(),
        fields: fields.map(|v| (v.field, v.description)).collect(),
    })
}
