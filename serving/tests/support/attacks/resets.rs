//! Streams that end as soon as they began, in the hope that the work behind them goes on.

use super::{
    peer::Peer,
    siege::{Siege, Target},
    unread::streams,
    wire::{
        DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, RST_STREAM, frame, literal,
        request, window_update,
    },
};

const STREAMS: u32 = 20_000;
/// Most resets that a peer may provoke from the server: HTTP/2 local resets in the limits table.
const MOST_RESETS: usize = 100;

/// CVE-2023-44487.
pub(crate) async fn a_rapid_reset_ends_its_connection(target: &Target) {
    let siege = Siege::begin(target, &[]).await;
    let mut peer = Peer::hello(siege.grpc(), &[]).await;
    let ids: Vec<u32> = streams(STREAMS).collect();
    let floods = ids.chunks(100).map(|ids| {
        let pairs = ids.iter().flat_map(|id| {
            let open = frame(HEADERS, END_HEADERS, *id, &request(target.path));
            [open, frame(RST_STREAM, 0, *id, &8_u32.to_be_bytes())].concat()
        });
        pairs.collect()
    });
    let seen = peer.flood(floods).await;
    assert!(seen.connection_ended(), "{seen:?}");
    assert!(
        matches!(seen.goaway, None | Some(ENHANCE_YOUR_CALM)),
        "{seen:?}"
    );
    drop(peer);
    siege.end().await;
}

/// Makes a stream that the server resets.
type Provoke<'a> = &'a (dyn Fn(u32) -> Vec<u8> + Sync);

/// RUSTSEC-2024-0003: the peer does not reset, it makes the server reset.
pub(crate) async fn provoked_resets_end_their_connection(target: &Target) {
    let siege = Siege::begin(target, &[]).await;
    let headers = |id, flags, more: &[u8]| {
        let block = [&request(target.path), more].concat();
        frame(HEADERS, END_HEADERS | flags, id, &block)
    };
    let open = |id| headers(id, 0, &[]);
    let provocations: [(&str, Provoke<'_>); 5] = [
        ("no more window", &|id| {
            [open(id), window_update(id, 0)].concat()
        }),
        ("too much window", &|id| {
            [open(id), window_update(id, i32::MAX as u32)].concat()
        }),
        ("a header of HTTP/1", &|id| {
            headers(id, END_STREAM, &literal("connection", "close"))
        }),
        ("a wrong length", &|id| {
            let data = frame(DATA, END_STREAM, id, b"x");
            [headers(id, 0, &literal("content-length", "9")), data].concat()
        }),
        ("data after the end", &|id| {
            [
                headers(id, END_STREAM, &[]),
                frame(DATA, END_STREAM, id, b"x"),
            ]
            .concat()
        }),
    ];
    for (name, provoke) in provocations {
        // All at once.
        let mut peer = Peer::hello(siege.grpc(), &[]).await;
        let ids: Vec<u32> = streams(STREAMS).collect();
        let floods = ids
            .chunks(100)
            .map(|ids| ids.iter().flat_map(|id| provoke(*id)).collect());
        let seen = peer.flood(floods).await;
        assert!(seen.connection_ended(), "{name}: {seen:?}");

        // One by one, so that each reset is seen.
        let mut peer = Peer::hello(siege.grpc(), &[]).await;
        let mut resets = 0;
        let ended = async {
            for id in &ids {
                let seen = peer.flood([provoke(*id)].into_iter()).await;
                resets += seen.resets.len();
                if seen.connection_ended() {
                    return true;
                }
            }
            false
        };
        assert!(ended.await, "{name}: {resets} resets and no end");
        assert!(resets <= MOST_RESETS, "{name}: {resets} resets");
    }
    siege.end().await;
}
