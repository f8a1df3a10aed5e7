//! Connections to both listeners, and every form of request and answer over them.

use std::{convert::Infallible, net::SocketAddr};

use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Bytes, Frame, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, time::timeout};

use super::{PATIENCE, Served};

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

impl Whole {
    /// A header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).or_else(|| self.trailers.get(name));
        value.map_or("", |value| value.to_str().expect("it is ASCII"))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// One connection to each listener in each version of HTTP.
pub(crate) struct Wire {
    rest: (SocketAddr, Http1, Http2),
    grpc: (SocketAddr, Http1, Http2),
}

type Sent = BoxBody<Bytes, Infallible>;
type Http1 = http1::SendRequest<Sent>;
type Http2 = http2::SendRequest<Sent>;

/// Destination of a request: a listener and a version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Rest1,
    Rest2,
    Grpc1,
    Grpc2,
}

impl Wire {
    pub(crate) async fn to(served: &Served) -> Self {
        Self::to_addresses(served.rest, served.grpc).await
    }

    pub(crate) async fn to_addresses(rest: SocketAddr, grpc: SocketAddr) -> Self {
        let both = async |address| (address, one(address).await, two(address).await);
        Self {
            rest: both(rest).await,
            grpc: both(grpc).await,
        }
    }

    /// Sends `method path` with `headers` and `body`, and reads the answer to its end.
    pub(crate) async fn send(
        &mut self,
        to: To,
        method_and_path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Whole {
        let body = Full::new(body.into()).boxed();
        self.send_body(to, method_and_path, headers, body).await
    }

    /// The same, with a body that begins with `start` and never ends.
    pub(crate) async fn send_unfinished(
        &mut self,
        to: To,
        method_and_path: &str,
        headers: &[(&str, &str)],
        start: &'static [u8],
    ) -> Whole {
        self.send_body(to, method_and_path, headers, unfinished(start))
            .await
    }

    /// The same, which calls `begun` as soon as the head of the answer has come.
    pub(crate) async fn send_unfinished_until(
        &mut self,
        to: To,
        method_and_path: &str,
        headers: &[(&str, &str)],
        begun: impl FnOnce(),
    ) -> Whole {
        let exchange = async {
            let answer = self.begin(to, method_and_path, headers, unfinished(b""));
            let answer = answer.await?;
            begun();
            whole(answer).await
        };
        let answer = timeout(PATIENCE, exchange).await;
        answer.expect("an answer should come").expect("and whole")
    }

    async fn send_body(
        &mut self,
        to: To,
        method_and_path: &str,
        headers: &[(&str, &str)],
        body: Sent,
    ) -> Whole {
        let exchange = async { whole(self.begin(to, method_and_path, headers, body).await?).await };
        let answer = timeout(PATIENCE, exchange).await;
        answer.expect("an answer should come").expect("and whole")
    }

    async fn begin(
        &mut self,
        to: To,
        method_and_path: &str,
        headers: &[(&str, &str)],
        body: Sent,
    ) -> hyper::Result<Response<Incoming>> {
        let (method, path) = method_and_path.split_once(' ').expect("METHOD /path");
        let (address, http1, http2) = match to {
            To::Rest1 | To::Rest2 => &mut self.rest,
            To::Grpc1 | To::Grpc2 => &mut self.grpc,
        };
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if matches!(to, To::Rest1 | To::Grpc1) {
            let request = request.uri(path).header("host", address.to_string());
            // A server may close after it has refused; then there is a new connection.
            if http1.ready().await.is_err() {
                *http1 = one(*address).await;
                http1.ready().await?;
            }
            let request = request.body(body).expect("a request");
            http1.send_request(request).await
        } else {
            let request = request.uri(format!("http://{address}{path}"));
            http2.ready().await?;
            let request = request.body(body).expect("a request");
            http2.send_request(request).await
        }
    }

    /// A unary gRPC call.
    pub(crate) async fn grpc(
        &mut self,
        path: &str,
        more: &[(&str, &str)],
        message: &[u8],
    ) -> Whole {
        let headers = [("content-type", "application/grpc"), ("te", "trailers")];
        let headers = [&headers[..], more].concat();
        let path = format!("POST {path}");
        let mut answer = self
            .send(To::Grpc2, &path, &headers, frame(0, message))
            .await;
        if answer.header("content-type") == "application/grpc" {
            answer.body = message_of(&answer.body);
        }
        answer
    }

    /// The same over gRPC-Web, in HTTP/1.1.
    pub(crate) async fn grpc_web(
        &mut self,
        path: &str,
        more: &[(&str, &str)],
        message: &[u8],
    ) -> Whole {
        let headers = [
            ("content-type", "application/grpc-web+proto"),
            ("x-grpc-web", "1"),
        ];
        let headers = [&headers[..], more].concat();
        let path = format!("POST {path}");
        let mut answer = self
            .send(To::Grpc1, &path, &headers, frame(0, message))
            .await;
        if answer.header("content-type") == "application/grpc-web+proto" {
            let (messages, trailers) = web_frames(&answer.body);
            answer.body = messages;
            answer.trailers = trailers;
        }
        answer
    }
}

/// A body that begins with `start` and never ends.
fn unfinished(start: &'static [u8]) -> Sent {
    let start = stream::iter([Ok(Frame::data(Bytes::from_static(start)))]);
    BodyExt::boxed(StreamBody::new(start.chain(stream::pending())))
}

async fn one(address: SocketAddr) -> Http1 {
    let (client, driver) = http1::handshake(connect(address).await)
        .await
        .expect("it speaks HTTP/1.1");
    tokio::spawn(driver);
    client
}

async fn two(address: SocketAddr) -> Http2 {
    let (client, driver) = http2::handshake(TokioExecutor::new(), connect(address).await)
        .await
        .expect("it speaks HTTP/2");
    tokio::spawn(driver);
    client
}

async fn connect(address: SocketAddr) -> TokioIo<TcpStream> {
    TokioIo::new(TcpStream::connect(address).await.expect("it listens"))
}

async fn whole(answer: Response<Incoming>) -> hyper::Result<Whole> {
    let (head, body) = answer.into_parts();
    let body = body.collect().await?;
    Ok(Whole {
        status: head.status,
        headers: head.headers,
        trailers: body.trailers().cloned().unwrap_or_default(),
        body: body.to_bytes(),
    })
}

/// `bytes` behind the prefix of PROTOCOL-HTTP2.md.
pub(crate) fn frame(flags: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("it is short");
    [&[flags], &length.to_be_bytes()[..], bytes].concat()
}

/// The bytes behind that prefix, or none if `body` is shorter than it.
fn message_of(body: &Bytes) -> Bytes {
    body.slice(body.len().min(5)..)
}

/// The message and the trailers of PROTOCOL-WEB.md.
fn web_frames(mut body: &[u8]) -> (Bytes, HeaderMap) {
    let (mut message, mut trailers) = (Bytes::new(), HeaderMap::new());
    while let [flags, a, b, c, d, rest @ ..] = body {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (bytes, next) = rest.split_at(length);
        body = next;
        if flags & 0x80 == 0 {
            message = Bytes::copy_from_slice(bytes);
            continue;
        }
        for line in std::str::from_utf8(bytes)
            .expect("trailers are text")
            .lines()
        {
            let (name, value) = line.split_once(':').expect("name: value");
            let name: hyper::header::HeaderName = name.trim().parse().expect("a name");
            trailers.insert(name, value.trim().parse().expect("a value"));
        }
    }
    assert!(body.is_empty(), "half a frame: {body:?}");
    (message, trailers)
}
