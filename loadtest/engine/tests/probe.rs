//! One call outside of any trial.

mod support;

use std::time::Duration;

use engine::{Endpoint, Failure, Status, Transport, probe};
use support::{
    Answer, GOOD, Server,
    null_server::{Kind, MESSAGE, NullServer},
    request,
};
use tokio::net::TcpListener;

const LIMIT: Duration = Duration::from_secs(10);

fn endpoint(address: std::net::SocketAddr) -> Endpoint {
    Endpoint {
        address,
        authority: address.to_string(),
        tls: None,
    }
}

#[tokio::test]
async fn the_reply_is_handed_over_whole() {
    let server = Server::start(|_| Answer {
        headers: "x-kind: a\r\n",
        ..GOOD
    })
    .await;
    let endpoint = endpoint(server.address);
    let reply = probe(Transport::Http1, &endpoint, &request(), LIMIT)
        .await
        .unwrap();
    assert_eq!(reply.status, Status::Http(http::StatusCode::OK));
    assert_eq!(
        (reply.headers["x-kind"].as_bytes(), reply.body.as_ref()),
        (&b"a"[..], &b"good"[..])
    );
}

#[tokio::test]
async fn a_message_is_handed_over_without_its_prefix() {
    let server = NullServer::start(Kind::Grpc).await.unwrap();
    let endpoint = endpoint(server.address);
    let reply = probe(Transport::Grpc, &endpoint, &request(), LIMIT)
        .await
        .unwrap();
    assert!(reply.status.is_ok());
    assert_eq!(reply.body, MESSAGE);
}

#[tokio::test]
async fn failures_are_told_apart() {
    let slow = Server::start(|_| Answer {
        delay: None,
        ..GOOD
    })
    .await;
    let unwilling = Server::start(|_| Answer {
        status: 503,
        ..GOOD
    })
    .await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closing = silent.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = silent.accept().await {
            drop(stream);
        }
    });
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let of = async |transport, address, limit| {
        let endpoint = endpoint(address);
        probe(transport, &endpoint, &request(), limit)
            .await
            .unwrap_err()
    };
    let refused = of(Transport::Http1, free, LIMIT).await;
    assert!(matches!(refused, Failure::Refused), "{refused:?}");
    let late = of(Transport::Http1, slow.address, Duration::from_millis(200)).await;
    assert!(matches!(late, Failure::Timeout(_)), "{late:?}");
    let bad = of(Transport::Http1, unwilling.address, LIMIT).await;
    let Failure::BadStatus(reply) = bad else {
        panic!("{bad:?}");
    };
    assert_eq!(
        (reply.status.to_string().as_str(), reply.body.as_ref()),
        ("503 Service Unavailable", &b"good"[..])
    );
    for transport in [Transport::Http1, Transport::Http2, Transport::Grpc] {
        let broken = of(transport, closing, LIMIT).await;
        assert!(
            matches!(broken, Failure::Broken(_)),
            "{transport:?}: {broken:?}"
        );
    }
    // It speaks HTTP/1.1 alone.
    let rest = Server::start(|_| GOOD).await;
    let no_grpc = of(Transport::Grpc, rest.address, LIMIT).await;
    assert!(matches!(no_grpc, Failure::NoGrpc(_)), "{no_grpc:?}");
    // It speaks HTTP/2, and replies with HTTP.
    let http2 = NullServer::start(Kind::NotGrpc).await.unwrap();
    let not_grpc = of(Transport::Grpc, http2.address, LIMIT).await;
    assert!(matches!(not_grpc, Failure::NoGrpc(_)), "{not_grpc:?}");
}
