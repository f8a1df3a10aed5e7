//! JSON-RPC 2.0 as its specification says it, beyond what the proof asks of every transport.

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
use common::{
    Served,
    wire::{To, Wire},
};
use serde_json::{Value, json};

const HOLI: &str = r#"{"messageType": "Holi", "year": 2021}"#;
const GREETED: &str = "Here is your greetings --> Today is a special day! (Holi, 2021)";

/// One call of `get_greetings`, with `more` members.
fn call(more: &str) -> String {
    format!(r#"{{"jsonrpc": "2.0", "method": "get_greetings", "params": {HOLI}{more}}}"#)
}

#[tokio::test]
async fn an_id_comes_back_as_it_was_written() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    for id in ["1", "1.50", "\"a\\u0062\"", "null", "-7"] {
        let body = call(&format!(r#", "id": {id}"#));
        let answer = wire.send(To::Rest1, "POST /rpc", &[], body).await;
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(text.ends_with(&format!("\"id\":{id}}}")), "{text}");
        assert_eq!(answer.json()["result"]["greetings"], GREETED);
    }
    served.stop().await;
}

#[tokio::test]
async fn a_call_without_an_id_is_not_answered_whatever_comes_of_it() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    let nowhere = r#"{"jsonrpc": "2.0", "method": "nowhere"}"#.to_owned();
    let both = format!("[{}, {nowhere}]", call(""));
    for body in [call(""), nowhere, both] {
        let answer = wire.send(To::Rest1, "POST /rpc", &[], body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body.len()),
            (204, 0),
            "{answer:?}"
        );
    }
    served.stop().await;
}

#[tokio::test]
async fn what_is_wrong_has_the_code_of_the_specification_and_the_reason_of_the_table() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    for (body, code, reason) in [
        ("{", -32700, "MALFORMED"),
        ("", -32700, "MALFORMED"),
        ("[1,", -32700, "MALFORMED"),
        ("[]", -32600, "MALFORMED"),
        ("1", -32600, "MALFORMED"),
        (r#""1"#, -32700, "MALFORMED"),
        (
            r#"[["2.0", "get_greetings", {"messageType": "Holi", "year": 2021}, 1]]"#,
            -32600,
            "MALFORMED",
        ),
        (
            r#"{"jsonrpc": "1.0", "method": "get_greetings", "id": 1}"#,
            -32600,
            "MALFORMED",
        ),
        (
            r#"{"jsonrpc": "2.0", "method": 7, "id": 1}"#,
            -32600,
            "MALFORMED",
        ),
        (
            r#"{"jsonrpc": "2.0", "method": "get_greetings", "id": {}}"#,
            -32600,
            "MALFORMED",
        ),
        (
            r#"{"jsonrpc": "2.0", "method": "nowhere", "id": 1}"#,
            -32601,
            "UNKNOWN_METHOD",
        ),
        (
            r#"{"jsonrpc": "2.0", "method": "get_greetings", "id": 1}"#,
            -32602,
            "INVALID_ARGUMENT",
        ),
        (
            r#"{"jsonrpc": "2.0", "method": "get_greetings", "params": ["Holi", 2021], "id": 1}"#,
            -32602,
            "MALFORMED",
        ),
        (
            r#"{"jsonrpc": "2.0", "method": "get_greetings", "params": {"yeer": 1}, "id": 1}"#,
            -32602,
            "INVALID_ARGUMENT",
        ),
    ] {
        let id = [("x-request-id", "7f")];
        let answer = wire.send(To::Rest1, "POST /rpc", &id, body).await;
        assert_eq!(answer.status, 200, "{body}: {answer:?}");
        let answer = answer.json();
        let error = answer.get(0).unwrap_or(&answer)["error"].clone();
        assert_eq!(error["code"], code, "{body}: {error}");
        assert_eq!(error["data"]["reason"], reason, "{body}: {error}");
        assert_eq!(error["data"]["requestId"], "7f", "{body}: {error}");
    }
    served.stop().await;
}

#[tokio::test]
async fn several_calls_are_answered_together_and_too_many_are_not() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    let three = format!(
        "[{}, {}, 7, {}]",
        call(r#", "id": 1"#),
        call(""),
        call(r#", "id": 2"#)
    );
    let answer = wire.send(To::Rest1, "POST /rpc", &[], three).await.json();
    let ids: Vec<_> = answer
        .as_array()
        .unwrap()
        .iter()
        .map(|a| &a["id"])
        .collect();
    assert_eq!(ids, [&json!(1), &Value::Null, &json!(2)]);
    let many = format!("[{}0]", "0,".repeat(100));
    let answer = wire.send(To::Rest1, "POST /rpc", &[], many).await.json();
    assert_eq!(answer["error"]["code"], -32600, "{answer}");
    served.stop().await;
}

/// An escaped control character takes seven times its byte.
#[tokio::test]
async fn what_is_no_call_is_not_quoted() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    let text = format!("\"{}\"", "\u{7f}".repeat(1 << 20));
    let long_id = format!(r#"{{"jsonrpc": "2.0", "method": {text}, "id": [{text}]}}"#);
    for body in [text.clone(), format!("[{text}]"), long_id] {
        let answer = wire.send(To::Rest1, "POST /rpc", &[], body).await;
        assert!(answer.body.len() < 512, "{}", answer.body.len());
    }
    served.stop().await;
}

/// A hundred batches of a thousand would be ten megabytes of answer.
#[tokio::test]
async fn the_batches_of_one_array_are_bounded_like_one_batch() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    let batch = |id: usize, count: usize| {
        json!({
            "jsonrpc": "2.0",
            "method": "get_greetings_batch",
            "params": {"requests": vec![json!({"messageType": "Holi", "year": 2021}); count]},
            "id": id,
        })
    };
    let array = json!([batch(1, 600), batch(2, 500), batch(3, 400), batch(4, 1)]);
    let answer = wire.send(To::Rest1, "POST /rpc", &[], array.to_string());
    let answer = answer.await.json();
    let greetings = |at: usize| answer[at]["result"]["responses"].as_array().map(Vec::len);
    assert_eq!([0, 2].map(greetings), [Some(600), Some(400)]);
    for refused in [1, 3] {
        let error = &answer[refused]["error"];
        assert_eq!(error["code"], -32602, "{error}");
        let text = "the batches of one array may ask for no more greetings in all than one batch";
        assert_eq!(error["message"], text);
    }
    served.stop().await;
}

#[tokio::test]
async fn what_http_can_say_it_says() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    let protobuf = [("content-type", "application/protobuf")];
    let answer = wire.send(To::Rest1, "POST /rpc", &protobuf, "").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("accept")),
        (415, "application/json")
    );
    let answer = wire.send(To::Rest1, "GET /rpc", &[], "").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("allow")),
        (405, "POST, OPTIONS")
    );
    served.stop().await;
}
