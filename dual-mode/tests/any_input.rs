//! Whatever strangers send: no input panics, none is a server error, and a request means the same in a
//! query, in JSON and in the core.

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use common::{PATIENCE, Served, http};
use dual_mode::{greetings, rest};
use http_body_util::BodyExt;
use proptest::{collection::vec, prelude::*};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tower::ServiceExt;

const PATH: &str = "/v1/get_greetings";

/// Returns the status and the body that REST answers to `request`, without a socket.
fn answer(request: Request<Body>) -> (StatusCode, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("it needs no thread").block_on(async {
        let answer = rest::app().oneshot(request).await;
        let (head, body) = answer.unwrap_or_else(|never| match never {}).into_parts();
        let body = body.collect().await.expect("it is in memory").to_bytes();
        (head.status, body.to_vec())
    })
}

fn post(body: Vec<u8>) -> (StatusCode, Vec<u8>) {
    answer(
        Request::post(PATH)
            .body(Body::from(body))
            .expect("the parts are valid"),
    )
}

fn get(query: &str) -> (StatusCode, Vec<u8>) {
    let uri = format!("{PATH}?{query}");
    answer(
        Request::get(uri)
            .body(Body::empty())
            .expect("it is encoded"),
    )
}

/// `text` as it may stand in a query.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

proptest! {
    #[test]
    fn bytes_as_a_body_are_greeted_or_refused(body in vec(any::<u8>(), 0..200)) {
        let (status, _) = post(body);
        prop_assert_eq!(status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn nearly_json_as_a_body_is_greeted_or_refused(
        body in r#"[ \n]?\{?("messageType"|"year"|"dataCommType"|"x"):?("[a-z]{0,3}"|-?[0-9]{0,12}|null|\[\]),?("year":[0-9]{1,5})?\}?"#
    ) {
        let (status, _) = post(body.into_bytes());
        prop_assert!(status == StatusCode::OK || status == StatusCode::BAD_REQUEST, "{}", status);
    }

    #[test]
    fn text_as_a_query_is_greeted_or_refused(query in "[ -~]{0,80}") {
        let query: String = query.chars().filter(|c| !"\"<>#`{}|\\^ ".contains(*c)).collect();
        let (status, _) = get(&query);
        prop_assert!(status == StatusCode::OK || status == StatusCode::BAD_REQUEST, "{}", status);
    }

    #[test]
    fn a_request_means_the_same_in_a_query_in_json_and_in_the_core(
        data_comm_type in "\\PC{0,40}",
        message_type in prop_oneof!["\\PC{0,300}", any::<String>()],
        year in prop_oneof![any::<i32>(), -3..10_003],
    ) {
        let core = greetings::greet(&greetings::Request {
            data_comm_type: data_comm_type.clone(),
            message_type: message_type.clone(),
            year,
        });
        let body = serde_json::json!({
            "dataCommType": data_comm_type, "messageType": message_type, "year": year,
        });
        let query = format!(
            "dataCommType={}&messageType={}&year={year}",
            encoded(&data_comm_type),
            encoded(&message_type)
        );
        for (status, body) in [post(body.to_string().into_bytes()), get(&query)] {
            let body: serde_json::Value = serde_json::from_slice(&body).expect("answers are JSON");
            match &core {
                Ok(answer) => {
                    prop_assert_eq!(status, StatusCode::OK);
                    prop_assert_eq!(body["greetings"].as_str(), Some(answer.greetings.as_str()));
                }
                Err(fault) => {
                    prop_assert_eq!(status, StatusCode::BAD_REQUEST);
                    prop_assert_eq!(body["detail"].as_str().unwrap_or_default(), fault.to_string());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn bytes_as_a_connection_disturb_nobody(
        noise in vec(
            (prop_oneof![Just(&b""[..]), Just(&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..]), Just(&b"POST / HTTP/1.1\r\n"[..])],
             vec(any::<u8>(), 0..500)),
            1..20,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be started").block_on(async {
            let served = Served::start().await;
            for (start, bytes) in &noise {
                for address in [served.rest, served.grpc] {
                    let mut connection = TcpStream::connect(address).await.expect("it listens");
                    // The server may close before all is written.
                    let _ = connection.write_all(start).await;
                    let _ = connection.write_all(bytes).await;
                    let _ = connection.shutdown().await;
                    let mut answer = Vec::new();
                    let read = timeout(PATIENCE, connection.read_to_end(&mut answer)).await;
                    assert!(read.is_ok(), "the server should close what the client has closed");
                }
            }
            let answer = http(served.rest, &format!("GET {PATH}?messageType=x&year=1"), "", "").await;
            assert_eq!(answer.status, 200);
            served.stop().await;
        });
    }
}
