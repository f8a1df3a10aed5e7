//! The longest life and silence of a connection, and the worker that serves it.

use std::{collections::BTreeMap, time::Duration};

use serving::{
    connection::Protocol::{Http1, Http2},
    limits::Limits,
    workers::Workers,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tonic::Code;

#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/server.rs"]
mod server;
#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/wire.rs"]
mod wire;
use server::{PATIENCE, Served};
use wire::{Client, connect, frame, http1, post, preface, read_frame, rest};

fn young() -> Limits {
    Limits {
        connection_age: Duration::from_millis(200),
        ..Limits::default()
    }
}

#[tokio::test]
async fn an_old_connection_is_told_to_go_away_and_its_call_finishes() {
    let served = Served::start(Http2, young()).await;
    let mut peer = connect(served.address).await;
    let bytes = [preface(), post(1, "/slow", &[])].concat();
    peer.write_all(&bytes).await.unwrap();
    // Until the server has closed it.
    let answer = async {
        let (mut told, mut answer) = (false, None);
        while let Some((kind, _, stream, payload)) = read_frame(&mut peer).await {
            match kind {
                6 => peer.write_all(&frame(6, 1, 0, &payload)).await.unwrap(),
                7 => {
                    assert_eq!(payload[4..8], [0; 4], "NO_ERROR");
                    told = true;
                    served.release.cancel();
                }
                0 => {
                    assert!(told, "it was answered before it was old");
                    answer = Some((stream, payload));
                }
                _ => {}
            }
        }
        answer
    };
    let answer = timeout(PATIENCE, answer).await.expect("it should be old");
    assert_eq!(answer, Some((1, b"whole".to_vec())));
    // The server goes on, for those who connect again.
    let mut client = Client::connect(served.address).await;
    client.call("/echo", &[]).await.ended(Code::Ok, false);
    served.stop().await.0.unwrap();
}

#[tokio::test]
async fn an_old_http1_connection_ends_after_its_answer_or_where_it_is_idle() {
    let mut served = Served::start(Http1, young()).await;
    let asking = http1(served.address, "/slow", "").await;
    served.alive(1).await;
    // It ends, with nothing said: there was no request.
    assert_eq!(rest(connect(served.address).await).await, "");
    served.release.cancel();
    let answer = rest(asking).await;
    assert!(answer.ends_with("\r\nwhole\r\n0\r\n\r\n"), "{answer}");
    served.stop().await.0.unwrap();
}

#[tokio::test]
async fn a_silent_http2_peer_is_pinged_until_it_does_not_answer() {
    let limits = Limits {
        keepalive_interval: Duration::from_millis(200),
        keepalive_timeout: Duration::from_millis(500),
        ..Limits::default()
    };
    let served = Served::start(Http2, limits).await;
    let mut peer = connect(served.address).await;
    peer.write_all(&preface()).await.unwrap();
    let mut pings = 0;
    while let Some((kind, flags, _, payload)) = read_frame(&mut peer).await {
        if (kind, flags) == (6, 0) {
            pings += 1;
            if pings <= 2 {
                peer.write_all(&frame(6, 1, 0, &payload)).await.unwrap();
            }
        }
    }
    assert_eq!(pings, 3, "the last one was not answered");
    served.stop().await.0.unwrap();
}

#[tokio::test]
async fn an_old_connection_whose_peer_has_vanished_does_not_wait_for_its_call() {
    let limits = Limits {
        keepalive_interval: Duration::from_millis(200),
        keepalive_timeout: Duration::from_millis(500),
        longest_call: PATIENCE * 2,
        ..young()
    };
    let mut served = Served::start(Http2, limits).await;
    let mut peer = connect(served.address).await;
    let bytes = [preface(), post(1, "/slow", &[])].concat();
    peer.write_all(&bytes).await.unwrap();
    served.alive(1).await;
    // It answers no ping, neither before it is told to go away nor after.
    let mut told = false;
    while let Some((kind, ..)) = read_frame(&mut peer).await {
        told |= kind == 7;
    }
    assert!(told);
    served.alive(0).await;
    served.stop().await.0.unwrap();
}

/// Reads what comes, and answers pings, until the connection is closed. Returns the reasons of its GOAWAYs.
async fn told(mut peer: TcpStream) -> Vec<Vec<u8>> {
    let mut told = Vec::new();
    while let Some((kind, flags, _, payload)) = read_frame(&mut peer).await {
        match (kind, flags) {
            (6, 0) => drop(peer.write_all(&frame(6, 1, 0, &payload)).await),
            (7, _) => told.push(payload[4..8].to_vec()),
            _ => {}
        }
    }
    told
}

#[tokio::test]
async fn an_idle_http2_connection_is_told_to_go_however_lively_it_is() {
    let limits = Limits {
        idle: Duration::from_millis(500),
        keepalive_interval: Duration::from_millis(100),
        ..Limits::default()
    };
    let mut served = Served::start(Http2, limits).await;
    let mut asking = connect(served.address).await;
    let bytes = [preface(), post(1, "/slow", &[])].concat();
    asking.write_all(&bytes).await.unwrap();
    served.alive(1).await;
    let mut silent = connect(served.address).await;
    let mut lively = connect(served.address).await;
    silent.write_all(&preface()).await.unwrap();
    lively.write_all(&preface()).await.unwrap();
    let (read, mut write) = lively.into_split();
    let frames = [
        frame(4, 0, 0, &[]),
        frame(6, 0, 0, b"01234567"),
        frame(8, 0, 0, &[0, 0, 0, 1]),
        frame(2, 0, 1, &[0, 0, 0, 0, 1]),
    ];
    let frames = frames.concat();
    let says = async {
        while write.write_all(&frames).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let reads = async {
        let mut read = read;
        let mut bytes = Vec::new();
        let _ = read.read_to_end(&mut bytes).await;
    };
    let ends = async { tokio::join!(says, reads, told(silent)).2 };
    let goaways = timeout(PATIENCE, ends).await.expect("both should end");
    assert!(!goaways.is_empty() && goaways.iter().all(|reason| reason == &[0; 4]));
    // The one that waits for its answer was there before, and is there still.
    served.release.cancel();
    let mut answered = false;
    while let Some((kind, ..)) = read_frame(&mut asking).await {
        answered |= kind == 0;
    }
    assert!(answered);
    served.stop().await.0.unwrap();
}

/// Proxies keep connections for longer than a head may take.
#[tokio::test]
async fn an_idle_http1_connection_outlives_a_slow_head() {
    let limits = Limits {
        first_bytes: Duration::from_millis(300),
        ..Limits::default()
    };
    let served = Served::start(Http1, limits).await;
    let mut idle = http1(served.address, "/short", "").await;
    let answer = "HTTP/1.1 200 OK";
    let mut begun = vec![0; answer.len()];
    idle.read_exact(&mut begun).await.unwrap();
    // One that begins a head, and one that asks first: neither goes on with a head it has begun.
    let mut slow = connect(served.address).await;
    slow.write_all(b"GET /short HTTP/1.1\r\n").await.unwrap();
    let second = http1(served.address, "/short", "").await;
    let (mut read, mut write) = second.into_split();
    let mut second = vec![0; answer.len()];
    read.read_exact(&mut second).await.unwrap();
    write.write_all(b"GET /short").await.unwrap();
    assert_eq!(rest(slow).await, "");
    rest(read).await;
    idle.write_all(b"GET /sized HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(rest(idle).await.contains(answer));
    served.stop().await.0.unwrap();
}

#[tokio::test]
async fn an_idle_http1_connection_is_closed() {
    let limits = Limits {
        idle: Duration::from_millis(300),
        ..Limits::default()
    };
    let served = Served::start(Http1, limits).await;
    let idle = http1(served.address, "/short", "").await;
    assert!(rest(idle).await.ends_with("whole"));
    served.stop().await.0.unwrap();
}

#[tokio::test]
async fn the_longest_idle_connection_makes_room_for_the_next() {
    for protocol in [Http1, Http2] {
        let limits = Limits {
            connections: 3,
            ..Limits::default()
        };
        let mut served = Served::start(protocol, limits).await;
        let hello = match protocol {
            Http2 => preface(),
            _ => Vec::new(),
        };
        let mut busy = connect(served.address).await;
        let ask = match protocol {
            Http2 => [preface(), post(1, "/slow", &[])].concat(),
            _ => b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        };
        busy.write_all(&ask).await.unwrap();
        served.alive(1).await;
        let mut idle = Vec::new();
        for _ in 0..2 {
            let mut peer = connect(served.address).await;
            peer.write_all(&hello).await.unwrap();
            idle.push(peer);
        }
        let mut next = connect(served.address).await;
        next.write_all(&ask).await.unwrap();
        served.alive(2).await;
        // The first that came.
        let mut first = idle.remove(0);
        let mut left = Vec::new();
        let closed = first.read_to_end(&mut left);
        let _ = timeout(PATIENCE, closed).await.expect("it made room");
        served.release.cancel();
        let mut second = idle.remove(0);
        second.write_all(&ask[hello.len()..]).await.unwrap();
        for mut asked in [busy, next, second] {
            let mut come = Vec::new();
            while !String::from_utf8_lossy(&come).contains("whole") {
                let read = asked.read_buf(&mut come);
                let read = timeout(PATIENCE, read)
                    .await
                    .expect("it should be answered");
                assert!(read.unwrap() > 0, "{protocol:?}: it was closed");
            }
        }
        served.stop().await.0.unwrap();
    }
}

#[tokio::test]
async fn connections_spread_evenly_over_the_workers() {
    let workers = Workers::start(2).unwrap();
    let served = Served::with_workers(Http2, Limits::default(), workers).await;
    let (mut clients, mut of_worker) = (Vec::new(), BTreeMap::<_, usize>::new());
    for _ in 0..6 {
        let mut client = Client::connect(served.address).await;
        let worker = client.call("/worker", &[]).await.body;
        *of_worker
            .entry(String::from_utf8(worker).unwrap())
            .or_default() += 1;
        clients.push(client);
    }
    let evenly = [("worker-0".to_owned(), 3), ("worker-1".to_owned(), 3)];
    assert_eq!(of_worker, BTreeMap::from(evenly));
    served.stop().await.0.unwrap();
}
