//! Peers that ask and do not read the answers.

use std::net::SocketAddr;

use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::{
    peer::{Peer, Seen},
    siege::{Siege, Target},
    wire::{
        DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, WINDOW_UPDATE, frame, request,
        settings,
    },
};
use crate::program::PATIENCE;

const SOON: [&str; 2] = ["--stalled-write", "1s"];
const STREAMS: u32 = 200;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// A whole call on a stream; DATA in frames of at most 16 KiB.
fn call(target: &Target, stream: u32, length: usize) -> Vec<u8> {
    let mut call = frame(HEADERS, END_HEADERS, stream, &request(target.path));
    let message = target.message(length);
    for piece in message.chunks(16 * 1024) {
        call.extend(frame(DATA, 0, stream, piece));
    }
    call.extend(frame(DATA, END_STREAM, stream, &[]));
    call
}

/// The `count` first streams of a client.
pub(crate) fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| 2 * number + 1)
}

pub(crate) async fn streams_without_a_window_are_reset(target: &Target) {
    let siege = Siege::begin(target, &SOON).await;
    let mut peer = Peer::hello(siege.grpc(), &[(INITIAL_WINDOW_SIZE, 0)]).await;
    for stream in streams(STREAMS) {
        assert!(peer.send(&call(target, stream, 10)).await);
    }
    let seen = peer
        .read_until(Seen::default(), |seen| {
            seen.resets.len() == STREAMS as usize
        })
        .await;
    assert!(!seen.connection_ended(), "{seen:?}");
    drop(peer);
    siege.end().await;
}

/// One byte of window is enough for hyper to hand a whole frame of an answer to h2.
pub(crate) async fn large_answers_without_a_window_are_reset(target: &Target) {
    let siege = Siege::begin(target, &SOON).await;
    let mut peer = Peer::hello(siege.grpc(), &[(INITIAL_WINDOW_SIZE, 1)]).await;
    // The server's own window must be open before so much is sent.
    while peer.frame().await.expect("a window").kind != WINDOW_UPDATE {}
    for stream in streams(3) {
        assert!(peer.send(&call(target, stream, 200 * 1024)).await);
    }
    let seen = peer
        .read_until(Seen::default(), |seen| seen.resets.len() == 3)
        .await;
    assert!(!seen.connection_ended(), "{seen:?}");
    drop(peer);
    siege.end().await;
}

/// A connection with as little room for answers as the system allows.
async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let narrow = socket.set_recv_buffer_size(4 * 1024);
    narrow.expect("a buffer may be small");
    let stream = socket.connect(address).await;
    stream.expect("the server listens")
}

/// Writes `bytes` again and again, reading nothing, until the connection is cut.
async fn write_until_cut(
    siege: &Siege,
    mut stream: TcpStream,
    floods: impl Iterator<Item = Vec<u8>>,
) {
    let all = async {
        for bytes in floods {
            if stream.write_all(&bytes).await.is_err() {
                return true;
            }
        }
        false
    };
    let cut = timeout(PATIENCE, all).await;
    assert_eq!(cut, Ok(true), "a peer that does not read should be cut");
    siege.descriptors_return().await;
}

pub(crate) async fn requests_whose_answers_are_not_read_are_cut(target: &Target) {
    let siege = Siege::begin(target, &SOON).await;
    let mut stream = narrow(siege.grpc()).await;
    // The largest windows there are: only TCP holds the answers back.
    let hello = [
        &PREFACE[..],
        &settings(&[(INITIAL_WINDOW_SIZE, i32::MAX as u32)]),
        &super::wire::window_update(0, i32::MAX as u32 - 65_535),
    ]
    .concat();
    stream.write_all(&hello).await.expect("a buffer has room");
    let calls = streams(500_000).map(|stream| call(target, stream, 200));
    write_until_cut(&siege, stream, calls).await;
    siege.end().await;
}

pub(crate) async fn pings_whose_answers_are_not_read_are_cut(target: &Target) {
    let siege = Siege::begin(target, &SOON).await;
    let mut stream = narrow(siege.grpc()).await;
    let hello = [&PREFACE[..], &settings(&[])].concat();
    stream.write_all(&hello).await.expect("a buffer has room");
    let pings = frame(PING, 0, 0, b"01234567").repeat(1_000);
    let pings = std::iter::repeat_n(pings, 10_000);
    write_until_cut(&siege, stream, pings).await;
    siege.end().await;
}

pub(crate) async fn pipelined_requests_whose_answers_are_not_read_are_cut(target: &Target) {
    let siege = Siege::begin(target, &SOON).await;
    let stream = narrow(siege.rest()).await;
    let requests = target.get.repeat(100).into_bytes();
    let requests = std::iter::repeat_n(requests, 10_000);
    write_until_cut(&siege, stream, requests).await;
    siege.end().await;
}
