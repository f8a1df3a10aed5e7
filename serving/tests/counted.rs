//! As what calls are counted whose answers break off.

#![cfg(feature = "admin")]

use std::{convert::Infallible, io, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use serving::{
    Body, CancellationToken,
    connection::Protocol,
    limits::Limits,
    refusal::PlainText,
    server::Listener,
    telemetry::{Telemetry, metrics::Metrics},
};
use tokio::{net::TcpListener, time::timeout};
use tower::service_fn;

#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/wire.rs"]
mod wire;

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn an_answer_that_the_server_breaks_off_is_counted_as_the_servers_fault() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let metrics = Metrics::default();
    let listener = Listener {
        limits: Limits {
            longest_call: Duration::from_millis(200),
            longest_stream: Duration::from_millis(200),
            ..Limits::default()
        },
        telemetry: Some(Telemetry {
            metrics: Some(metrics.clone()),
            ..Telemetry::default()
        }),
        ..Listener::from(socket)
    };
    let service = service_fn(|request: Request<Body>| async move {
        let begun = stream::iter([Ok(Frame::data(Bytes::from_static(b"begun")))]);
        let later = match request.uri().path() {
            "/fails" => stream::once(async {
                tokio::task::yield_now().await;
                Err(io::Error::other("the disk is gone"))
            })
            .boxed(),
            _ => stream::pending().boxed(),
        };
        Ok::<_, Infallible>(Response::new(StreamBody::new(begun.chain(later))))
    });
    let shutdown = CancellationToken::new();
    let server = listener.serve(
        "REST",
        Protocol::Http1,
        service,
        PlainText,
        shutdown.clone(),
    );
    let server = tokio::spawn(server);
    for path in ["/fails", "/lasts"] {
        let cut = wire::rest(wire::http1(address, path, "").await).await;
        assert!(!cut.contains("disk"), "{cut}");
        assert!(
            cut.contains("begun") && !cut.ends_with("0\r\n\r\n"),
            "{cut}"
        );
    }
    // One whose caller goes is the caller's.
    drop(wire::http1(address, "/lasts", "").await);
    for code in ["500", "504", "499"] {
        let line = format!(r#"calls_total{{transport="REST",method="other",code="{code}"}} 1"#);
        let counted = async {
            while !metrics.text().unwrap().contains(&line) {
                tokio::task::yield_now().await;
            }
        };
        let counted = timeout(PATIENCE, counted).await;
        assert!(counted.is_ok(), "{line}: {}", metrics.text().unwrap());
    }
    shutdown.cancel();
    timeout(PATIENCE, server)
        .await
        .expect("it should end")
        .unwrap()
        .unwrap();
}
