//! How long a connection may live or be silent, and which worker serves it.

use std::{collections::BTreeMap, time::Duration};

use serving::{
    connection::Protocol::{Http1, Http2},
    limits::Limits,
    workers::Workers,
};
use tokio::{io::AsyncWriteExt, time::timeout};
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
