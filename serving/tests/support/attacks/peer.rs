//! A peer that speaks HTTP/2 by hand.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use super::wire::{
    ACK, DATA, Frame, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, frame, settings, window_update,
};
use crate::program::PATIENCE;

const MARKER: &[u8; 8] = b"the end.";

pub(crate) struct Peer {
    reader: Reader,
    writer: OwnedWriteHalf,
}

struct Reader(OwnedReadHalf);

/// The server's answers until it closed the connection or answered the last PING.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The error of its last GOAWAY.
    pub(crate) goaway: Option<u32>,
    /// The connection ended.
    pub(crate) closed: bool,
    /// Streams that it reset.
    pub(crate) resets: Vec<u32>,
    /// The header blocks of its answers.
    pub(crate) headers: Vec<(u32, Vec<u8>)>,
}

impl Seen {
    pub(crate) fn connection_ended(&self) -> bool {
        self.closed || self.goaway.is_some_and(|error| error != 0)
    }

    /// The connection ended, or an answer or a reset came.
    pub(crate) fn something(&self) -> bool {
        self.connection_ended() || !self.resets.is_empty() || !self.headers.is_empty()
    }

    fn note(&mut self, frame: Frame) {
        match frame.kind {
            GOAWAY => {
                let error = frame.payload[4..8].try_into().expect("four bytes");
                self.goaway = Some(u32::from_be_bytes(error));
            }
            RST_STREAM => self.resets.push(frame.stream),
            HEADERS => self.headers.push((frame.stream, frame.payload)),
            _ => {}
        }
    }
}

impl Peer {
    /// A connection on which nothing was said.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await;
        Self::on(stream.expect("the server listens"))
    }

    pub(crate) fn on(stream: TcpStream) -> Self {
        let (reader, writer) = stream.into_split();
        let reader = Reader(reader);
        Self { reader, writer }
    }

    /// A connection that began well, with these settings.
    pub(crate) async fn hello(address: SocketAddr, values: &[(u16, u32)]) -> Self {
        let mut peer = Self::connect(address).await;
        let hello = [&PREFACE[..], &settings(values), &frame(4, ACK, 0, &[])].concat();
        assert!(peer.send(&hello).await, "a hello should be taken");
        peer
    }

    /// Writes, as far as the server takes it. Returns whether it took everything.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        let sent = timeout(PATIENCE, self.writer.write_all(bytes)).await;
        sent.is_ok_and(|sent| sent.is_ok())
    }

    /// The next frame, `None` when the connection has ended.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let frame = timeout(PATIENCE, self.reader.frame()).await;
        frame.expect("another frame or the end should come")
    }

    /// Waits until the server ends the connection.
    pub(crate) async fn until_cut(mut self) {
        while self.frame().await.is_some() {}
    }

    /// Writes everything and a last PING, while reading, until that is answered or the connection has
    /// ended.
    pub(crate) async fn flood(&mut self, floods: impl Iterator<Item = Vec<u8>>) -> Seen {
        let mut seen = Seen::default();
        let Self { reader, writer } = self;
        let write = async {
            for bytes in floods {
                if writer.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            let _ = writer.write_all(&frame(PING, 0, 0, MARKER)).await;
        };
        let read = async {
            while let Some(frame) = reader.frame().await {
                if frame.kind == PING && frame.payload == MARKER {
                    return;
                }
                seen.note(frame);
            }
            seen.closed = true;
        };
        let both = async {
            tokio::join!(write, read);
        };
        let all = timeout(PATIENCE, both).await;
        all.expect("the server should answer the last PING or close");
        seen
    }

    /// Reads on, giving connection window but no stream window, until `done` or the connection has
    /// ended.
    pub(crate) async fn read_until(
        &mut self,
        mut seen: Seen,
        done: impl Fn(&Seen) -> bool,
    ) -> Seen {
        while !done(&seen) && !seen.connection_ended() {
            let Some(read) = self.frame().await else {
                seen.closed = true;
                break;
            };
            let answer = match read.kind {
                PING if read.flags & ACK == 0 => frame(PING, ACK, 0, &read.payload),
                DATA if !read.payload.is_empty() => window_update(0, read.payload.len() as u32),
                _ => Vec::new(),
            };
            seen.note(read);
            self.send(&answer).await;
        }
        seen
    }
}

impl Reader {
    async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload,
        })
    }
}
