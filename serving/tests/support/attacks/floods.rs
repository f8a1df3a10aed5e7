//! Frames that cost their sender little.

use std::iter::{once, repeat_n};

use super::{
    peer::Peer,
    siege::{Siege, Target},
    unread::streams,
    wire::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, frame, literal, request,
        settings,
    },
};

/// CVE-2024-27316 and its like.
pub(crate) async fn a_continuation_flood_ends_its_connection(target: &Target) {
    let siege = Siege::begin(target, &[]).await;
    let open = frame(HEADERS, END_STREAM, 1, &request(target.path));
    let header = literal("x-more", &"x".repeat(1000));
    for block in [&header[..], &[]] {
        let mut peer = Peer::hello(siege.grpc(), &[]).await;
        let more = frame(CONTINUATION, 0, 1, block).repeat(10);
        let seen = peer
            .flood(once(open.clone()).chain(repeat_n(more, 2_000)))
            .await;
        assert!(seen.connection_ended(), "{seen:?}");
    }
    siege.end().await;
}

pub(crate) async fn a_flood_of_empty_data_ends_its_connection(target: &Target) {
    let siege = Siege::begin(target, &[]).await;
    let mut peer = Peer::hello(siege.grpc(), &[]).await;
    let open = frame(HEADERS, END_HEADERS, 1, &request(target.path));
    let empty = frame(DATA, 0, 1, &[]).repeat(100);
    let seen = peer.flood(once(open).chain(repeat_n(empty, 1_000))).await;
    assert!(seen.connection_ended(), "{seen:?}");
    drop(peer);
    siege.end().await;
}

/// Frames of one byte, of messages that never become whole.
pub(crate) async fn small_frames_take_no_more_memory_than_they_carry(target: &Target) {
    let siege = Siege::begin(target, &[]).await;
    let mut peers = Vec::new();
    for _ in 0..4 {
        let mut peer = Peer::hello(siege.grpc(), &[]).await;
        let ids: Vec<u32> = streams(100).collect();
        let open = ids.iter().flat_map(|id| {
            let open = frame(HEADERS, END_HEADERS, *id, &request(target.path));
            [open, frame(DATA, 0, *id, &[0, 0, 0x3f, 0, 0])].concat()
        });
        let bytes: Vec<u8> = ids
            .iter()
            .flat_map(|id| frame(DATA, 0, *id, b"x"))
            .collect();
        let seen = peer.flood(once(open.collect()).chain(repeat_n(bytes, 300)));
        let seen = seen.await;
        assert!(!seen.connection_ended(), "{seen:?}");
        peers.push(peer);
    }
    drop(peers);
    siege.end().await;
}

/// CVE-2019-9512. Each is answered before the next is read.
pub(crate) async fn a_ping_flood_takes_no_memory(target: &Target) {
    let siege = Siege::begin(target, &[]).await;
    let mut peer = Peer::hello(siege.grpc(), &[]).await;
    let pings = frame(PING, 0, 0, b"01234567").repeat(100);
    peer.flood(repeat_n(pings, 500)).await;
    drop(peer);
    siege.end().await;
}

/// CVE-2019-9515.
pub(crate) async fn a_settings_flood_takes_no_memory(target: &Target) {
    let siege = Siege::begin(target, &[]).await;
    let mut peer = Peer::hello(siege.grpc(), &[]).await;
    let all = settings(&[(1, 4096), (3, 100), (4, 65_535), (5, 16_384)]).repeat(100);
    peer.flood(repeat_n(all, 300)).await;
    drop(peer);
    siege.end().await;
}
