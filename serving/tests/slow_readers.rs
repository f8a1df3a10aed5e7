//! Peers that read slowly, and go on reading: none of them is taken for one that stopped.

use std::time::{Duration, Instant};

use serving::{
    connection::Protocol::{Http1, Http2},
    limits::Limits,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/server.rs"]
mod server;
#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/wire.rs"]
mod wire;
use server::Served;
use wire::{connect_narrow, frame, post, preface};

const STALLED: Duration = Duration::from_secs(4);

/// 100 KB/s: what the kernel buffers for one connection takes several times the limit to read.
const PIECE: usize = 8 * 1024;
const PAUSE: Duration = Duration::from_millis(80);

#[tokio::test]
async fn a_steady_reader_is_not_cut_however_slow() {
    let limits = Limits {
        stalled_write: STALLED,
        ..Limits::default()
    };
    let windows = [
        frame(4, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]),
        frame(8, 0, 0, &[0x7f, 0, 0, 0]),
    ];
    let http2 = [preface(), windows.concat(), post(1, "/large", &[])].concat();
    let http1 = b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n".to_vec();
    let read = async |protocol, question: Vec<u8>| {
        let served = Served::start(protocol, limits.clone()).await;
        let mut peer = connect_narrow(served.address).await;
        peer.write_all(&question).await.unwrap();
        let begun = Instant::now();
        let mut piece = vec![0; PIECE];
        while begun.elapsed() < 3 * STALLED {
            peer.read_exact(&mut piece).await.unwrap();
            sleep(PAUSE).await;
        }
        assert_eq!(*served.alive.borrow(), 1, "{protocol:?}");
    };
    tokio::join!(read(Http1, http1), read(Http2, http2));
}
