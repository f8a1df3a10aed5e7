//! HTTP/1 in small pieces.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::siege::{Siege, Target};
use crate::program::PATIENCE;

const PEERS: usize = 100;
/// Between two pieces: shorter than any limit.
const PAUSE: Duration = Duration::from_millis(100);

/// Sends `first`, and then `piece` again and again. Returns what was answered until the connection
/// ended.
async fn dribble(mut stream: TcpStream, first: &[u8], piece: &[u8]) -> String {
    stream.write_all(first).await.expect("a buffer has room");
    let (mut reader, mut writer) = stream.split();
    let write = async {
        while writer.write_all(piece).await.is_ok() {
            sleep(PAUSE).await;
        }
        std::future::pending::<()>().await;
    };
    let read = async {
        let mut answer = Vec::new();
        let _ = reader.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let answer = async {
        tokio::select! {
            () = write => unreachable!("writing has no end of its own"),
            answer = read => answer,
        }
    };
    let answer = timeout(PATIENCE, answer).await;
    answer.expect("a slow peer should be cut")
}

async fn all_are_cut(siege: Siege, first: &'static [u8], piece: &'static [u8]) {
    let mut peers = Vec::new();
    for _ in 0..PEERS {
        let stream = TcpStream::connect(siege.rest()).await;
        let stream = stream.expect("the server accepts");
        peers.push(tokio::spawn(dribble(stream, first, piece)));
    }
    for peer in peers {
        let answer = peer.await.expect("a peer should be cut");
        let served = answer.starts_with("HTTP/1.1 200");
        assert!(!served, "{answer}");
    }
    siege.end().await;
}

pub(crate) async fn slow_heads_are_cut(target: &Target) {
    let siege = Siege::begin(target, &["--first-bytes", "1s"]).await;
    let first = b"GET / HTTP/1.1\r\nhost: localhost\r\nx-slow: ";
    all_are_cut(siege, first, b"x").await;
}

/// The head is whole. The body comes byte by byte for longer than a call may take, or pauses.
pub(crate) async fn slow_bodies_are_cut(target: &Target) {
    const HEAD: &[u8] =
        b"POST /v1/get_greetings HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n{";
    let siege = Siege::begin(target, &["--body-pause", "10s", "--max-call", "3s"]).await;
    all_are_cut(siege, HEAD, b" ").await;
    let siege = Siege::begin(target, &["--body-pause", "1s"]).await;
    all_are_cut(siege, HEAD, b"").await;
}
