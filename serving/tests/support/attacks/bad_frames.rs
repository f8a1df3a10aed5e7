//! Every case of the corpus on a connection of its own.

use super::{
    bad_frames_corpus::{
        Verdict::{ConnectionError, Ignored, StreamError, Tolerated},
        of_connections, of_requests, of_streams,
    },
    peer::{Peer, Seen},
    siege::{Siege, Target},
};

pub(crate) async fn bad_frames_end_at_most_their_connection(target: &Target) {
    // What never becomes a preface, and an HTTP/1 connection that idles after its answer.
    let soon = ["--first-bytes", "2s", "--idle-timeout", "2s"];
    let siege = Siege::begin(target, &soon).await;
    let cases = [of_connections(), of_streams(), of_requests(target)].concat();
    let mut wrong = Vec::new();
    for (name, bytes, verdict) in cases {
        println!("{name}");
        let mut peer = Peer::hello(siege.grpc(), &[]).await;
        let seen = peer.flood(std::iter::once(bytes)).await;
        let seen = match verdict {
            StreamError => peer.read_until(seen, Seen::something).await,
            _ => seen,
        };
        let right = match verdict {
            Ignored => !seen.connection_ended() && seen.resets.is_empty(),
            StreamError => seen.something(),
            ConnectionError => seen.connection_ended(),
            Tolerated => true,
        };
        if !right {
            wrong.push(format!("{name}: {verdict:?}, but {seen:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");

    // Instead of a preface: HTTP/1, TLS, and a preface whose last byte is another.
    let tls = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03";
    let http_1 = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for bytes in [&tls[..], http_1, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r"] {
        let mut peer = Peer::connect(siege.grpc()).await;
        peer.send(bytes).await;
        peer.until_cut().await;
    }
    siege.end().await;
}
