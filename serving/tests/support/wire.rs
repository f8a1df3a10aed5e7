//! Clients that show what is on the wire. The test files include it by path.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

const PATIENCE: Duration = Duration::from_secs(120);

/// Connects.
pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
    let stream = timeout(PATIENCE, TcpStream::connect(address)).await;
    stream.expect("it should connect").expect("it listens")
}

/// Connects, with little room in the kernel for what is not read.
pub(crate) async fn connect_narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("there is a descriptor");
    let narrowed = socket.set_recv_buffer_size(8 * 1024);
    narrowed.expect("it is not connected");
    let stream = timeout(PATIENCE, socket.connect(address)).await;
    stream.expect("it should connect").expect("it listens")
}

/// Waits until nobody listens at `address`.
pub(crate) async fn refused(address: SocketAddr) {
    let refused = async { while TcpStream::connect(address).await.is_ok() {} };
    timeout(PATIENCE, refused).await.expect("it should close");
}

type Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// One HTTP/2 connection of a client that reads.
#[derive(Clone)]
pub(crate) struct Client(SendRequest<Body>);

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TokioIo::new(connect(address).await);
        let handshake = http2::handshake(TokioExecutor::new(), stream);
        let (sender, driver) = handshake.await.expect("a handshake never waits");
        tokio::spawn(driver);
        Self(sender)
    }

    /// Sends `headers` and `body`, whose end comes only if it is `whole`, and awaits the head of the
    /// answer. `path` is one of localhost, or names its host itself.
    pub(crate) async fn send(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: &'static str,
        whole: bool,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let body = stream::iter([Ok(Frame::data(Bytes::from_static(body.as_bytes())))]);
        let body = if whole {
            StreamBody::new(body).boxed_unsync()
        } else {
            StreamBody::new(body.chain(stream::pending())).boxed_unsync()
        };
        let mut request = match path.starts_with('/') {
            true => Request::post(format!("http://localhost{path}")),
            false => Request::post(path),
        };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).expect("it is a request");
        let answer = timeout(PATIENCE, self.0.send_request(request)).await;
        answer.expect("an answer should begin")
    }

    /// Calls `path`, and awaits the whole answer.
    pub(crate) async fn call(&mut self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let answer = self.send(path, headers, "question", true).await;
        Answer::read(answer.expect("the connection should not break")).await
    }
}

/// A gRPC answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) body: Vec<u8>,
    pub(crate) status: Status,
}

impl Answer {
    pub(crate) async fn read(response: Response<Incoming>) -> Self {
        let mut headers: HeaderMap = response.headers().clone();
        let (mut body, mut bytes) = (response.into_body(), Vec::new());
        while let Some(frame) = timeout(PATIENCE, body.frame())
            .await
            .expect("it should go on")
        {
            match frame.expect("the stream should not break").into_data() {
                Ok(data) => bytes.extend_from_slice(&data),
                Err(frame) => headers.extend(frame.into_trailers().expect("it is no data")),
            }
        }
        let status = Status::from_header_map(&headers);
        Self {
            body: bytes,
            status: status.unwrap_or_else(|| Status::unknown("there is no status")),
        }
    }

    /// Asserts that it ended with `code`, and that the caller may retry if `retry` says so.
    #[track_caller]
    pub(crate) fn ended(&self, code: Code, retry: bool) {
        assert_eq!(self.status.code(), code, "{:?}", self.status);
        let details = self.status.get_error_details();
        let delay = details.retry_info().and_then(|info| info.retry_delay);
        assert_eq!(delay.is_some_and(|delay| !delay.is_zero()), retry);
    }
}

/// Sends an HTTP/1 request for `path` with `headers`, each with its line end.
pub(crate) async fn http1(address: SocketAddr, path: &str, headers: &str) -> TcpStream {
    let mut stream = connect(address).await;
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
    let written = stream.write_all(head.as_bytes()).await;
    written.expect("the server reads");
    stream
}

/// Reads until the server closes the connection or breaks it.
pub(crate) async fn rest(mut stream: impl tokio::io::AsyncRead + Unpin) -> String {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // A connection that breaks leaves what came before.
    let _ = read.expect("it should end");
    String::from_utf8(bytes).expect("the server writes text")
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it is short");
    let head = [&length.to_be_bytes()[1..], &[kind, flags]].concat();
    [&head[..], &stream.to_be_bytes(), payload].concat()
}

/// A whole POST without a body on `stream` (RFC 7541 §6).
pub(crate) fn post(stream: u32, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).expect("it is short");
        [&[length], text.as_bytes()].concat()
    };
    let mut block = [&[0x83, 0x86, 0x04], &text(path)[..]].concat();
    for (name, value) in headers {
        block.extend([&[0], &text(name)[..], &text(value)].concat());
    }
    frame(1, 0x5, stream, &block)
}

/// The first bytes of every client of HTTP/2: the preface, and settings that change nothing.
pub(crate) fn preface() -> Vec<u8> {
    [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        &frame(4, 0, 0, &[]),
    ]
    .concat()
}

/// Reads one frame, as (kind, flags, stream, payload); none at the end of the connection.
pub(crate) async fn read_frame(stream: &mut TcpStream) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    let read = timeout(PATIENCE, stream.read_exact(&mut head)).await;
    read.expect("a frame should come").ok()?;
    let [a, b, c, kind, flags, id @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    let read = timeout(PATIENCE, stream.read_exact(&mut payload)).await;
    read.expect("it should be whole").expect("it is whole");
    Some((kind, flags, u32::from_be_bytes(id), payload))
}
