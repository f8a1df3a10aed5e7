//! The longest time that a call may take, on both transports: what the caller is told when it took
//! longer, and that the work behind it stops.

use std::time::{Duration, Instant};

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
use wire::{Client, connect, http1, post, preface, rest};

const DEADLINE: Duration = Duration::from_millis(200);
/// Beyond the deadline, on a busy machine; far below the minute that the server would allow.
const ROOM: Duration = Duration::from_secs(30);

/// The sources of a call's deadline, each as the header of the caller and the limit of the server.
fn who() -> [(&'static [(&'static str, &'static str)], Limits); 3] {
    let limits = |longest_call| Limits {
        longest_call,
        longest_stream: longest_call,
        ..Limits::default()
    };
    [
        (&[("grpc-timeout", "200m")], limits(Duration::from_secs(60))),
        (&[], limits(DEADLINE)),
        // A caller cannot ask for more than the server allows.
        (&[("grpc-timeout", "99999999H")], limits(DEADLINE)),
    ]
}

#[track_caller]
fn on_time(start: Instant) {
    let after = start.elapsed();
    assert!((DEADLINE..DEADLINE + ROOM).contains(&after), "{after:?}");
}

#[tokio::test]
async fn a_grpc_call_that_takes_too_long_is_ended_and_its_work_stops() {
    // Before the answer begins, and in the middle of a stream, idle or busy; the caller's own
    // message may be what is late.
    for (path, whole) in [
        ("/slow", true),
        ("/stream", true),
        ("/busy", true),
        ("/echo", false),
    ] {
        for (headers, limits) in who() {
            let mut served = Served::start(Http2, limits).await;
            let mut client = Client::connect(served.address).await;
            let start = Instant::now();
            let answer = client.send(path, headers, "half", whole).await.unwrap();
            let begun = !answer.headers().contains_key("grpc-status");
            assert_eq!(begun, ["/stream", "/busy"].contains(&path), "{path}");
            let answer = wire::Answer::read(answer).await;
            on_time(start);
            answer.ended(Code::DeadlineExceeded, false);
            assert_eq!(answer.body.is_empty(), !begun, "{path}");
            served.alive(0).await;
            // The connection lives on.
            served.release.cancel();
            assert_eq!(client.call("/slow", &[]).await.body, b"whole");
            served.stop().await.0.unwrap();
        }
    }
}

#[tokio::test]
async fn a_rest_call_that_takes_too_long_is_ended_and_its_work_stops() {
    for (headers, limits) in who() {
        let headers: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        for (path, more) in [("/slow", ""), ("/echo", "content-length: 8\r\n")] {
            let mut served = Served::start(Http1, limits.clone()).await;
            let headers = format!("{headers}connection: close\r\n{more}");
            let start = Instant::now();
            let answer = rest(http1(served.address, path, &headers).await).await;
            on_time(start);
            assert!(answer.starts_with("HTTP/1.1 504 "), "{path}: {answer}");
            served.alive(0).await;
            served.stop().await.0.unwrap();
        }
        // An answer that has begun can only break off.
        for path in ["/stream", "/busy"] {
            let mut served = Served::start(Http1, limits.clone()).await;
            let start = Instant::now();
            let answer = rest(http1(served.address, path, &headers).await).await;
            on_time(start);
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:.99}");
            assert!(!answer.ends_with("\r\n0\r\n\r\n"), "it looks whole");
            served.alive(0).await;
            served.stop().await.0.unwrap();
        }
    }
}

#[tokio::test]
async fn a_call_whose_peer_gives_no_window_for_the_answer_does_not_outlive_its_deadline() {
    for (headers, limits) in who() {
        let mut served = Served::start(Http2, limits).await;
        let mut peer = connect(served.address).await;
        // A window of nothing (RFC 9113 §6.5.2, SETTINGS_INITIAL_WINDOW_SIZE).
        let no_window = wire::frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
        let call = post(1, "/stream", headers);
        let start = Instant::now();
        let bytes = [preface(), no_window, call].concat();
        peer.write_all(&bytes).await.unwrap();
        served.alive(1).await;
        served.alive(0).await;
        // Long before it counts as stalled.
        assert!(start.elapsed() < Limits::default().stalled_write);
        served.stop().await.0.unwrap();
    }
}

