//! JSON as proto3 maps messages to it, and what is said of JSON that is not so.

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
use common::{
    Served,
    wire::{To, Wire},
};
use prost::Message as _;
use serde_json::Value;

const ONE: &str = "POST /v1/get_greetings";
const BATCH: &str = "POST /v1/get_greetings:batch";

#[tokio::test]
async fn every_way_to_write_a_request_is_understood() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    for body in [
        r#"{"messageType":"Holi","year":2021}"#,
        r#"{"messageType":"Holi","year":"2021"}"#,
        r#"{"messageType":"Holi","year":2021.0}"#,
        r#"{"messageType":"Holi","year":2.021e3}"#,
        r#"{"messageType":"Holi","year":"2.021E+3"}"#,
        r#"{"messageType":"Holi","year":2021,"dataCommType":null}"#,
        r#"{"\u006dessageType":"Hol\u0069","year":2021}"#,
        "\t\r\n {\n\"year\" : 2021 , \"messageType\" : \"Holi\" } \n",
    ] {
        let answer = wire.send(To::Rest1, ONE, &[], body).await;
        assert_eq!(answer.status, 200, "{body}: {answer:?}");
        assert!(
            answer.json()["greetings"]
                .as_str()
                .unwrap()
                .ends_with("(Holi, 2021)")
        );
    }
    served.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_named_by_field_and_place_or_by_line_and_column() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    for (path, body, reason, detail) in [
        (
            ONE,
            "",
            "MALFORMED",
            "the body is empty, and not a JSON object",
        ),
        (
            ONE,
            "{",
            "MALFORMED",
            "the body is not JSON: EOF while parsing an object at line 1 column 1",
        ),
        (
            ONE,
            "{\n  \"year\": 2021,\n}",
            "MALFORMED",
            "the body is not JSON: trailing comma at line 3 column 1",
        ),
        (
            ONE,
            r#"{"year": 2021} {}"#,
            "MALFORMED",
            "the body is not JSON: trailing characters at line 1 column 16",
        ),
        (
            ONE,
            r#"{"messageType":"\ud800"}"#,
            "MALFORMED",
            "the body is not JSON: unexpected end of hex escape at line 1 column 23",
        ),
        (
            ONE,
            "[]",
            "MALFORMED",
            "this is JSON, and not a JSON object",
        ),
        (
            ONE,
            "null",
            "MALFORMED",
            "this is JSON, and not a JSON object",
        ),
        (
            ONE,
            r#"{"messageType": 7}"#,
            "INVALID_ARGUMENT",
            "messageType must be a text",
        ),
        (
            ONE,
            r#"{"dataCommType": {}}"#,
            "INVALID_ARGUMENT",
            "dataCommType must be a text",
        ),
        (
            ONE,
            r#"{"year": true}"#,
            "INVALID_ARGUMENT",
            "year must be a whole number of 32 bits",
        ),
        (
            ONE,
            r#"{"year": 2021.5}"#,
            "INVALID_ARGUMENT",
            "year must be a whole number of 32 bits",
        ),
        (
            ONE,
            r#"{"year": 2147483648}"#,
            "INVALID_ARGUMENT",
            "year must be a whole number of 32 bits",
        ),
        (
            ONE,
            r#"{"year": "+2021"}"#,
            "INVALID_ARGUMENT",
            "year must be a whole number of 32 bits",
        ),
        (
            ONE,
            r#"{"year": " 2021"}"#,
            "INVALID_ARGUMENT",
            "year must be a whole number of 32 bits",
        ),
        (
            ONE,
            r#"{"year": 1, "year": 1}"#,
            "INVALID_ARGUMENT",
            "year must not come twice",
        ),
        (
            ONE,
            r#"{"year": null, "year": 1}"#,
            "INVALID_ARGUMENT",
            "year must not come twice",
        ),
        (
            ONE,
            r#"{"yeer": 1}"#,
            "INVALID_ARGUMENT",
            "yeer is not a field of this message",
        ),
        (
            ONE,
            r#"{"message_type": "x"}"#,
            "INVALID_ARGUMENT",
            "message_type is not a field of this message",
        ),
        (
            BATCH,
            "{}",
            "INVALID_ARGUMENT",
            "requests must be 1 to 1000 in number",
        ),
        (
            BATCH,
            r#"{"requests": null}"#,
            "INVALID_ARGUMENT",
            "requests must be 1 to 1000 in number",
        ),
        (
            BATCH,
            r#"{"requests": {}}"#,
            "INVALID_ARGUMENT",
            "requests must be a list of objects",
        ),
        (
            BATCH,
            r#"{"requests": [{}, 7]}"#,
            "INVALID_ARGUMENT",
            "requests[1] must be an object",
        ),
        (
            BATCH,
            r#"{"requests": [null]}"#,
            "INVALID_ARGUMENT",
            "requests[0] must be an object",
        ),
        (
            BATCH,
            r#"{"requests": [{}, {"year": "x"}]}"#,
            "INVALID_ARGUMENT",
            "requests[1].year must be a whole number of 32 bits",
        ),
        (
            BATCH,
            r#"{"requests": [{"yeer": 1}]}"#,
            "INVALID_ARGUMENT",
            "requests[0].yeer is not a field of this message",
        ),
        (
            BATCH,
            r#"{"requests": [], "requests": []}"#,
            "INVALID_ARGUMENT",
            "requests must not come twice",
        ),
        (
            BATCH,
            r#"{"request": []}"#,
            "INVALID_ARGUMENT",
            "request is not a field of this message",
        ),
        (
            BATCH,
            r#"{"requests": [{"year": 1}, {"#,
            "MALFORMED",
            "the body is not JSON: EOF while parsing an object at line 1 column 28",
        ),
    ] {
        let answer = wire.send(To::Rest1, path, &[], body).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        let problem = answer.json();
        assert_eq!(
            (&problem["reason"], &problem["detail"]),
            (&reason.into(), &detail.into()),
            "{body}"
        );
        let field = detail.split_once(' ').map(|(field, _)| field);
        let named = &problem["violations"][0]["field"];
        if reason == "INVALID_ARGUMENT" {
            assert_eq!(named.as_str(), field, "{body}");
        } else {
            assert_eq!(*named, Value::Null, "{body}");
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn a_name_without_end_is_quoted_in_part() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    let body = format!("{{\"{}\": 1}}", "ह".repeat(100_000));
    let answer = wire.send(To::Rest1, ONE, &[], body).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.len() < 1000, "{answer:?}");
    served.stop().await;
}

/// The mapping takes a field by its name in the contract too. Here the two are one, and if that ever
/// changes the reader has to learn it.
#[test]
fn the_contract_has_one_name_for_each_field() {
    let set =
        prost_types::FileDescriptorSet::decode(proto::rest_grpc_dual_mode::FILE_DESCRIPTOR_SET);
    for message in set.unwrap().file.iter().flat_map(|file| &file.message_type) {
        for field in &message.field {
            assert_eq!(field.json_name(), field.name(), "{}", message.name());
        }
    }
}
