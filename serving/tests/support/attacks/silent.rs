//! Peers that connect and do not go on.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{
    peer::Peer,
    siege::{Siege, Target, get},
    wire::{PING, PREFACE, frame},
};
use crate::program::PATIENCE;

const SOON: [&str; 2] = ["--first-bytes", "1s"];
const SILENT: usize = 2_000;

/// `count` connections on which nothing is said after `first`.
async fn connect(address: SocketAddr, count: usize, first: &[u8]) -> Vec<TcpStream> {
    let mut connections = Vec::new();
    for _ in 0..count {
        let stream = TcpStream::connect(address).await;
        let mut stream = stream.expect("the server accepts");
        stream.write_all(first).await.expect("a buffer has room");
        connections.push(stream);
    }
    connections
}

async fn are_cut(connections: Vec<TcpStream>) {
    let all = async {
        for mut stream in connections {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    };
    let cut = timeout(PATIENCE, all).await;
    cut.expect("every connection should be cut");
}

pub(crate) async fn silent_connections_are_cut(target: &Target) {
    let siege = Siege::begin(target, &SOON).await;
    are_cut(connect(siege.grpc(), SILENT, &[]).await).await;
    siege.end().await;
}

pub(crate) async fn silent_connections_to_rest_are_cut(target: &Target) {
    let siege = Siege::begin(target, &SOON).await;
    are_cut(connect(siege.rest(), SILENT, &[]).await).await;
    siege.end().await;
}

pub(crate) async fn idle_connections_to_rest_are_cut(target: &Target) {
    let siege = Siege::begin(target, &["--idle-timeout", "1s"]).await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        // Each asks as soon as it is open: one that waits for the others could be cut before.
        // And one that asked too late, on a busy machine, asks again.
        let mut opened = connect(siege.rest(), 1, &[]).await;
        while get(&mut opened[0], target.get).await.is_err() {
            opened = connect(siege.rest(), 1, &[]).await;
        }
        idle.append(&mut opened);
    }
    are_cut(idle).await;
    siege.end().await;
}

pub(crate) async fn half_a_preface_is_cut(target: &Target) {
    let siege = Siege::begin(target, &SOON).await;
    let silent = connect(siege.grpc(), 200, &PREFACE[..12]).await;
    // Each byte is a sign of life, and the last would come long after the limit.
    let mut slow = Peer::connect(siege.grpc()).await;
    let slow = async {
        for (at, byte) in PREFACE.iter().enumerate() {
            if !slow.send(&[*byte]).await {
                return;
            }
            assert!(at < PREFACE.len() - 1, "a slow preface should be cut");
            sleep(Duration::from_millis(300)).await;
        }
    };
    tokio::join!(are_cut(silent), slow);
    siege.end().await;
}

pub(crate) async fn a_preface_without_settings_is_cut(target: &Target) {
    let siege = Siege::begin(target, &SOON).await;
    let silent = connect(siege.grpc(), 200, PREFACE).await;
    let another_frame = [&PREFACE[..], &frame(PING, 0, 0, b"01234567")].concat();
    let talking = connect(siege.grpc(), 200, &another_frame).await;
    are_cut(silent).await;
    are_cut(talking).await;
    siege.end().await;
}
