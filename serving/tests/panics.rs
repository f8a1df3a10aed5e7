//! Panics of a service: its caller is told that there was one and no more, nobody else notices.

use serving::{
    connection::Protocol::{Http1, Http2},
    limits::Limits,
};
use tonic::Code;

#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/server.rs"]
mod server;
#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/wire.rs"]
mod wire;
use server::Served;
use wire::{Client, http1, rest};

#[tokio::test]
async fn a_grpc_call_that_panics_is_internal_and_its_siblings_go_on() {
    let mut served = Served::start(Http2, Limits::default()).await;
    let mut client = Client::connect(served.address).await;
    let sibling = client.clone();
    let sibling = |path| {
        let mut client = sibling.clone();
        tokio::spawn(async move { client.call(path, &[]).await })
    };
    let siblings = [sibling("/slow"), sibling("/later")];
    served.alive(2).await;
    for (path, begun) in [
        ("/panic-at-once", &b""[..]),
        ("/panic", b""),
        ("/panic-later", b"begun"),
    ] {
        let answer = client.call(path, &[]).await;
        answer.ended(Code::Internal, false);
        assert_eq!(answer.body, begun, "{path}");
        assert_eq!(answer.status.message(), "internal error", "{path}");
        assert!(answer.status.details().is_empty(), "{path}");
        served.alive(2).await;
    }
    served.release.cancel();
    for (sibling, whole) in siblings.into_iter().zip(["whole", "begun and whole"]) {
        let answer = sibling.await.unwrap();
        assert_eq!(answer.body, whole.as_bytes());
        answer.ended(Code::Ok, false);
    }
    served.stop().await.0.unwrap();
}

#[tokio::test]
async fn a_rest_call_that_panics_is_an_error_or_breaks_off() {
    let mut served = Served::start(Http1, Limits::default()).await;
    for path in ["/panic-at-once", "/panic"] {
        let call = http1(served.address, path, "connection: close\r\n").await;
        let answer = rest(call).await;
        assert!(answer.starts_with("HTTP/1.1 500 "), "{path}: {answer}");
        assert!(answer.ends_with("\r\n\r\ninternal error"), "{answer}");
        assert!(!answer.contains("secret"), "{path}: {answer}");
    }
    // Without `connection: close`: the server itself must break it off.
    let answer = rest(http1(served.address, "/panic-later", "").await).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("\r\nbegun\r\n"), "{answer}");
    assert!(
        !answer.ends_with("\r\n0\r\n\r\n"),
        "it looks whole: {answer}"
    );
    assert!(!answer.contains("secret"), "{answer}");
    served.alive(0).await;
    served.stop().await.0.unwrap();
}
