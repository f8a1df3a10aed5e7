//! The fate of an HTTP/1.1 connection whose request was not read to its end, or whose peer has closed
//! its side.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serving::{
    connection::Protocol::{Either, Http1},
    limits::Limits,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/server.rs"]
mod server;
#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/wire.rs"]
mod wire;
use server::{PATIENCE, Served};
use wire::{connect, http1};

/// More than the kernel holds of a connection.
const LARGE: usize = 8_000_000;

/// Asks for `path`, which does not read what it is sent, with `headers` and `body`.
async fn post(address: SocketAddr, path: &str, headers: &str, body: &[u8]) -> TcpStream {
    let mut stream = connect(address).await;
    let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
    stream
        .write_all(head.as_bytes())
        .await
        .expect("the server reads");
    let written = timeout(PATIENCE, stream.write_all(body)).await;
    written
        .expect("the server reads on")
        .expect("it does not reset");
    stream
}

/// All that comes until the server closes its side, which it has to do in order.
async fn to_the_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    read.expect("it should end").expect("it is not reset");
    String::from_utf8(bytes).expect("the server writes text")
}

/// One answer whose body is `whole`, of a connection that goes on.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"whole") {
        let read = timeout(PATIENCE, stream.read_buf(&mut bytes)).await;
        let read = read.expect("it should go on").expect("it is not reset");
        assert_ne!(read, 0, "{:?}", String::from_utf8_lossy(&bytes));
    }
    String::from_utf8(bytes).expect("the server writes text")
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_is_sent_is_read_after_it() {
    for protocol in [Http1, Either] {
        let served = Served::start(protocol, Limits::default()).await;
        for headers in [
            format!("content-length: {LARGE}\r\n"),
            "transfer-encoding: chunked\r\n".to_owned(),
        ] {
            for _ in 0..5 {
                let chunk = format!("{LARGE:x}\r\n");
                let body = [chunk.as_bytes(), &vec![b'x'; LARGE]].concat();
                let body = match headers.starts_with("content") {
                    true => &body[chunk.len()..],
                    false => &body,
                };
                let mut stream = post(served.address, "/short", &headers, body).await;
                let answer = to_the_end(&mut stream).await;
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
                assert!(answer.ends_with("whole"), "{answer}");
            }
        }
        served.stop().await.0.unwrap();
    }
}