#[tokio::test]
async fn a_rest_answer_that_is_left_unread_does_not_outlive_its_deadline() {
    let patient = Limits {
        stalled_write: server::PATIENCE * 2,
        longest_call: server::PATIENCE * 2,
        ..Limits::default()
    };
    let mut served = Served::start(Http1, patient).await;
    let peer = http1(served.address, "/large", "grpc-timeout: 200m\r\n").await;
    peer.readable().await.unwrap();
    served.alive(0).await;
    drop(peer);
    served.stop().await.0.unwrap();
}

/// A service that never waits gives no timer a chance.
#[tokio::test]
async fn a_deadline_that_has_passed_is_told_however_soon_the_answer_is_there() {
    let grpc = Served::start(Http2, Limits::default()).await;
    let rest_server = Served::start(Http1, Limits::default()).await;
    let mut client = Client::connect(grpc.address).await;
    for passed in ["0n", "0H", "1n"] {
        let answer = client.call("/short", &[("grpc-timeout", passed)]).await;
        answer.ended(Code::DeadlineExceeded, false);
        let headers = format!("grpc-timeout: {passed}\r\nconnection: close\r\n");
        let answer = rest(http1(rest_server.address, "/short", &headers).await).await;
        assert!(answer.starts_with("HTTP/1.1 504 "), "{passed}: {answer}");
    }
    grpc.stop().await.0.unwrap();
    rest_server.stop().await.0.unwrap();
}

#[tokio::test]
async fn a_deadline_that_cannot_be_read_is_refused_and_no_work_begins() {
    let grpc = Served::start(Http2, Limits::default()).await;
    let rest_server = Served::start(Http1, Limits::default()).await;
    let mut client = Client::connect(grpc.address).await;
    for values in [
        &[""][..],
        &["S"],
        &["1"],
        &["123456789S"],
        &["-1S"],
        &["1.5S"],
        &["1s"],
        &["1 S"],
        &["soon"],
        &["1SS"],
        // Of two, nobody can say which is meant.
        &["1S", "1S"],
        &["1M", "soon"],
    ] {
        let headers: Vec<_> = values
            .iter()
            .map(|value| ("grpc-timeout", *value))
            .collect();
        let answer = client.call("/panic", &headers).await;
        answer.ended(Code::InvalidArgument, false);
        assert!(answer.status.message().contains("grpc-timeout"));

        let lines = values
            .iter()
            .map(|value| format!("grpc-timeout: {value}\r\n"));
        let headers = lines.collect::<String>() + "connection: close\r\n";
        let answer = rest(http1(rest_server.address, "/panic", &headers).await).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{values:?}: {answer}");
        assert!(answer.contains("grpc-timeout"), "{values:?}: {answer}");
    }
    grpc.stop().await.0.unwrap();
    rest_server.stop().await.0.unwrap();
}

/// An answer that has begun in time goes on for as long as a stream may, or as its caller asked.
#[tokio::test]
async fn a_stream_outlives_the_longest_call_and_not_its_callers_deadline() {
    let limits = Limits {
        longest_call: DEADLINE,
        ..Limits::default()
    };
    let past = DEADLINE * 5;
    let mut grpc = Served::start(Http2, limits.clone()).await;
    let mut client = Client::connect(grpc.address).await;
    let start = Instant::now();
    let goes_on = client.send("/later", &[], "", true).await.unwrap();
    let headers = [("grpc-timeout", "1S")];
    let ends = client.send("/stream", &headers, "", true).await.unwrap();
    let ends = wire::Answer::read(ends).await;
    ends.ended(Code::DeadlineExceeded, false);
    assert!(start.elapsed() >= past, "{:?}", start.elapsed());
    grpc.alive(1).await;
    grpc.release.cancel();
    let answer = wire::Answer::read(goes_on).await;
    answer.ended(Code::Ok, false);
    assert_eq!(answer.body, b"begun and whole");
    grpc.stop().await.0.unwrap();

    let mut served = Served::start(Http1, limits).await;
    let start = Instant::now();
    let goes_on = http1(served.address, "/later", "connection: close\r\n").await;
    let headers = "connection: close\r\ngrpc-timeout: 1S\r\n";
    let ends = rest(http1(served.address, "/events", headers).await).await;
    assert!(start.elapsed() >= past, "{:?}", start.elapsed());
    // One that is a stream of events can say so.
    assert!(
        ends.contains("data: 1\n\n") && ends.contains("event: error\n"),
        "{ends}"
    );
    served.alive(1).await;
    served.release.cancel();
    let answer = rest(goes_on).await;
    assert!(answer.ends_with(" and whole\r\n0\r\n\r\n"), "{answer}");
    served.stop().await.0.unwrap();
}
