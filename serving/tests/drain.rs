//! The end of a server, for each thing that may be open: no call that was accepted is lost within
//! the grace, streams are told, and nothing outlasts it.

use std::{
    io::{Read, Write},
    time::Duration,
};

use serving::{
    connection::Protocol::{Either, Http1, Http2},
    drain::ServeError,
    limits::Limits,
    workers::Workers,
};
use tokio::io::AsyncWriteExt;
use tonic::Code;

#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/server.rs"]
mod server;
#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/wire.rs"]
mod wire;
use server::{LARGE, PATIENCE, Served};
use wire::{
    Answer, Client, connect, connect_narrow, http1, post, preface, read_frame, refused, rest,
};

fn grace(grace: Duration) -> Limits {
    Limits {
        grace,
        ..Limits::default()
    }
}

/// A grace that a test waits for.
const SHORT: Duration = Duration::from_secs(1);

#[tokio::test]
async fn idle_connections_do_not_keep_the_server() {
    let served = Served::start(Http2, grace(PATIENCE)).await;
    let mut client = Client::connect(served.address).await;
    assert_eq!(client.call("/echo", &[]).await.body, b"question");
    let (ended, after) = served.stop().await;
    ended.unwrap();
    assert!(after < PATIENCE, "{after:?}");

    let served = Served::start(Http1, grace(PATIENCE)).await;
    let _silent = connect(served.address).await;
    let between_requests = http1(served.address, "/later", "").await;
    served.release.cancel();
    let mut head = [0; 17];
    let (mut read, _write) = between_requests.into_split();
    tokio::io::AsyncReadExt::read_exact(&mut read, &mut head)
        .await
        .unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK\r\n");
    let (ended, after) = served.stop().await;
    ended.unwrap();
    assert!(after < PATIENCE, "{after:?}");
    let whole = rest(read).await;
    assert!(whole.ends_with("\r\n0\r\n\r\n"), "{whole}");
}

/// The only worker is busy from before anybody asks until the listener has closed.
#[tokio::test]
async fn a_request_that_had_come_before_the_listener_closed_is_answered() {
    let workers = Workers::start(1).unwrap();
    let mut served = Served::with_workers(Either, grace(PATIENCE), workers).await;
    let address = served.address;
    let ask = |request: &[u8]| {
        let mut peer = std::net::TcpStream::connect(address).unwrap();
        peer.write_all(request).unwrap();
        peer
    };
    let busy = ask(b"GET /blocks HTTP/1.1\r\nhost: a\r\n\r\n");
    let question = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\nquestion";
    served.alive(1).await;
    let peers = [(); 5].map(|()| ask(question));
    served.stop().await.0.unwrap();
    for mut peer in peers.into_iter().chain([busy]) {
        let mut answer = String::new();
        peer.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let is_whole = answer.contains("question") || answer.contains("whole");
        assert!(is_whole, "{answer}");
    }
}

#[tokio::test]
async fn calls_in_flight_finish_after_the_listener_has_closed() {
    for workers in [Workers::none(), Workers::start(2).unwrap()] {
        let mut served = Served::with_workers(Http2, grace(PATIENCE), workers).await;
        let mut client = Client::connect(served.address).await;
        let call = tokio::spawn(async move { client.call("/slow", &[]).await });
        served.alive(1).await;
        served.shutdown.cancel();
        refused(served.address).await;
        assert!(!served.has_ended());
        served.release.cancel();
        let answer = call.await.unwrap();
        assert_eq!(answer.body, b"whole");
        answer.ended(Code::Ok, false);
        served.stop().await.0.unwrap();
    }
    let mut served = Served::start(Http1, grace(PATIENCE)).await;
    let call = http1(served.address, "/slow", "").await;
    served.alive(1).await;
    served.shutdown.cancel();
    refused(served.address).await;
    assert!(!served.has_ended());
    served.release.cancel();
    let answer = rest(call).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\nwhole\r\n0\r\n\r\n"), "{answer}");
    served.stop().await.0.unwrap();
}

