//! Stock servers of tonic and axum that wear the layers, as the two examples show it: what of the listener's attack
//! and drain tests layers can pass, over real sockets.

use std::time::Duration;

use http::StatusCode;
use serving::limits::Limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use tonic::Code;

#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/server.rs"]
mod server;
#[path = "support/stock.rs"]
mod stock;
#[allow(dead_code, reason = "its main is for who runs it")]
#[path = "../examples/stock_axum.rs"]
mod stock_axum;
#[allow(dead_code, reason = "its main is for who runs it")]
#[path = "../examples/stock_tonic.rs"]
mod stock_tonic;
#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/wire.rs"]
mod wire;
use server::{LARGE, PATIENCE};
use stock::{
    Stack::{Axum, Tonic},
    Stock,
};
use wire::{Answer, Client, connect, connect_narrow, http1, post, preface, read_frame, rest};

const TOKEN: &str = "4ZbQyGm3K1rXwT0v";
const BEARER: (&str, &str) = ("authorization", "Bearer 4ZbQyGm3K1rXwT0v");
const GRPC: (&str, &str) = ("content-type", "application/grpc");
/// The same over HTTP/1.1, on a connection that is closed behind the answer.
const CLOSE: &str = "authorization: Bearer 4ZbQyGm3K1rXwT0v\r\nconnection: close\r\n";

const DEADLINE: Duration = Duration::from_millis(200);

const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// A message of gRPC, and the beginning of one.
const QUESTION: &str = "\0\0\0\0\u{8}question";
const HALF: &str = "\0\0\0\0\u{8}que";

/// Sends a whole question to `path`.
async fn ask(client: &mut Client, path: &str, headers: &[(&str, &str)]) -> Answer {
    let headers = [headers, &[GRPC, BEARER]].concat();
    let answer = client.send(path, &headers, QUESTION, true).await;
    Answer::read(answer.expect("the connection should not break")).await
}

/// Reads from `peer` until it has said `text`.
async fn until(peer: &mut TcpStream, text: &str) -> String {
    let mut said = String::new();
    while !said.contains(text) {
        let mut piece = [0; 1024];
        let read = timeout(PATIENCE, peer.read(&mut piece)).await;
        let length = read.expect("it should go on").expect("it should not break");
        assert!(length > 0, "{said}");
        let piece = std::str::from_utf8(&piece[..length]);
        said.push_str(piece.expect("the server writes text"));
    }
    said
}

