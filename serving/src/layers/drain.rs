//! An end to streams when their server drains, with a reason to connect again: tonic and axum wait for every open
//! answer without an end, so that one stream of events or one health watch keeps a process until it is killed.
//!
//! | what is open when the token is cancelled | its end |
//! |---|---|
//! | a call without an answer yet, a whole answer | it goes on |
//! | an answer of gRPC that goes on after its first piece | UNAVAILABLE, with `RetryInfo` |
//! | a stream of server-sent events | between two events an event `error`, with `retry` |
//! | another answer of REST | it goes on, for it could not say that it is not whole |
//! | a new call | it passes |
//!
//! New calls pass, as a [listener](crate::server) lets those pass that cross its GOAWAY or come in the pause before
//! it closes: they are answered, and their streams end after the first piece. The server that stands around the layer
//! is what stops them from coming.
//!
//! On tonic's server:
//!
//! ```
//! use serving::{CancellationToken, layers::DrainLayer, refusal::GrpcStatus};
//! use tonic::transport::{Server, server::TcpIncoming};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (_reporter, health) = tonic_health::server::health_reporter();
//! // Cancelled at SIGTERM.
//! let stop = CancellationToken::new();
//! let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
//! let address = incoming.local_addr()?;
//! let server = Server::builder()
//!     .layer(DrainLayer::new(GrpcStatus, stop.clone()))
//!     .add_service(health)
//!     .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
//! # let server = tokio::spawn(server);
//! # let channel = serving::client::connect(&address.to_string()).await?;
//! # let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
//! # let request = tonic_health::pb::HealthCheckRequest::default();
//! # let mut watched = client.watch(request).await?.into_inner();
//! # assert_eq!(watched.message().await?.unwrap().status, 1);
//! # stop.cancel();
//! # let status = watched.message().await.unwrap_err();
//! # assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
//! # let details = tonic_types::StatusExt::get_error_details(&status);
//! # assert!(details.retry_info().is_some(), "{status:?}");
//! # server.await??;
//! # Ok(())
//! # }
//! ```
//!
//! On axum's:
//!
//! ```
//! use axum::{Router, response::sse::{Event, Sse}, routing::get};
//! use serving::{CancellationToken, layers::DrainLayer, refusal::PlainText};
//!
//! # use futures_util::{StreamExt, stream};
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let first = stream::iter([Ok::<_, std::convert::Infallible>(Event::default().data("1"))]);
//! # let events = async || Sse::new(first.chain(stream::pending()));
//! // Cancelled at SIGTERM.
//! let stop = CancellationToken::new();
//! let router = Router::new()
//!     .route("/events", get(events))
//!     .layer(DrainLayer::new(PlainText, stop.clone()));
//! let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let address = socket.local_addr()?;
//! let server = axum::serve(socket, router).with_graceful_shutdown(stop.clone().cancelled_owned());
//! # let server = tokio::spawn(async { server.await });
//! # let mut peer = tokio::net::TcpStream::connect(address).await?;
//! # peer.write_all(b"GET /events HTTP/1.1\r\nhost: a\r\n\r\n").await?;
//! # let (mut answer, mut piece) = (String::new(), [0; 4096]);
//! # while !answer.contains("data: 1\n\n") {
//! #     let length = peer.read(&mut piece).await?;
//! #     answer.push_str(std::str::from_utf8(&piece[..length])?);
//! # }
//! # stop.cancel();
//! # peer.read_to_string(&mut answer).await?;
//! # assert!(answer.contains("event: error\nretry: 1000\n"), "{answer}");
//! # assert!(answer.ends_with("\r\n0\r\n\r\n"), "{answer}");
//! # server.await??;
//! # Ok(())
//! # }
//! ```

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tower::{Layer, Service};

use crate::{
    ending::{Ending, EndingBody, Ends, Wait},
    refusal::{Refuse, Wording},
    service::BoxError,
};

/// Ends streams when their server drains, in the words of one protocol.
#[derive(Clone, Debug)]
pub struct DrainLayer<R> {
    words: R,
    // A token's own clone takes a lock.
    closing: Arc<CancellationToken>,
}

impl<R: Refuse> DrainLayer<R> {
    /// For a server that drains from when `closing` is cancelled.
    pub fn new(words: R, closing: CancellationToken) -> Self {
        let closing = Arc::new(closing);
        Self { words, closing }
    }
}

impl<S, R: Clone> Layer<S> for DrainLayer<R> {
    type Service = Drain<S, R>;

    fn layer(&self, service: S) -> Self::Service {
        Drain {
            service,
            words: self.words.clone(),
            closing: Arc::clone(&self.closing),
        }
    }
}

/// A service whose streams end when its server drains.
#[derive(Clone, Debug)]
pub struct Drain<S, R> {
    service: S,
    words: R,
    closing: Arc<CancellationToken>,
}

impl<S: NamedService, R> NamedService for Drain<S, R> {
    const NAME: &'static str = S::NAME;
}

impl<S, R, A, B> Service<Request<A>> for Drain<S, R>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: Body<Data = Bytes, Error: Into<BoxError>>,
    R: Refuse,
{
    type Response = Response<EndingBody<B, R, Closing>>;
    type Error = S::Error;
    type Future = Ending<S::Future, R, Closing>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let wording = Wording::of(self.words.clone(), &request);
        let closing = Closing(Arc::clone(&self.closing));
        Ending::new(self.service.call(request), wording, closing)
    }
}

/// The drain of a server.
pub struct Closing(Arc<CancellationToken>);

impl Ends for Closing {
    fn goes_on(&mut self) -> Wait {
        Wait::default().while_open((*self.0).clone())
    }
}
