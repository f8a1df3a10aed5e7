//! The memory that requests may hold while they come in, all of a listener together.

use http_body_util::BodyExt;
use serving::{
    CancellationToken,
    connection::Protocol::{Http1, Http2},
    grpc::WithOperations,
    limits::Limits,
    operations::{Health, routes},
    refusal::GrpcStatus,
    server::Listener,
};
use tokio::{io::AsyncWriteExt, net::TcpListener};
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

/// Reflection reads in a task of its own.
#[tokio::test]
async fn what_a_call_held_comes_back_when_it_is_over_whoever_reads_it() {
    let shutdown = CancellationToken::new();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let descriptors = tonic_health::pb::FILE_DESCRIPTOR_SET;
    let health = Health::new(shutdown.clone());
    let operations = routes(&health, &["a.Service"], descriptors);
    let (_reporter, health) = tonic_health::server::health_reporter();
    let service = WithOperations::new(health, operations);
    let listener = Listener {
        limits: limits(),
        ..Listener::from(socket)
    };
    let server = tokio::spawn(listener.serve("gRPC", Http2, service, GrpcStatus, shutdown.clone()));

    let mut client = Client::connect(address).await;
    let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let soon = [GRPC, &[("grpc-timeout", "100m")]].concat();
    let half = &message(0x10101).leak()[..40 * 1024];
    let answer = client.send(reflection, &soon, half, false).await;
    wire::Answer::read(answer.unwrap())
        .await
        .ended(Code::DeadlineExceeded, false);
    // It is no message of this method, but there is room to find that out.
    let whole = message(0x5050).leak();
    let answer = client.send("/grpc.health.v1.Health/Check", GRPC, whole, true);
    let answer = wire::Answer::read(answer.await.unwrap()).await;
    assert_ne!(answer.status.code(), Code::ResourceExhausted);
    shutdown.cancel();
    drop(client);
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_message_that_was_answered_is_not_held_while_its_stream_is_idle() {
    let served = Served::start(Http2, limits()).await;
    let mut client = Client::connect(served.address).await;
    let mut open = Vec::new();
    for _ in 0..8 {
        let answer = client.send("/echo-each", GRPC, message(0x5050).leak(), false);
        let mut answer = answer.await.unwrap().into_body();
        let mut come = 0;
        while come < 5 + 0x5050 {
            let frame = answer.frame().await.unwrap().unwrap();
            come += frame.into_data().unwrap().len();
        }
        open.push(answer);
    }
    served.shutdown.cancel();
    drop((open, client));
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