#[tokio::test]
async fn a_head_that_is_refused_is_answered_and_what_follows_it_is_read() {
    let served = Served::start(Either, Limits::default()).await;
    for head in [
        format!("GET /short HTTP/1.1\r\nlong: {}\r\n\r\n", "x".repeat(LARGE)),
        format!("no request\r\n\r\n{}", "x".repeat(LARGE)),
    ] {
        let mut stream = connect(served.address).await;
        let written = timeout(PATIENCE, stream.write_all(head.as_bytes())).await;
        written
            .expect("the server reads on")
            .expect("it does not reset");
        let answer = to_the_end(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    served.stop().await.0.unwrap();
}

#[tokio::test]
async fn a_connection_whose_request_was_short_goes_on() {
    let served = Served::start(Either, Limits::default()).await;
    let body = vec![b'x'; 60_000];
    let (length, chunk) = (format!("content-length: {}\r\n", body.len()), &body[..1000]);
    let chunks = [b"3e8\r\n", chunk, b"\r\n0\r\n\r\n"].concat();
    for (headers, body) in [
        (&*length, &body[..]),
        ("transfer-encoding: chunked\r\n", &chunks),
    ] {
        let mut stream = post(served.address, "/short", headers, body).await;
        let first = answer(&mut stream).await;
        assert!(!first.contains("connection: close"), "{first}");
        stream
            .write_all(b"GET /short HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await
            .unwrap();
        answer(&mut stream).await;
    }
    served.stop().await.0.unwrap();
}

#[tokio::test]
async fn a_body_that_waits_to_be_asked_for_is_not_asked_for_when_it_is_refused() {
    let served = Served::start(Either, Limits::default()).await;
    let headers = "content-length: 5\r\nexpect: 100-continue\r\n";
    let mut stream = post(served.address, "/short", headers, b"").await;
    let answer = to_the_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    served.stop().await.0.unwrap();
}

#[tokio::test]
async fn a_peer_that_goes_on_sending_is_cut_after_a_bounded_time_or_size() {
    let (time, bytes) = (Duration::from_millis(300), 1024 * 1024);
    for limits in [
        Limits {
            linger: time,
            linger_bytes: usize::MAX,
            ..Limits::default()
        },
        Limits {
            linger_bytes: bytes,
            ..Limits::default()
        },
    ] {
        let is_slow = limits.linger == time;
        let served = Served::start(Either, limits).await;
        let headers = "content-length: 100000000000\r\n";
        let mut stream = post(served.address, "/short", headers, b"").await;
        let begun = Instant::now();
        let piece = vec![b'x'; 16 * 1024];
        let mut sent = 0;
        while stream.write_all(&piece).await.is_ok() {
            assert!(begun.elapsed() < PATIENCE, "it is never cut");
            sent += piece.len();
            if is_slow {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        // Within what the kernel holds.
        assert!(is_slow || sent < bytes + 32 * 1024 * 1024, "{sent}");
        served.stop().await.0.unwrap();
    }
}

#[tokio::test]
async fn who_has_sent_all_and_closed_its_side_gets_the_answer() {
    let body = "content-length: 8\r\n";
    for (path, headers, sent) in [
        ("/slow", "", ""),
        ("/slow", body, "question"),
        ("/later", "", ""),
        ("/echo", body, "question"),
    ] {
        for protocol in [Http1, Either] {
            let mut served = Served::start(protocol, Limits::default()).await;
            let mut stream = http1(served.address, path, headers).await;
            stream.write_all(sent.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            if path != "/echo" {
                served.alive(1).await;
            }
            served.release.cancel();
            let answer = to_the_end(&mut stream).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
            let end = if path == "/echo" { "question" } else { "whole" };
            assert!(answer.contains(end), "{path}: {answer}");
            served.stop().await.0.unwrap();
        }
    }
}

#[tokio::test]
async fn the_work_of_a_call_ends_when_its_peer_resets_the_connection() {
    let mut served = Served::start(Either, Limits::default()).await;
    for path in ["/slow", "/stream"] {
        let stream = http1(served.address, path, "").await;
        served.alive(1).await;
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(stream);
        served.alive(0).await;
    }
    served.stop().await.0.unwrap();
}

/// A service that answers before it has read all, and reads no more from then on.
#[tokio::test]
async fn a_connection_goes_on_or_ends_if_its_request_is_dropped_after_the_answer_has_begun() {
    use futures_util::{StreamExt, stream};
    use http::{Request, Response};
    use http_body::Frame;
    use http_body_util::{BodyExt, StreamBody};
    use serving::{Body, CancellationToken, refusal::GrpcStatus, server::Listener};
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let limits = Limits {
        // None of these is to end it.
        idle: PATIENCE * 10,
        first_bytes: PATIENCE * 10,
        longest_call: PATIENCE * 10,
        ..Limits::default()
    };
    let listener = Listener {
        limits,
        ..Listener::from(socket)
    };
    let service = tower::service_fn(|request: Request<Body>| async move {
        let mut body = request.into_body();
        let _ = body.frame().await;
        let begun = stream::iter(["begun ", "on "]);
        let last = stream::once(async move {
            tokio::task::yield_now().await;
            drop(body);
            "whole"
        });
        let frames = begun.chain(last).map(|text| {
            let data = bytes::Bytes::from_static(text.as_bytes());
            Ok::<_, std::convert::Infallible>(Frame::data(data))
        });
        Ok::<_, std::convert::Infallible>(Response::new(StreamBody::new(frames)))
    });
    let shutdown = CancellationToken::new();
    let server = listener.serve("REST", Http1, service, GrpcStatus, shutdown.clone());
    let server = tokio::spawn(server);
    let headers = "transfer-encoding: chunked\r\n";
    let mut stream = post(address, "/", headers, b"5\r\nhello\r\n").await;
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"0\r\n\r\n") {
        let read = timeout(PATIENCE, stream.read_buf(&mut bytes)).await;
        let read = read.expect("it should go on").expect("it is not reset");
        assert_ne!(read, 0, "{:?}", String::from_utf8_lossy(&bytes));
    }
    // The rest of the request, and another one, if the server still takes any.
    let _ = stream
        .write_all(b"5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    let next = timeout(Duration::from_secs(20), stream.read_buf(&mut bytes)).await;
    assert!(
        next.is_ok(),
        "it hangs: {:?}",
        String::from_utf8_lossy(&bytes)
    );
    drop(stream);
    shutdown.cancel();
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_that_asked_only_what_was_refused_is_one_that_asked() {
    use http::HeaderValue;
    use serving::{
        CancellationToken, cors::Origins, refusal::GrpcStatus, server::Listener, side::Side,
    };
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let first_bytes = Duration::from_millis(300);
    let listener = Listener {
        limits: Limits {
            first_bytes,
            ..Limits::default()
        },
        ..Listener::from(socket)
    };
    let service = tower::service_fn(|_: http::Request<serving::Body>| async {
        Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::from("whole")))
    });
    let origin = HeaderValue::from_static("https://shop.example");
    let side = Side {
        service,
        refuse: GrpcStatus,
        paths: Vec::new(),
        origins: Origins {
            named: vec![origin],
            ..Origins::default()
        },
    };
    let shutdown = CancellationToken::new();
    let server = listener.serve_side("REST", Http1, side, shutdown.clone());
    let server = tokio::spawn(server);
    for head in [
        "OPTIONS / HTTP/1.1\r\nhost: localhost\r\norigin: https://shop.example\r\n\
         access-control-request-method: POST\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\ngrpc-timeout: soon\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: one\r\nhost: two\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: localhost\r\norigin: https://evil.example\r\n\
         content-length: 0\r\n\r\n",
    ] {
        let mut stream = connect(address).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
            let read = timeout(PATIENCE, stream.read_buf(&mut bytes)).await;
            assert_ne!(read.expect("it should be answered").unwrap(), 0, "{head}");
        }
        // Longer than a head may take.
        tokio::time::sleep(first_bytes * 3).await;
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await
            .unwrap();
        let again = timeout(PATIENCE, stream.read_buf(&mut bytes)).await;
        let read = again.expect("it should be answered").unwrap_or(0);
        assert_ne!(read, 0, "{head}: {:?}", String::from_utf8_lossy(&bytes));
    }
    shutdown.cancel();
    server.await.unwrap().unwrap();
}
