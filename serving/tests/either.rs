//! A listener that speaks HTTP/1.1 and HTTP/2, told apart by the first bytes.

use std::time::{Duration, Instant};

use serving::{connection::Protocol::Either, limits::Limits};
use tokio::{io::AsyncWriteExt, time::sleep};

#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/server.rs"]
mod server;
#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/wire.rs"]
mod wire;
use server::Served;
use wire::{Client, connect, rest};

const LAST: &str = " /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi";

#[tokio::test]
async fn one_listener_answers_both_versions() {
    let served = Served::start(Either, Limits::default()).await;
    let mut client = Client::connect(served.address).await;
    assert_eq!(client.call("/echo", &[]).await.body, b"question");
    let mut stream = connect(served.address).await;
    stream
        .write_all(format!("POST{LAST}").as_bytes())
        .await
        .unwrap();
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("hi"), "{answer}");
    drop(client);
    served.stop().await.0.expect("nothing is cut");
}

#[tokio::test]
async fn what_begins_like_the_preface_of_http2_and_goes_on_otherwise_is_http1() {
    let served = Served::start(Either, Limits::default()).await;
    for method in ["P", "PUT", "POST", "PATCH", "PRI", "PRIM", "GET"] {
        let mut stream = connect(served.address).await;
        // Each byte in a segment of its own.
        for byte in method.bytes() {
            stream.write_all(&[byte]).await.unwrap();
            sleep(Duration::from_millis(5)).await;
        }
        stream.write_all(LAST.as_bytes()).await.unwrap();
        let answer = rest(stream).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n"),
            "{method}: {answer}"
        );
    }
    let mut stream = connect(served.address).await;
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")
        .await
        .unwrap();
    let answer = rest(stream).await;
    assert!(!answer.contains("200 OK"), "{answer}");
    served.stop().await.0.expect("nothing is cut");
}

#[tokio::test]
async fn an_undecided_beginning_buys_no_time_for_the_head() {
    let limits = Limits {
        first_bytes: Duration::from_secs(20),
        ..Limits::default()
    };
    let served = Served::start(Either, limits).await;
    let mut stream = connect(served.address).await;
    stream.write_all(b"P").await.unwrap();
    sleep(Duration::from_secs(15)).await;
    stream.write_all(b"OST /echo").await.unwrap();
    let second = Instant::now();
    assert_eq!(rest(stream).await, "");
    // 5 s are left; a limit that began anew would be 20 s.
    assert!(
        second.elapsed() < Duration::from_secs(18),
        "{:?}",
        second.elapsed()
    );
    served.stop().await.0.expect("nothing is cut");
}

#[tokio::test]
async fn a_connection_that_asked_in_time_may_go_on() {
    let limits = Limits {
        first_bytes: Duration::from_secs(2),
        ..Limits::default()
    };
    let mut served = Served::start(Either, limits).await;
    let stream = wire::http1(served.address, "/slow", "connection: close\r\n").await;
    served.alive(1).await;
    sleep(Duration::from_secs(3)).await;
    served.release.cancel();
    assert!(rest(stream).await.ends_with("0\r\n\r\n"));
    served.stop().await.0.expect("nothing is cut");
}
