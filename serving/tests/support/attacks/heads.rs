//! HTTP/1 in too large pieces.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::siege::{Siege, Target};
use crate::program::PATIENCE;

/// Returns the answer to `request`, read until the connection ends.
pub(crate) async fn answer(address: SocketAddr, request: &[u8]) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let (mut reader, mut writer) = stream.split();
        let mut answer = Vec::new();
        let write = async {
            let _ = writer.write_all(request).await;
        };
        let (_, ()) = tokio::join!(reader.read_to_end(&mut answer), write);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let answer = timeout(PATIENCE, exchange).await;
    answer.expect("the server should answer and close")
}

/// The status of an answer, none where there was no answer.
pub(crate) fn status(answer: &str) -> Option<u16> {
    answer.split(' ').nth(1)?.parse().ok()
}

pub(crate) async fn oversized_heads_uris_and_bodies_are_refused(target: &Target) {
    const PATH: &str = "/v1/get_greetings";
    let siege = Siege::begin(target, &[]).await;
    let get = |path: &str, more: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}\r\n")
    };
    let post = |headers: &str, body: &str| {
        format!(
            "POST {PATH} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n{body}"
        )
    };
    let long = |length| "x".repeat(length);
    let chunk = format!("4000\r\n{}\r\n", long(0x4000));
    for (name, request, expected) in [
        (
            "a long header",
            get(PATH, &format!("x: {}\r\n", long(70_000))),
            431,
        ),
        ("many headers", get(PATH, &"x: y\r\n".repeat(200)), 431),
        (
            "a long query",
            get(&format!("{PATH}?x={}", long(9_000)), ""),
            414,
        ),
        ("a long path", get(&format!("/{}", long(9_000)), ""), 414),
        (
            "a URI longer than a head",
            get(&format!("/{}", long(70_000)), ""),
            431,
        ),
        (
            "a long body",
            post("content-length: 4194305\r\n", &long(4_194_305)),
            413,
        ),
        (
            "long chunks",
            post("transfer-encoding: chunked\r\n", &chunk.repeat(300)),
            413,
        ),
    ] {
        let answer = answer(siege.rest(), request.as_bytes()).await;
        assert_eq!(status(&answer), Some(expected), "{name}: {answer}");
    }
    siege.end().await;
}

/// Chunks whose extensions or trailers have no end. Where they stay below every limit of size, the
/// pause after them is what ends them.
pub(crate) async fn endless_chunks_are_refused(target: &Target) {
    let siege = Siege::begin(target, &["--body-pause", "1s"]).await;
    let head =
        "POST /v1/get_greetings HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    let long = "x".repeat(10_000_000);
    for rest in [
        format!("1;{long}"),
        "1;xxxxxxxxxxxxxx\r\ny\r\n".repeat(500_000),
        format!("0\r\nx: {long}"),
        format!("0\r\n{}", "x: y\r\n".repeat(1_000_000)),
        long.replace('x', "0"),
    ] {
        let answer = answer(siege.rest(), format!("{head}{rest}").as_bytes()).await;
        assert!(status(&answer) != Some(200), "{answer}");
    }
    siege.end().await;
}
