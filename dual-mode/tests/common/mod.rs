//! A server with both listeners, and HTTP/1.1 written by hand.

pub(crate) mod panics;
pub(crate) mod wire;

use std::{net::SocketAddr, time::Duration};

use dual_mode::Options;
use hyper::header::HeaderValue;
use serving::{
    CancellationToken, drain::ServeError, hosts::Hosts, limits::Limits, server::Listener,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};

/// The end of every wait, reached only by a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A server that runs, and what stops it.
pub(crate) struct Served {
    pub(crate) rest: SocketAddr,
    pub(crate) grpc: SocketAddr,
    shutdown: CancellationToken,
    server: JoinHandle<Result<(), ServeError>>,
}

impl Served {
    pub(crate) async fn start() -> Self {
        Self::with(&Limits::default(), &[]).await
    }

    /// One within `limits`, for the pages of `origins`.
    pub(crate) async fn with(limits: &Limits, origins: &[&'static str]) -> Self {
        Self::called(&[], limits, origins).await
    }

    /// One that answers to `hosts` only, unless there are none.
    pub(crate) async fn called(hosts: &[&str], limits: &Limits, origins: &[&'static str]) -> Self {
        Self::to(pages(origins), hosts, limits).await
    }

    /// One for `options`.
    pub(crate) async fn to(options: Options, hosts: &[&str], limits: &Limits) -> Self {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let [(rest, rest_at), (grpc, grpc_at)] = [listen().await, listen().await];
        let [rest, grpc] = [rest, grpc].map(|socket| Listener {
            limits: limits.clone(),
            hosts: Hosts::new(&hosts),
            ..socket.into()
        });
        let shutdown = CancellationToken::new();
        let server = dual_mode::serve_with(options, rest, grpc, shutdown.clone());
        Self {
            rest: rest_at,
            grpc: grpc_at,
            server: tokio::spawn(server),
            shutdown,
        }
    }

    /// One with both transports on one port.
    pub(crate) async fn on_one_port(origins: &[&'static str]) -> Self {
        Self::to_on_one_port(pages(origins)).await
    }

    /// The same, for `options`.
    pub(crate) async fn to_on_one_port(options: Options) -> Self {
        let (listener, address) = listen().await;
        let shutdown = CancellationToken::new();
        let server = dual_mode::serve_on_one_port(options, listener, shutdown.clone());
        Self {
            rest: address,
            grpc: address,
            server: tokio::spawn(server),
            shutdown,
        }
    }

    /// Tells it to go away.
    pub(crate) fn drain(&self) {
        self.shutdown.cancel();
    }

    pub(crate) async fn stop(self) {
        self.drain();
        let ended = timeout(PATIENCE, self.server).await;
        let ended = ended.expect("the server should end");
        ended.expect("it should not panic").expect("nothing is cut");
    }
}

/// Anybody, and the pages of `origins`.
pub(crate) fn pages(origins: &[&'static str]) -> Options {
    let origins = origins
        .iter()
        .map(|origin| HeaderValue::from_static(origin));
    Options {
        origins: origins.collect(),
        ..Options::default()
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

/// An answer over HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Each as `name: value`, the name in lower case.
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Sends `method path`, the `headers` (each with its line end) and the `body` on a connection of
/// its own.
pub(crate) async fn http(
    address: SocketAddr,
    method_and_path: &str,
    headers: &str,
    body: impl AsRef<[u8]>,
) -> Answer {
    let body = body.as_ref();
    let head = format!(
        "{method_and_path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-length: {}\r\n{headers}\r\n",
        body.len()
    );
    written(address, &[head.as_bytes(), body].concat()).await
}

/// Sends the bytes of `request`, and awaits the end of the connection.
pub(crate) async fn written(address: SocketAddr, request: &[u8]) -> Answer {
    let exchange = async {
        let mut connection = TcpStream::connect(address).await?;
        connection.write_all(request).await?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = timeout(PATIENCE, exchange).await;
    let answer = answer.expect("an answer should come").expect("and whole");
    let answer = String::from_utf8(answer).expect("an answer is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head ends");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    Answer {
        status: status.and_then(|s| s.parse().ok()).expect("a status line"),
        headers: lines.map(str::to_owned).collect(),
        body: body.to_owned(),
    }
}
