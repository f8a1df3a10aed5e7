//! An end to calls that take too long: the one that the caller asks for with `grpc-timeout`, over gRPC and REST, or
//! the limits of the server, whichever comes first. It covers the wait for a service that is not ready, the handler,
//! and the whole answer. tonic's `timeout` ends with the head of an answer, says CANCELLED, and passes over a
//! `grpc-timeout` that cannot be read; axum has none.
//!
//! | what happens | HTTP | gRPC |
//! |---|---|---|
//! | no answer in time | 504 | DEADLINE_EXCEEDED |
//! | an answer that goes on for too long | server-sent events: an event `error`; all others break off | DEADLINE_EXCEEDED |
//! | a deadline that has passed already | 504, and no work begins | DEADLINE_EXCEEDED |
//! | a deadline that cannot be read, or two | 400 | INVALID_ARGUMENT |
//!
//! A call and a stream have a limit each: an answer that has begun in the time of a call, and goes on after its first
//! piece, may take as long as a stream. The work behind a call stops at its end: its future, or its body, is dropped.
//! A call that never waits arms no timer.
//!
//! tonic's server has a timer of its own for `grpc-timeout`, outside of its layers: it is armed later than the one here,
//! which is asked first.
//!
//! A server polls no answer that its peer leaves unread: on a stock server such a call outlives its deadline, and the
//! [listener](crate::server) cuts it.
//!
//! On tonic's server, where one method has limits of its own:
//!
//! ```
//! use std::time::Duration;
//!
//! use serving::{layers::DeadlineLayer, refusal::GrpcStatus};
//! use tonic::transport::{Server, server::TcpIncoming};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (_, health) = tonic_health::server::health_reporter();
//! // Short, for it is waited for here.
//! let watch = Duration::from_millis(50);
//! let (call, stream) = (Duration::from_secs(60), Duration::from_secs(3600));
//! let deadlines = DeadlineLayer::new(GrpcStatus, call, stream)
//!     .route("/grpc.health.v1.Health/Watch", call, watch);
//! let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
//! let address = incoming.local_addr()?;
//! let server = Server::builder()
//!     .layer(deadlines)
//!     .add_service(health)
//!     .serve_with_incoming(incoming);
//! # let server = tokio::spawn(server);
//! # let channel = serving::client::connect(&address.to_string()).await?;
//! # let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
//! # let request = tonic_health::pb::HealthCheckRequest::default();
//! # let mut watched = client.watch(request.clone()).await?.into_inner();
//! # assert_eq!(watched.message().await?.unwrap().status, 1);
//! # let status = watched.message().await.unwrap_err();
//! # assert_eq!(status.code(), tonic::Code::DeadlineExceeded, "{status:?}");
//! # let mut request = tonic::Request::new(request);
//! # request.metadata_mut().insert("grpc-timeout", "soon".parse()?);
//! # let status = client.check(request).await.unwrap_err();
//! # assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
//! # server.abort();
//! # Ok(())
//! # }
//! ```
//!
//! On axum's:
//!
//! ```
//! use std::time::Duration;
//!
//! use axum::{Router, routing::get};
//! use serving::{layers::DeadlineLayer, refusal::PlainText};
//!
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Short, for it is waited for here.
//! let call = Duration::from_millis(50);
//! let stream = Duration::from_secs(3600);
//! # let slow = async || tokio::time::sleep(Duration::from_millis(200)).await;
//! let router = Router::new()
//!     .route("/", get(slow))
//!     .route("/report", get(slow))
//!     .layer(DeadlineLayer::new(PlainText, call, stream).route("/report", stream, stream));
//! let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let address = socket.local_addr()?;
//! let server = axum::serve(socket, router);
//! # let server = tokio::spawn(async { server.await });
//! # for (path, header, status) in [
//! #     ("/", "", 504),
//! #     ("/report", "", 200),
//! #     ("/report", "grpc-timeout: 50m\r\n", 504),
//! #     ("/report", "grpc-timeout: soon\r\n", 400),
//! # ] {
//! #     let mut peer = tokio::net::TcpStream::connect(address).await?;
//! #     let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{header}\r\n");
//! #     peer.write_all(request.as_bytes()).await?;
//! #     let mut answer = String::new();
//! #     peer.read_to_string(&mut answer).await?;
//! #     assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {header}: {answer}");
//! # }
//! # server.abort();
//! # Ok(())
//! # }
//! ```

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;
use tonic::server::NamedService;
use tower::{Layer, Service};

