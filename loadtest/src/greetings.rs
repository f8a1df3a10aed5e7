//! The greetings preset: requests for greetings as data, and what a good reply to them is.

use bytes::Bytes;
use engine::{Expect, PreparedRequest, Reply, Workload};
use prost::Message;
use proto::rest_grpc_dual_mode::{
    BatchRequestMessage, BatchResponseMessage, RequestMessage, ResponseMessage,
};
use serde_json::{Value, json};

use crate::record::Protocol;

/// The occasion of a call for one greeting, as in the original's load test.
const OCCASION: &str = "Diwali";
/// Its year.
const YEAR: i32 = 2023;

/// Occasions of a batch: they vary in length and content, so that no batch is one greeting repeated.
const OCCASIONS: [&str; 8] = [
    "Diwali",
    "Holi",
    "Eid al-Fitr",
    "Christmas",
    "Raksha Bandhan",
    "New Year",
    "Día de los Muertos",
    "Lunar New Year",
];

/// Years of a batch, after which they repeat.
const YEARS: usize = 25;

/// A call for `batch` greetings by `protocol`.
pub fn request(protocol: Protocol, batch: u32) -> PreparedRequest {
    let asked = questions(batch);
    let (path, body): (&str, Bytes) = match (protocol, batch) {
        (Protocol::Grpc | Protocol::GrpcWeb, 1) => (
            "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetings",
            message("gRPC", &asked[0]).encode_to_vec().into(),
        ),
        (Protocol::Grpc | Protocol::GrpcWeb, _) => (
            "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetingsBatch",
            messages("gRPC", &asked).encode_to_vec().into(),
        ),
        (Protocol::ProtobufHttp1 | Protocol::ProtobufHttp2, 1) => (
            "/v1/get_greetings",
            message("REST", &asked[0]).encode_to_vec().into(),
        ),
        (Protocol::ProtobufHttp1 | Protocol::ProtobufHttp2, _) => (
            "/v1/get_greetings:batch",
            messages("REST", &asked).encode_to_vec().into(),
        ),
        (Protocol::JsonHttp1 | Protocol::JsonHttp2, 1) => {
            ("/v1/get_greetings", json_of(&asked[0]).to_string().into())
        }
        (Protocol::JsonHttp1 | Protocol::JsonHttp2, _) => {
            let requests: Vec<Value> = asked.iter().map(json_of).collect();
            let body = json!({ "requests": requests });
            ("/v1/get_greetings:batch", body.to_string().into())
        }
    };
    let media = match protocol {
        Protocol::JsonHttp1 | Protocol::JsonHttp2 => Some("application/json"),
        Protocol::ProtobufHttp1 | Protocol::ProtobufHttp2 => Some("application/protobuf"),
        Protocol::Grpc | Protocol::GrpcWeb => None,
    };
    let header = media.map(|media| ("content-type".to_owned(), media.to_owned()));
    PreparedRequest {
        method: "POST".to_owned(),
        path: path.to_owned(),
        headers: header.into_iter().collect(),
        body,
        expect: Expect::Status,
    }
}

/// The workload of `request`, every reply to which must be the bytes of `reply`, which was looked at.
pub fn workload(request: PreparedRequest, reply: Option<Bytes>) -> Workload {
    let expect = reply.map_or(Expect::Status, Expect::Body);
    Workload {
        accept: Vec::new(),
        requests: vec![PreparedRequest { expect, ..request }],
    }
}

/// Returns true if `reply` holds, in order, every greeting that a call of `protocol` for `batch` of
/// them asks for.
pub fn is_answered(protocol: Protocol, batch: u32, reply: &Reply) -> bool {
    let wanted: Vec<String> = questions(batch).iter().map(greeting).collect();
    let found = match protocol {
        Protocol::JsonHttp1 | Protocol::JsonHttp2 => read_json(batch, &reply.body),
        _ => read_protobuf(batch, &reply.body),
    };
    found.is_some_and(|found| found == wanted)
}

/// The reply for one greeting by `protocol` as a null server gives it.
pub fn fixed_reply(protocol: Protocol) -> Bytes {
    let [json, protobuf] = fixed_replies();
    match protocol {
        Protocol::JsonHttp1 | Protocol::JsonHttp2 => json,
        _ => protobuf,
    }
}

/// The bytes of a good reply for one greeting, as JSON and as protobuf.
pub fn fixed_replies() -> [Bytes; 2] {
    let greetings = greeting(&questions(1)[0]);
    let json = json!({"greetings": greetings, "messageReceived": true});
    let message = ResponseMessage {
        greetings,
        message_received: true,
    };
    [json.to_string().into(), message.encode_to_vec().into()]
}

