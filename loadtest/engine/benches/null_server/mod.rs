//! A server that does nothing but reply: fixed bytes, no routing, no header is read that framing does
//! not need. It runs on one thread.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// The reply over HTTP.
pub(crate) const JSON: &[u8] =
    br#"{"greetings":"Here is your greetings --> Today is a special day! (Diwali, 2023)"}"#;

/// The reply over gRPC, without its prefix.
pub(crate) const MESSAGE: &[u8] =
    b"\x0a\x41Here is your greetings --> Today is a special day! (Diwali, 2023)";

/// The trailers over gRPC-Web.
const STATUS: &[u8] = b"grpc-status:0\r\n";

/// Bytes of a frame's head (RFC 9113 §4.1).
const FRAME: usize = 9;

/// Its protocol.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// HTTP/1.1.
    Http1,
    /// gRPC over HTTP/2.
    Grpc,
    /// gRPC-Web over HTTP/1.1.
    GrpcWeb,
    /// HTTP/2, with a content type that is not gRPC's.
    NotGrpc,
}

/// A running one.
pub(crate) struct NullServer {
    pub(crate) address: SocketAddr,
    /// Connections until now.
    pub(crate) connections: Arc<AtomicUsize>,
}

impl NullServer {
    /// Listens on a free port of this machine and serves for as long as the runtime runs.
    pub(crate) async fn start(kind: Kind) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let connections: Arc<AtomicUsize> = Arc::default();
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Relaxed);
                let _ = stream.set_nodelay(true);
                tokio::spawn(async move {
                    let _ = match kind {
                        Kind::Http1 => http1(stream, "application/json", JSON).await,
                        Kind::GrpcWeb => {
                            let body = [&framed(0, MESSAGE)[..], &framed(0x80, STATUS)].concat();
                            http1(stream, "application/grpc-web+proto", &body).await
                        }
                        Kind::Grpc => http2(stream, b"application/grpc").await,
                        Kind::NotGrpc => http2(stream, b"application/json").await,
                    };
                });
            }
        });
        Ok(Self {
            address,
            connections,
        })
    }
}

async fn http1(mut stream: TcpStream, media: &str, body: &[u8]) -> std::io::Result<Infallible> {
    let mut reply = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {media}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    reply.extend_from_slice(body);
    let (mut read, mut output) = (Vec::with_capacity(16_384), Vec::with_capacity(4_096));
    loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        while let Some(length) = request_length(&read) {
            if read.len() < length {
                break;
            }
            read.drain(..length);
            output.extend_from_slice(&reply);
        }
        stream.write_all(&output).await?;
        output.clear();
    }
}

/// Bytes of the first request in `read`, if its head is there.
fn request_length(read: &[u8]) -> Option<usize> {
    const LENGTH: &[u8] = b"content-length: ";
    let head = read.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let at = read[..head]
        .windows(LENGTH.len())
        .position(|name| name.eq_ignore_ascii_case(LENGTH));
    let digits = |at: usize| {
        read[at + LENGTH.len()..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
    };
    let body = at.map_or(0, |at| {
        digits(at).fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
    });
    Some(head + body)
}

async fn http2(mut stream: TcpStream, media: &[u8; 16]) -> std::io::Result<Infallible> {
    const PREFACE: usize = 24;
    let mut preface = [0; PREFACE];
    stream.read_exact(&mut preface).await?;
    // SETTINGS, and all the window there is for the connection.
    let mut output = frame(4, 0, 0, &[]);
    output.extend(frame(8, 0, 0, &0x7fff_0000_u32.to_be_bytes()));
    let mut read = Vec::with_capacity(16_384);
    loop {
        stream.write_all(&output).await?;
        output.clear();
        if stream.read_buf(&mut read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let mut done = 0;
        while let Some(head) = read[done..].first_chunk::<FRAME>() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some(payload) = read.get(done + FRAME..done + FRAME + length) else {
                break;
            };
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            answer((head[3], head[4], stream), payload, media, &mut output);
            done += FRAME + length;
        }
        read.drain(..done);
    }
}

/// A message or trailers in a frame of gRPC.
fn framed(flag: u8, bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u32).to_be_bytes();
    [&[flag][..], &length, bytes].concat()
}

/// Answers a frame: what ends a stream gets the reply.
fn answer(
    (kind, flags, stream): (u8, u8, u32),
    payload: &[u8],
    media: &[u8; 16],
    output: &mut Vec<u8>,
) {
    const END_STREAM: u8 = 1;
    match (kind, flags & 1) {
        (0 | 1, END_STREAM) => {
            // :status 200 of the static table, and content-type (RFC 7541 §6.1, §6.2.2).
            let mut headers = vec![0x88, 0x0f, 0x10, 16];
            headers.extend_from_slice(media);
            output.extend(frame(1, 4, stream, &headers));
            let data = framed(0, MESSAGE);
            output.extend(frame(0, 0, stream, &data));
            output.extend(frame(1, 5, stream, b"\x00\x0bgrpc-status\x010"));
        }
        (4, 0) => output.extend(frame(4, 1, 0, &[])),
        (6, 0) => output.extend(frame(6, 1, 0, payload)),
        _ => {}
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}
