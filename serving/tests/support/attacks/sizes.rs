//! Headers and messages that are, or claim to be, larger than what is taken.

use super::{
    peer::{Peer, Seen},
    siege::{Siege, Target},
    unread::streams,
    wire::{DATA, END_HEADERS, END_STREAM, HEADERS, coded, frame, literal, message, request, text},
};

const OUT_OF_RANGE: u32 = 11;
const UNIMPLEMENTED: u32 = 12;
const TOO_LARGE: u32 = 431;

impl Seen {
    /// Whether an answer carries `number` as the value of a header.
    fn answers(&self, number: u32) -> bool {
        let coded = coded(number);
        let carries = |block: &[u8]| block.windows(coded.len()).any(|part| part == coded);
        self.headers.iter().any(|(_, block)| carries(block))
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

/// Sends one request on its own stream, not ended, and waits for the end of the answer.
async fn answer(siege: &Siege, headers: &[u8], data: &[u8]) -> Seen {
    let mut peer = Peer::hello(siege.grpc(), &[]).await;
    peer.send(&frame(HEADERS, END_HEADERS, 1, headers)).await;
    peer.send(&frame(DATA, 0, 1, data)).await;
    let over = |seen: &Seen| seen.answers(OUT_OF_RANGE) || seen.answers(UNIMPLEMENTED);
    peer.read_until(Seen::default(), |seen| {
        over(seen) || !seen.resets.is_empty()
    })
    .await
}

/// Nothing is read, or made room for, before the length is looked at.
pub(crate) async fn an_oversized_message_is_refused_by_its_length(target: &Target) {
    let siege = Siege::begin(target, &[]).await;
    for length in [4 * 1024 * 1024 + 1, u32::MAX] {
        let data = message(0, length, b"only the beginning");
        let seen = answer(&siege, &request(target.path), &data).await;
        assert!(seen.answers(OUT_OF_RANGE), "{length}: {seen:?}");
    }
    siege.end().await;
}

pub(crate) async fn a_compressed_bomb_is_not_inflated(target: &Target) {
    let siege = Siege::begin(target, &[]).await;
    let gzip = [request(target.path), literal("grpc-encoding", "gzip")].concat();
    let data = message(1, 10_000, &[0; 10_000]);
    let seen = answer(&siege, &gzip, &data).await;
    assert!(seen.answers(UNIMPLEMENTED), "{seen:?}");
    siege.end().await;
}