/// An occasion and a year.
type Question = (&'static str, i32);

fn questions(batch: u32) -> Vec<Question> {
    if batch == 1 {
        return vec![(OCCASION, YEAR)];
    }
    let question = |index: usize| {
        let year = 2000 + (index % YEARS) as i32;
        (OCCASIONS[index % OCCASIONS.len()], year)
    };
    (0..batch as usize).map(question).collect()
}

fn greeting((occasion, year): &Question) -> String {
    format!("Here is your greetings --> Today is a special day! ({occasion}, {year})")
}

fn json_of((occasion, year): &Question) -> Value {
    json!({"dataCommType": "REST", "messageType": occasion, "year": year})
}

fn message(data_comm_type: &str, (occasion, year): &Question) -> RequestMessage {
    RequestMessage {
        data_comm_type: data_comm_type.to_owned(),
        message_type: (*occasion).to_owned(),
        year: *year,
    }
}

fn messages(data_comm_type: &str, asked: &[Question]) -> BatchRequestMessage {
    let requests = asked
        .iter()
        .map(|question| message(data_comm_type, question));
    BatchRequestMessage {
        requests: requests.collect(),
    }
}

fn read_json(batch: u32, body: &[u8]) -> Option<Vec<String>> {
    let reply: Value = serde_json::from_slice(body).ok()?;
    let one = |reply: &Value| {
        let received = reply["messageReceived"] == true;
        received.then(|| reply["greetings"].as_str().map(str::to_owned))?
    };
    match batch {
        1 => Some(vec![one(&reply)?]),
        _ => reply["responses"].as_array()?.iter().map(one).collect(),
    }
}

fn read_protobuf(batch: u32, body: &[u8]) -> Option<Vec<String>> {
    let one = |reply: ResponseMessage| reply.message_received.then_some(reply.greetings);
    match batch {
        1 => Some(vec![one(ResponseMessage::decode(body).ok()?)?]),
        _ => {
            let reply = BatchResponseMessage::decode(body).ok()?;
            reply.responses.into_iter().map(one).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_protobuf_ask_the_same() {
        for batch in [1, 10] {
            let json = request(Protocol::JsonHttp1, batch);
            let json: Value = serde_json::from_slice(&json.body).unwrap();
            let json = match batch {
                1 => vec![json],
                _ => json["requests"].as_array().unwrap().clone(),
            };
            let protobuf = request(Protocol::ProtobufHttp1, batch).body;
            let protobuf = match batch {
                1 => vec![RequestMessage::decode(protobuf).unwrap()],
                _ => BatchRequestMessage::decode(protobuf).unwrap().requests,
            };
            assert_eq!(
                (json.len(), protobuf.len()),
                (batch as usize, batch as usize)
            );
            for (json, message) in json.iter().zip(protobuf) {
                assert_eq!(json["messageType"], message.message_type);
                assert_eq!(json["dataCommType"], message.data_comm_type);
                assert_eq!(json["year"], message.year);
            }
        }
    }

    fn reply(body: Vec<u8>) -> Reply {
        Reply {
            status: engine::Status::Http(http::StatusCode::OK),
            headers: http::HeaderMap::new(),
            body: body.into(),
        }
    }

    #[test]
    fn a_good_reply_is_every_greeting_in_its_place() {
        let responses: Vec<ResponseMessage> = questions(100)
            .iter()
            .map(|question| ResponseMessage {
                greetings: greeting(question),
                message_received: true,
            })
            .collect();
        let is_good = |change: fn(&mut Vec<ResponseMessage>)| {
            let mut responses = responses.clone();
            change(&mut responses);
            let body = BatchResponseMessage { responses }.encode_to_vec();
            is_answered(Protocol::Grpc, 100, &reply(body))
        };
        assert!(is_good(|_| ()));
        assert!(!is_good(|responses| responses.swap(0, 1)));
        assert!(!is_good(|responses| responses.truncate(99)));
        assert!(!is_good(|responses| responses[50].message_received = false));
    }

    #[test]
    fn the_fixed_replies_are_good_ones() {
        let [json, protobuf] = fixed_replies().map(|body| reply(body.to_vec()));
        assert!(is_answered(Protocol::JsonHttp2, 1, &json));
        assert!(is_answered(Protocol::Grpc, 1, &protobuf));
        assert!(!is_answered(Protocol::Grpc, 1, &json));
    }
}