use crate::{
    args::YEAR,
    called::{self, Called},
    ending::{Ending, EndingBody, Ends, Until},
    grpc_timeout,
    refusal::{Refuse, Wording},
    service::BoxError,
};

/// The longest call and the longest stream.
type Longest = [Duration; 2];

#[derive(Clone, Debug)]
struct Rules<R> {
    words: R,
    all: Longest,
    /// The paths that have limits of their own, in order.
    routes: Vec<(String, Longest)>,
}

impl<R> Rules<R> {
    /// The limits of calls of `path`.
    fn longest(&self, path: &str) -> Longest {
        let found = self
            .routes
            .binary_search_by(|(route, _)| route.as_str().cmp(path));
        found.map_or(self.all, |at| self.routes[at].1)
    }
}

/// Nobody waits for longer than a year, and its end can be reckoned.
fn longest(call: Duration, stream: Duration) -> Longest {
    [call, stream].map(|limit| limit.min(YEAR))
}

/// Ends calls that take too long, in the words of one protocol.
#[derive(Clone, Debug)]
pub struct DeadlineLayer<R> {
    rules: Arc<Rules<R>>,
}

impl<R: Refuse> DeadlineLayer<R> {
    /// For calls that take at most `longest_call`, and streams that take at most `longest_stream`. Both count from
    /// when a listener or a [`TelemetryLayer`](super::TelemetryLayer) outside saw the call begin, or else from here.
    /// [`Limits`](crate::limits::Limits) says what servers here allow.
    pub fn new(words: R, longest_call: Duration, longest_stream: Duration) -> Self {
        let rules = Rules {
            words,
            all: longest(longest_call, longest_stream),
            routes: Vec::new(),
        };
        Self {
            rules: Arc::new(rules),
        }
    }

    /// Gives the calls of `path` limits of their own: exactly this path, without a query; over gRPC
    /// `/package.Service/Method`.
    #[must_use]
    pub fn route(
        mut self,
        path: impl Into<String>,
        longest_call: Duration,
        longest_stream: Duration,
    ) -> Self {
        let rules = Arc::make_mut(&mut self.rules);
        let route = (path.into(), longest(longest_call, longest_stream));
        match rules
            .routes
            .binary_search_by(|(path, _)| path.cmp(&route.0))
        {
            Ok(at) => rules.routes[at] = route,
            Err(at) => rules.routes.insert(at, route),
        }
        self
    }
}

impl<S, R> Layer<S> for DeadlineLayer<R> {
    type Service = Deadline<S, R>;

    fn layer(&self, service: S) -> Self::Service {
        let rules = Arc::clone(&self.rules);
        Deadline { service, rules }
    }
}

/// A service whose calls end in time.
#[derive(Debug)]
pub struct Deadline<S, R> {
    service: S,
    rules: Arc<Rules<R>>,
}

impl<S: Clone, R> Clone for Deadline<S, R> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            rules: Arc::clone(&self.rules),
        }
    }
}

impl<S: NamedService, R> NamedService for Deadline<S, R> {
    const NAME: &'static str = S::NAME;
}

impl<S, R, A, B> Service<Request<A>> for Deadline<S, R>
where
    S: Service<Request<A>, Response = Response<B>> + Clone,
    B: Body<Data = Bytes, Error: Into<BoxError>>,
    R: Refuse,
{
    type Response = Response<EndingBody<B, R, Until>>;
    type Error = S::Error;
    type Future = Ending<Called<S, Request<A>>, R, Until>;

    /// Always: each call waits for a clone of the service until it is ready, and that wait counts.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let wording = Wording::of(self.rules.words.clone(), &request);
        let longest = self.rules.longest(request.uri().path());
        let begun = Instant::from_std(wording.call().begun());
        let until = grpc_timeout::asked(request.headers())
            .map(|asked| Until::new(begun, longest, asked))
            .and_then(|mut until| until.comes().map(|()| until));
        match until {
            Ok(until) => Ending::new(called::call(self.service.clone(), request), wording, until),
            Err(refusal) => Ending::refused(refusal, wording),
        }
    }
}
