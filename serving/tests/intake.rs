//! What requests may hold while they come in, all of a listener together.

use serving::{
    connection::Protocol::{Http1, Http2},
    limits::Limits,
};
use tokio::io::AsyncWriteExt;
use tonic::Code;

#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/server.rs"]
mod server;
#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/wire.rs"]
mod wire;
use server::Served;
use wire::{Client, http1, rest};

const GRPC: &[(&str, &str)] = &[("content-type", "application/grpc")];

fn limits() -> Limits {
    Limits {
        intake: 48 * 1024,
        ..Limits::default()
    }
}

/// A message of gRPC with `length` characters.
fn message(length: u32) -> String {
    let mut message = vec![0];
    message.extend(length.to_be_bytes());
    message.resize(message.len() + length as usize, b'x');
    String::from_utf8(message).expect("lengths below 128 of each byte are ASCII")
}

#[tokio::test]
async fn a_rest_body_that_would_hold_too_much_is_refused_and_its_room_comes_back() {
    let served = Served::start(Http1, limits()).await;
    for (kib, status) in [
        (64, "503"),
        (64, "503"),
        (40, "200"),
        (64, "503"),
        (40, "200"),
    ] {
        let head = format!("connection: close\r\ncontent-length: {}\r\n", kib * 1024);
        let mut call = http1(served.address, "/echo", &head).await;
        // It may break off when it is refused.
        let _ = call.write_all(&vec![b'x'; kib * 1024]).await;
        let answer = rest(call).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{kib} KiB: {answer:.100}");
    }
    served.stop().await.0.unwrap();
}

#[tokio::test]
async fn a_message_that_would_is_refused_and_those_that_were_taken_do_not_count() {
    let served = Served::start(Http2, limits()).await;
    let mut client = Client::connect(served.address).await;
    let mut send = async |body: String| {
        let answer = client.send("/echo", GRPC, body.leak(), true).await;
        wire::Answer::read(answer.expect("an answer")).await
    };
    let large = message(0x10101);
    send(large.clone())
        .await
        .ended(Code::ResourceExhausted, true);
    let many = message(0x5050).repeat(20);
    let answer = send(many.clone()).await;
    answer.ended(Code::Ok, false);
    assert!(answer.body == many.into_bytes());
    send(large).await.ended(Code::ResourceExhausted, true);
    served.stop().await.0.unwrap();
}
