//! Headers and messages that are, or claim to be, larger than what is taken.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::{
    peer::{Peer, Seen},
    siege::{Siege, Target},
    unread::streams,
    wire::{
        DATA, END_HEADERS, END_STREAM, HEADERS, WINDOW_UPDATE, coded, frame, literal, message,
        request, text,
    },
};

const RESOURCE_EXHAUSTED: u32 = 8;
const OUT_OF_RANGE: u32 = 11;
const UNIMPLEMENTED: u32 = 12;
const TOO_LARGE: u32 = 431;

impl Seen {
    /// Returns true if an answer carries `number` as the value of a header.
    fn answers(&self, number: u32) -> bool {
        let coded = coded(number);
        let carries = |block: &[u8]| block.windows(coded.len()).any(|part| part == coded);
        self.headers.iter().any(|(_, block)| carries(block))
    }

    fn refuses_size(&self) -> bool {
        self.answers(OUT_OF_RANGE) || self.answers(RESOURCE_EXHAUSTED)
    }
}

/// One header of 3,000 bytes is sent once, and named 10,000 times by one byte.
pub(crate) async fn a_header_bomb_is_refused(target: &Target) {
    let siege = Siege::begin(target, &[]).await;
    let mut peer = Peer::hello(siege.grpc(), &[]).await;
    let mut seed = vec![0x40];
    seed.extend(text("x-bomb"));
    seed.extend(text(&"x".repeat(3_000)));
    let first = [request(target.path), seed].concat();
    let first = frame(HEADERS, END_HEADERS | END_STREAM, 1, &first);
    let bomb = [request(target.path), vec![0x80 | 62; 10_000]].concat();
    let bombs = streams(200)
        .skip(1)
        .map(|id| frame(HEADERS, END_HEADERS | END_STREAM, id, &bomb));
    let seen = peer.flood(std::iter::once(first).chain(bombs)).await;
    let refused = seen.answers(TOO_LARGE) || !seen.resets.is_empty();
    assert!(refused || seen.connection_ended(), "{seen:?}");
    drop(peer);
    siege.end().await;
}

pub(crate) async fn a_long_header_list_is_refused(target: &Target) {
    let siege = Siege::begin(target, &[]).await;
    let mut peer = Peer::hello(siege.grpc(), &[]).await;
    let long = literal("x-long", &"x".repeat(15_000));
    let two_frames = [
        frame(
            HEADERS,
            END_STREAM,
            1,
            &[request(target.path), long.clone()].concat(),
        ),
        frame(9, END_HEADERS, 1, &long),
    ];
    let seen = peer.flood(two_frames.into_iter()).await;
    let seen = peer.read_until(seen, Seen::something).await;
    assert!(
        seen.answers(TOO_LARGE) || seen.connection_ended(),
        "{seen:?}"
    );
    drop(peer);
    siege.end().await;
}

/// Sends one request on its own stream, not ended, and waits for the end of the answer. Servers may
/// say as gRPC's other implementations or as tonic that something is too large, and may not read
/// what is compressed at all.
async fn answer(siege: &Siege, headers: &[u8], data: &[u8]) -> Seen {
    let mut peer = Peer::hello(siege.grpc(), &[]).await;
    peer.send(&frame(HEADERS, END_HEADERS, 1, headers)).await;
    peer.send(&frame(DATA, 0, 1, data)).await;
    peer.read_until(Seen::default(), |seen| {
        seen.refuses_size() || seen.answers(UNIMPLEMENTED) || !seen.resets.is_empty()
    })
    .await
}

/// Nothing is read, or made room for, before the length is looked at.
pub(crate) async fn an_oversized_message_is_refused_by_its_length(target: &Target) {
    let siege = Siege::begin(target, &[]).await;
    for length in [4 * 1024 * 1024 + 1, u32::MAX] {
        let data = message(0, length, b"only the beginning");
        let seen = answer(&siege, &request(target.path), &data).await;
        assert!(seen.refuses_size(), "{length}: {seen:?}");
    }
    siege.end().await;
}

/// A few KiB, each of which would become 16 MiB.
pub(crate) async fn a_compressed_bomb_is_not_inflated(target: &Target) {
    let siege = Siege::begin(target, &[]).await;
    let gzip = [request(target.path), literal("grpc-encoding", "gzip")].concat();
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let written = bomb.write_all(&vec![0; 16 * 1024 * 1024]);
    written.expect("a vector takes everything");
    let bomb = bomb.finish().expect("a vector takes everything");
    let data = message(1, bomb.len() as u32, &bomb);
    for _ in 0..50 {
        let seen = answer(&siege, &gzip, &data).await;
        let refused = seen.refuses_size() || seen.answers(UNIMPLEMENTED);
        assert!(refused, "{seen:?}");
    }
    siege.end().await;
}

/// Large messages that never end: 100 MiB on their way, of which the server holds what it has room
/// for.
pub(crate) async fn half_sent_messages_are_held_within_their_room(target: &Target) {
    /// Bytes of one stream that the windows of a new connection take.
    const PART: usize = 256 * 1024;
    let siege = Siege::begin(target, &[]).await;
    let mut data = message(0, 4 * 1024 * 1024, &[]);
    data.resize(PART, b'x');
    let mut peers = Vec::new();
    for _ in 0..100 {
        let mut peer = Peer::hello(siege.grpc(), &[]).await;
        // The server's own window must be open before so much is sent.
        while peer.frame().await.expect("a window").kind != WINDOW_UPDATE {}
        let calls = streams(4).map(|id| {
            let mut call = frame(HEADERS, END_HEADERS, id, &request(target.path));
            for piece in data.chunks(16 * 1024) {
                call.extend(frame(DATA, 0, id, piece));
            }
            call
        });
        let seen = peer.flood(calls).await;
        assert!(!seen.connection_ended(), "{seen:?}");
        peers.push((peer, seen.answers(RESOURCE_EXHAUSTED)));
    }
    // A PING may be answered before the streams that came with it.
    let mut refused = 0;
    for (peer, early) in &mut peers {
        let seen = peer.flood(std::iter::empty()).await;
        refused += usize::from(*early || seen.answers(RESOURCE_EXHAUSTED));
    }
    assert!(refused > 50, "{refused} of 100 connections were refused");
    drop(peers);
    siege.end().await;
}
