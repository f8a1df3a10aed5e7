//! An end to request bodies that pause: a peer that sends half of a request, and then nothing, holds its handler and
//! what came for no longer than the limit. Neither tonic nor axum has one: a timeout of the call is no help to a long
//! upload, which may take its time as long as it goes on.
//!
//! The handler's read of the body fails. [`is_incomplete`](crate::body::is_incomplete) tells its error from those of
//! a codec.
//!
//! On axum's server:
//!
//! ```
//! use std::time::Duration;
//!
//! use axum::{Router, routing::post};
//! use serving::layers::BodyIdleTimeoutLayer;
//!
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // As long as a silent peer may hold a handler; short here, for it is waited for.
//! let limit = Duration::from_millis(50);
//! let router = Router::new()
//!     .route("/", post(async |body: String| body))
//!     .layer(BodyIdleTimeoutLayer::new(limit));
//! let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let address = socket.local_addr()?;
//! let server = axum::serve(socket, router);
//! # let server = tokio::spawn(async { server.await });
//! # let mut peer = tokio::net::TcpStream::connect(address).await?;
//! # let half = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\nconnection: close\r\n\r\nhalf";
//! # peer.write_all(half).await?;
//! # let mut answer = String::new();
//! # peer.read_to_string(&mut answer).await?;
//! # assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
//! # server.abort();
//! # Ok(())
//! # }
//! ```
//!
//! On tonic's, for all of its services:
//!
//! ```
//! use std::time::Duration;
//!
//! use serving::layers::BodyIdleTimeoutLayer;
//! use tonic::transport::{Server, server::TcpIncoming};
//!
//! # use http_body_util::{BodyExt, StreamBody};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // As long as a silent peer may hold a handler; short here, for it is waited for.
//! let limit = Duration::from_millis(50);
//! let (_, health) = tonic_health::server::health_reporter();
//! let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
//! let address = incoming.local_addr()?;
//! let server = Server::builder()
//!     .layer(BodyIdleTimeoutLayer::new(limit))
//!     .add_service(health)
//!     .serve_with_incoming(incoming);
//! # let server = tokio::spawn(server);
//! # let mut channel = serving::client::connect(&address.to_string()).await?;
//! # let silent = futures_util::stream::pending::<Result<_, std::convert::Infallible>>();
//! # let request = http::Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
//! #     .header("content-type", "application/grpc")
//! #     .body(tonic::body::Body::new(StreamBody::new(silent)))?;
//! # std::future::poll_fn(|cx| tower::Service::<http::Request<_>>::poll_ready(&mut channel, cx)).await?;
//! # let answer = tower::Service::call(&mut channel, request).await?;
//! # let mut headers = answer.headers().clone();
//! # headers.extend(answer.into_body().collect().await?.trailers().cloned().unwrap_or_default());
//! # let status = tonic::Status::from_header_map(&headers).unwrap();
//! # assert!(serving::body::is_incomplete(status.message()), "{status:?}");
//! # server.abort();
//! # Ok(())
//! # }
//! ```

use std::{
    task::{Context, Poll},
    time::Duration,
};

use http::Request;
use tonic::server::NamedService;
use tower::{Layer, Service};

use crate::body::Unpaused;

/// Ends request bodies that pause for too long.
#[derive(Clone, Copy, Debug)]
pub struct BodyIdleTimeoutLayer {
    limit: Duration,
}

impl BodyIdleTimeoutLayer {
    /// For bodies that pause for at most `limit`. [`Limits::body_pause`](crate::limits::Limits::body_pause) says how
    /// long servers here wait.
    pub fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl<S> Layer<S> for BodyIdleTimeoutLayer {
    type Service = BodyIdleTimeout<S>;

    fn layer(&self, service: S) -> Self::Service {
        let limit = self.limit;
        BodyIdleTimeout { service, limit }
    }
}

/// A service whose request bodies must not pause.
#[derive(Clone, Debug)]
pub struct BodyIdleTimeout<S> {
    service: S,
    limit: Duration,
}

impl<S: NamedService> NamedService for BodyIdleTimeout<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<Request<B>> for BodyIdleTimeout<S>
where
    S: Service<Request<Unpaused<B>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        self.service.call(Unpaused::request(request, self.limit))
    }
}