/// Both sources of a call's deadline, each as the `grpc-timeout` of the caller and the limits of
/// the server.
fn who() -> [(Option<&'static str>, Limits); 2] {
    let limits = Limits {
        longest_call: DEADLINE,
        longest_stream: DEADLINE,
        ..Limits::default()
    };
    [(None, limits), (Some("200m"), Limits::default())]
}

#[tokio::test]
async fn a_call_of_grpc_and_a_stream_that_stalls_are_ended_at_their_deadline() {
    for (asked, limits) in who() {
        let mut stock = Stock::start(Tonic, limits).await;
        let mut client = Client::connect(stock.address).await;
        let asked = asked.map(|asked| ("grpc-timeout", asked));
        for (path, begun) in [("/slow", false), ("/stream", true), ("/busy", true)] {
            let start = Instant::now();
            let answer = ask(&mut client, path, asked.as_slice()).await;
            answer.ended(Code::DeadlineExceeded, false);
            assert!(start.elapsed() >= DEADLINE, "{path}");
            assert_eq!(!answer.body.is_empty(), begun, "{path}");
            stock.alive(0).await;
        }
        for (wrong, code) in [
            ("soon", Code::InvalidArgument),
            ("0n", Code::DeadlineExceeded),
        ] {
            let answer = ask(&mut client, "/panic", &[("grpc-timeout", wrong)]).await;
            answer.ended(code, false);
        }
        stock.stop().await;
    }
}

#[tokio::test]
async fn a_call_of_rest_and_a_stream_that_stalls_are_ended_at_their_deadline() {
    for (asked, limits) in who() {
        let mut stock = Stock::start(Axum, limits).await;
        let asked = asked.map(|asked| format!("grpc-timeout: {asked}\r\n"));
        let headers = CLOSE.to_owned() + &asked.unwrap_or_default();
        for (path, head, end) in [
            (
                "/slow",
                "HTTP/1.1 504 ",
                r#"before the call was finished"}"#,
            ),
            ("/events", "HTTP/1.1 200 ", "\n\n\r\n0\r\n\r\n"),
            // It breaks off, for it has no other way to say so.
            ("/stream", "HTTP/1.1 200 ", "\r\nbegun\r\n"),
        ] {
            let start = Instant::now();
            let answer = rest(http1(stock.address, path, &headers).await).await;
            assert!(start.elapsed() >= DEADLINE, "{path}");
            assert!(
                answer.starts_with(head) && answer.ends_with(end),
                "{path}: {answer}"
            );
            let told = answer.contains("event: error\nretry: 1000\ndata: the deadline passed");
            assert_eq!(told, path == "/events", "{answer}");
            stock.alive(0).await;
        }
        stock.stop().await;
    }
}

#[tokio::test]
async fn a_panic_is_told_as_such_and_no_other_call_of_its_connection_notices() {
    let mut stock = Stock::start(Tonic, Limits::default()).await;
    let mut client = Client::connect(stock.address).await;
    let mut sibling = client.clone();
    let sibling = tokio::spawn(async move { ask(&mut sibling, "/slow", &[]).await });
    stock.alive(1).await;
    for (path, begun) in [("/panic", ""), ("/panic-later", "begun")] {
        let answer = ask(&mut client, path, &[]).await;
        answer.ended(Code::Internal, false);
        assert_eq!(answer.status.message(), "internal error", "{path}");
        assert_eq!(answer.body, begun.as_bytes(), "{path}");
    }
    stock.release.cancel();
    sibling.await.unwrap().ended(Code::Ok, false);
    stock.stop().await;

    let stock = Stock::start(Axum, Limits::default()).await;
    let answer = rest(http1(stock.address, "/panic", CLOSE).await).await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(!answer.contains("secret"), "{answer}");
    let answer = rest(http1(stock.address, "/panic-later", CLOSE).await).await;
    assert!(answer.ends_with("\r\nbegun\r\n"), "{answer}");
    stock.stop().await;
}

#[tokio::test]
async fn a_body_that_pauses_holds_its_handler_no_longer_than_the_limit() {
    let limits = Limits {
        body_pause: DEADLINE,
        // gRPC's bodies may pause for as long as a stream may go on.
        longest_stream: DEADLINE,
        longest_call: PATIENCE * 2,
        ..Limits::default()
    };
    let mut stock = Stock::start(Tonic, limits.clone()).await;
    let mut client = Client::connect(stock.address).await;
    let answer = client.send("/echo", &[GRPC, BEARER], HALF, false).await;
    assert!(Answer::read(answer.unwrap()).await.body.is_empty());
    stock.alive(0).await;
    // Behind tonic's codec the mapping tells it from a message that ends within itself.
    for (is_whole, code) in [(false, Code::Cancelled), (true, Code::InvalidArgument)] {
        let answer = client.send(HEALTH, &[GRPC, BEARER], HALF, is_whole).await;
        Answer::read(answer.unwrap()).await.ended(code, false);
    }
    stock.stop().await;

    let mut stock = Stock::start(Axum, limits).await;
    let headers = format!("{CLOSE}content-length: 8\r\n");
    let mut peer = http1(stock.address, "/echo", &headers).await;
    peer.write_all(b"half").await.unwrap();
    let answer = rest(peer).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(!answer.contains("half"), "{answer}");
    stock.alive(0).await;
    stock.stop().await;
}

#[tokio::test]
async fn calls_beyond_the_limit_are_shed_at_once_and_streams_count_to_their_end() {
    let limits = Limits {
        calls: 2,
        ..Limits::default()
    };
    let mut stock = Stock::start(Tonic, limits.clone()).await;
    let mut client = Client::connect(stock.address).await;
    let open = ["/slow", "/later"].map(|path| {
        let mut client = client.clone();
        tokio::spawn(async move { ask(&mut client, path, &[]).await })
    });
    stock.alive(2).await;
    let shed = ask(&mut client, "/short", &[]).await;
    shed.ended(Code::ResourceExhausted, true);
    stock.release.cancel();
    for open in open {
        open.await.unwrap().ended(Code::Ok, false);
    }
    stock.alive(0).await;
    assert_eq!(ask(&mut client, "/short", &[]).await.body, b"whole");
    stock.stop().await;

    let mut stock = Stock::start(Axum, limits).await;
    let open = [
        http1(stock.address, "/slow", CLOSE).await,
        http1(stock.address, "/later", CLOSE).await,
    ];
    stock.alive(2).await;
    let shed = rest(http1(stock.address, "/short", CLOSE).await).await;
    assert!(shed.starts_with("HTTP/1.1 503 "), "{shed}");
    assert!(shed.contains("\r\nretry-after: 1\r\n"), "{shed}");
    stock.release.cancel();
    for open in open {
        assert!(rest(open).await.ends_with("whole\r\n0\r\n\r\n"));
    }
    stock.alive(0).await;
    let answer = rest(http1(stock.address, "/short", CLOSE).await).await;
    assert!(answer.ends_with("\r\n\r\nwhole"), "{answer}");
    stock.stop().await;
}

#[tokio::test]
async fn a_stream_that_is_open_at_the_drain_is_told_at_once_and_the_server_is_out() {
    for path in ["/stream", "/busy"] {
        let mut stock = Stock::start(Tonic, Limits::default()).await;
        let mut client = Client::connect(stock.address).await;
        let answer = client.send(path, &[GRPC, BEARER], QUESTION, true).await;
        let answer = tokio::spawn(Answer::read(answer.unwrap()));
        stock.alive(1).await;
        stock.stop().await;
        answer.await.unwrap().ended(Code::Unavailable, true);
    }

    let stock = Stock::start(Axum, Limits::default()).await;
    let mut events = http1(stock.address, "/events", CLOSE).await;
    until(&mut events, "data: 1\n\n").await;
    let mut half = http1(stock.address, "/half-event", CLOSE).await;
    until(&mut half, "data: 2").await;
    let mut other = http1(stock.address, "/later", CLOSE).await;
    until(&mut other, "begun").await;
    stock.stop.cancel();
    let told = rest(events).await;
    assert!(
        told.contains("event: error\nretry: 1000\ndata: the server is going away"),
        "{told}"
    );
    assert!(told.ends_with("\n\n\r\n0\r\n\r\n"), "{told}");
    // What cannot say that it is not whole goes on; a stock server waits for it.
    stock.release.cancel();
    let whole = rest(other).await;
    assert!(whole.ends_with(" and whole\r\n0\r\n\r\n"), "{whole}");
    drop(half);
    stock.stop().await;
}

#[tokio::test]
async fn large_answers_that_nobody_reads_are_bounded_and_short_ones_are_not() {
    let limits = Limits {
        answers: LARGE,
        ..Limits::default()
    };
    let stock = Stock::start(Tonic, limits.clone()).await;
    let mut unread = connect_narrow(stock.address).await;
    let call = post(1, "/large", &[GRPC, BEARER]);
    unread.write_all(&[preface(), call].concat()).await.unwrap();
    while read_frame(&mut unread).await.unwrap().0 != 0 {}
    let mut client = Client::connect(stock.address).await;
    for path in ["/large", "/sized"] {
        let shed = ask(&mut client, path, &[]).await;
        shed.ended(Code::ResourceExhausted, true);
        assert!(shed.body.is_empty(), "{path}");
    }
    assert_eq!(ask(&mut client, "/short", &[]).await.body, b"whole");
    drop(unread);
    let freed = async { while ask(&mut client, "/sized", &[]).await.body.is_empty() {} };
    timeout(PATIENCE, freed).await.expect("it is given back");
    stock.stop().await;

    let stock = Stock::start(Axum, limits).await;
    let unread = http1(stock.address, "/large", CLOSE).await;
    unread.readable().await.unwrap();
    let shed = rest(http1(stock.address, "/sized", CLOSE).await).await;
    assert!(shed.starts_with("HTTP/1.1 503 "), "{shed:.99}");
    // It does not say how long it is: it breaks off as soon as that is known.
    let shed = rest(http1(stock.address, "/large", CLOSE).await).await;
    assert!(!shed.contains("xxx"), "{shed:.99}");
    assert!(!shed.ends_with("\r\n0\r\n\r\n"), "{shed:.99}");
    let short = rest(http1(stock.address, "/short", CLOSE).await).await;
    assert!(short.ends_with("whole"), "{short}");
    drop(unread);
    let freed = async {
        while rest(http1(stock.address, "/sized", CLOSE).await)
            .await
            .starts_with("HTTP/1.1 503 ")
        {}
    };
    timeout(PATIENCE, freed).await.expect("it is given back");
    stock.stop().await;
}

#[tokio::test]
async fn a_foreign_host_and_a_foreign_page_are_refused() {
    let stock = Stock::start(Tonic, Limits::default()).await;
    let mut client = Client::connect(stock.address).await;
    let page = ("origin", "http://evil.example");
    for (path, headers) in [("http://evil.example/panic", &[][..]), ("/panic", &[page])] {
        let answer = ask(&mut client, path, headers).await;
        answer.ended(Code::PermissionDenied, false);
    }
    assert_eq!(
        ask(&mut client, "http://shop.example/short", &[])
            .await
            .body,
        b"whole"
    );
    stock.stop().await;

    let stock = Stock::start(Axum, Limits::default()).await;
    for (headers, status) in [
        ("host: evil.example\r\n", 421),
        ("host: shop.example\r\norigin: http://evil.example\r\n", 403),
        ("host: a\r\nhost: b\r\n", 400),
        ("host: shop.example\r\n", 200),
    ] {
        let mut peer = connect(stock.address).await;
        let head = format!("POST /short HTTP/1.1\r\n{headers}{CLOSE}\r\n");
        peer.write_all(head.as_bytes()).await.unwrap();
        let answer = rest(peer).await;
        let head = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&head), "{headers}: {answer}");
    }
    stock.stop().await;
}

#[tokio::test]
async fn who_has_no_token_is_refused_before_any_work_begins() {
    let stock = Stock::start(Tonic, Limits::default()).await;
    let mut client = Client::connect(stock.address).await;
    let unknown = ("authorization", "Bearer 0000000000000000");
    for headers in [&[GRPC][..], &[GRPC, unknown]] {
        let answer = client.send("/panic", headers, QUESTION, true).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.headers().contains_key("www-authenticate"));
        let answer = Answer::read(answer).await;
        answer.ended(Code::Unauthenticated, false);
    }
    assert_eq!(ask(&mut client, "/short", &[]).await.body, b"whole");
    stock.stop().await;

    let stock = Stock::start(Axum, Limits::default()).await;
    for header in ["", "authorization: Bearer 0000000000000000\r\n"] {
        let headers = format!("{header}connection: close\r\n");
        let answer = rest(http1(stock.address, "/panic", &headers).await).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        assert!(answer.contains("\r\nwww-authenticate: Bearer"), "{answer}");
    }
    stock.stop().await;
}