#[tokio::test]
async fn an_http1_answer_that_has_begun_may_go_on_for_it_cannot_say_that_it_is_cut() {
    let mut served = Served::start(Http1, grace(PATIENCE)).await;
    let call = http1(served.address, "/later", "").await;
    served.alive(1).await;
    served.shutdown.cancel();
    refused(served.address).await;
    served.release.cancel();
    let answer = rest(call).await;
    assert!(answer.ends_with(" and whole\r\n0\r\n\r\n"), "{answer}");
    served.stop().await.0.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_read_slowly_is_written_to_its_end() {
    // Longer than a connection with nothing left to write may linger.
    let slow = Duration::from_millis(1500);
    let served = Served::start(Http2, grace(PATIENCE)).await;
    let mut client = Client::connect(served.address).await;
    let answer = client.send("/large", &[], "", true).await.unwrap();
    served.shutdown.cancel();
    refused(served.address).await;
    tokio::time::sleep(slow).await;
    let answer = Answer::read(answer).await;
    assert_eq!(answer.body.len(), LARGE);
    answer.ended(Code::Ok, false);
    served.stop().await.0.unwrap();

    let served = Served::start(Http1, grace(PATIENCE)).await;
    let call = http1(served.address, "/large", "").await;
    call.readable().await.unwrap();
    served.shutdown.cancel();
    refused(served.address).await;
    tokio::time::sleep(slow).await;
    let answer = rest(call).await;
    assert!(answer.len() > LARGE && answer.ends_with("x\r\n0\r\n\r\n"));
    served.stop().await.0.unwrap();
}

/// The server is done with the answers: it only has to write them, and the peer takes its time.
#[tokio::test]
async fn what_is_written_already_reaches_a_peer_that_reads_late() {
    const CALLS: u32 = 150;
    let served = Served::start(Http2, grace(PATIENCE)).await;
    let mut peer = connect_narrow(served.address).await;
    let calls = (0..CALLS).map(|call| post(2 * call + 1, "/head", &[]));
    let bytes = [preface(), calls.collect::<Vec<_>>().concat()].concat();
    peer.write_all(&bytes).await.unwrap();
    peer.readable().await.unwrap();
    served.shutdown.cancel();
    refused(served.address).await;
    // Longer than a connection with nothing left to write may linger.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut answers = 0;
    while let Some((kind, flags, _, payload)) = read_frame(&mut peer).await {
        answers += u32::from(kind == 1 && flags & 1 == 1);
        if kind == 6 {
            let pong = wire::frame(6, 1, 0, &payload);
            peer.write_all(&pong).await.unwrap();
        }
    }
    assert_eq!(answers, CALLS);
    served.stop().await.0.unwrap();

    // One that never reads loses them, and the server says so.
    let served = Served::start(Http2, grace(SHORT)).await;
    let mut peer = connect_narrow(served.address).await;
    peer.write_all(&bytes).await.unwrap();
    peer.readable().await.unwrap();
    cut(served.stop().await, 1);
}

/// A stream of events is told over either protocol, and does not keep the server.
#[tokio::test]
async fn a_stream_of_events_is_told_that_the_server_goes_away_between_two_events() {
    let mut served = Served::start(Either, grace(PATIENCE)).await;
    let events = http1(served.address, "/events", "").await;
    let mut client = Client::connect(served.address).await;
    let over_http2 = client.send("/events", &[], "", true).await.unwrap();
    served.alive(2).await;
    let over_http2 = tokio::spawn(Answer::read(over_http2));
    let (ended, after) = served.stop().await;
    ended.unwrap();
    assert!(after < PATIENCE, "{after:?}");
    let told = rest(events).await;
    assert!(told.contains("data: 1\n\n"), "{told}");
    assert!(
        told.contains("event: error\nretry: 1000\ndata: the server is going away"),
        "{told}"
    );
    assert!(told.ends_with("\n\n\r\n0\r\n\r\n"), "{told}");
    let body = over_http2.await.unwrap().body;
    assert!(body.ends_with(b"call another one\n\n"), "{body:?}");

    // A word of the server's own in the middle of an event would make it look whole.
    let mut served = Served::start(Either, grace(SHORT)).await;
    let events = http1(served.address, "/half-event", "").await;
    served.alive(1).await;
    cut(served.stop().await, 1);
    let cut_off = rest(events).await;
    assert!(!cut_off.contains("event: error"), "{cut_off}");
    assert!(!cut_off.ends_with("\r\n0\r\n\r\n"), "{cut_off}");
}

#[tokio::test]
async fn open_streams_idle_or_busy_are_told_that_the_server_goes_away() {
    for path in ["/stream", "/busy"] {
        let mut served = Served::start(Http2, grace(PATIENCE)).await;
        let mut client = Client::connect(served.address).await;
        let answer = client.send(path, &[], "", true).await.unwrap();
        let answer = tokio::spawn(Answer::read(answer));
        served.alive(1).await;
        let mut alive = served.alive.clone();
        let (ended, after) = served.stop().await;
        ended.unwrap();
        assert!(after < PATIENCE, "{path}: {after:?}");
        let answer = answer.await.unwrap();
        assert!(!answer.body.is_empty(), "{path}");
        answer.ended(Code::Unavailable, true);
        let gone = tokio::time::timeout(PATIENCE, alive.wait_for(|alive| *alive == 0)).await;
        gone.expect("its work should end").unwrap();
    }
}

/// Asserts that the server cut `calls` when its grace was over, and none before.
#[track_caller]
fn cut((ended, after): (Result<(), ServeError>, Duration), calls: usize) {
    let Err(ServeError::Cut { calls: lost, .. }) = ended else {
        panic!("{ended:?} after {after:?}");
    };
    assert_eq!(lost, calls);
    assert!(after >= SHORT, "{after:?}");
}

#[tokio::test]
async fn calls_that_do_not_finish_within_the_grace_are_cut_and_counted() {
    for workers in [Workers::none(), Workers::start(2).unwrap()] {
        let mut served = Served::with_workers(Http2, grace(SHORT), workers).await;
        let client = Client::connect(served.address).await;
        let call = || {
            let mut client = client.clone();
            tokio::spawn(async move { client.send("/slow", &[], "", true).await })
        };
        let calls = [call(), call()];
        served.alive(2).await;
        let mut alive = served.alive.clone();
        cut(served.stop().await, 2);
        for call in calls {
            call.await.unwrap().unwrap_err();
        }
        let over = tokio::time::timeout(PATIENCE, alive.wait_for(|alive| *alive == 0)).await;
        over.expect("its work should stop").unwrap();
    }
    let mut served = Served::start(Http1, grace(SHORT)).await;
    let call = http1(served.address, "/slow", "").await;
    served.alive(1).await;
    cut(served.stop().await, 1);
    assert_eq!(rest(call).await, "");
}

#[tokio::test]
async fn a_peer_that_never_reads_is_cut_when_the_grace_is_over() {
    for path in ["/busy", "/large"] {
        let served = Served::start(Http2, grace(SHORT)).await;
        let mut peer = connect(served.address).await;
        let bytes = [preface(), post(1, path, &[])].concat();
        peer.write_all(&bytes).await.unwrap();
        peer.readable().await.unwrap();
        while read_frame(&mut peer).await.unwrap().0 != 0 {}
        cut(served.stop().await, 1);

        let served = Served::start(Http1, grace(SHORT)).await;
        let peer = http1(served.address, path, "").await;
        peer.readable().await.unwrap();
        cut(served.stop().await, 1);
    }
}

#[tokio::test]
async fn a_request_whose_rest_never_comes_is_cut_once_it_is_a_call_and_not_before() {
    let mut served = Served::start(Http2, grace(SHORT)).await;
    let mut client = Client::connect(served.address).await;
    let half = tokio::spawn(async move { client.send("/echo", &[], "half", false).await });
    served.alive(1).await;
    cut(served.stop().await, 1);
    half.await.unwrap().unwrap_err();

    let mut served = Served::start(Http1, grace(SHORT)).await;
    let mut half_body = http1(served.address, "/echo", "content-length: 8\r\n").await;
    half_body.write_all(b"half").await.unwrap();
    let mut half_head = connect(served.address).await;
    half_head.write_all(b"GET /echo HT").await.unwrap();
    served.alive(1).await;
    cut(served.stop().await, 1);

    let served = Served::start(Http1, grace(PATIENCE)).await;
    let mut half_head = connect(served.address).await;
    half_head.write_all(b"GET /echo HT").await.unwrap();
    let (ended, after) = served.stop().await;
    ended.unwrap();
    assert!(after < PATIENCE, "{after:?}");
}

#[tokio::test]
async fn a_connection_in_the_middle_of_its_handshake_does_not_keep_the_server() {
    // Nothing, half a preface, a preface, and a preface with half a frame.
    for length in [0, 10, 24, 30] {
        let served = Served::start(Http2, grace(PATIENCE)).await;
        let mut peer = connect(served.address).await;
        peer.write_all(&preface()[..length]).await.unwrap();
        // A later connection was served, so this one was accepted.
        Client::connect(served.address)
            .await
            .call("/echo", &[])
            .await;
        let (ended, after) = served.stop().await;
        ended.unwrap();
        assert!(after < PATIENCE, "{length}: {after:?}");
    }
}

#[tokio::test]
async fn clients_are_told_to_go_away_and_which_calls_will_be_answered() {
    let served = Served::start(Http2, grace(PATIENCE)).await;
    let mut peer = connect(served.address).await;
    let bytes = [preface(), post(1, "/slow", &[])].concat();
    peer.write_all(&bytes).await.unwrap();
    while read_frame(&mut peer).await.unwrap().0 != 4 {}
    served.shutdown.cancel();
    let mut last_streams = Vec::new();
    while let Some((kind, _, _, payload)) = read_frame(&mut peer).await {
        match kind {
            // The first GOAWAY allows for calls on their way; the answer to the PING behind it
            // shows that none are left (RFC 9113 §6.8).
            7 => {
                assert_eq!(payload[4..8], [0; 4], "NO_ERROR");
                last_streams.push(payload[..4].to_vec());
                served.release.cancel();
            }
            6 => peer
                .write_all(&wire::frame(6, 1, 0, &payload))
                .await
                .unwrap(),
            _ => {}
        }
    }
    assert_eq!(last_streams, [[0x7f, 0xff, 0xff, 0xff], [0, 0, 0, 1]]);
    served.stop().await.0.unwrap();
}

#[tokio::test]
async fn during_the_drain_pause_the_listener_still_accepts() {
    let limits = Limits {
        drain_pause: Duration::from_secs(6),
        ..grace(PATIENCE)
    };
    let pause = limits.drain_pause;
    let served = Served::start(Http2, limits).await;
    let start = std::time::Instant::now();
    served.shutdown.cancel();
    let mut client = Client::connect(served.address).await;
    assert_eq!(client.call("/echo", &[]).await.body, b"question");
    refused(served.address).await;
    assert!(start.elapsed() >= pause);
    served.stop().await.0.unwrap();
}
