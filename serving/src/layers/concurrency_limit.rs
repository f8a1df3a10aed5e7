//! A limit on the calls that are open at once: one too many is refused at once, with RESOURCE_EXHAUSTED or 503 and a
//! time to retry, so that the others stay fast. A call counts from its head until the server has come to the end of
//! its answer's body, or has dropped it. tower's own limit and load shed count a call to the head of its answer
//! alone, so that streams, and answers that wait for a slow handler's next piece, are without a limit; tonic's
//! `concurrency_limit_per_connection` is of a connection.
//!
//! All services of one layer, and of its clones, share the limit: those of an axum router's routes, too.
//!
//! Data that a stock server has taken out of a body and not yet written does not count: see
//! [`ResponseMemoryLayer`](super::ResponseMemoryLayer).
//!
//! On tonic's server:
//!
//! ```
//! use serving::{layers::ConcurrencyLimitLayer, refusal::GrpcStatus};
//! use tonic::transport::{Server, server::TcpIncoming};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (_reporter, health) = tonic_health::server::health_reporter();
//! // Some thousands, in a server.
//! let most = 1;
//! let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
//! let address = incoming.local_addr()?;
//! let server = Server::builder()
//!     .layer(ConcurrencyLimitLayer::new(GrpcStatus, most))
//!     .add_service(health)
//!     .serve_with_incoming(incoming);
//! # let server = tokio::spawn(server);
//! # let channel = serving::client::connect(&address.to_string()).await?;
//! # let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
//! # let request = tonic_health::pb::HealthCheckRequest::default();
//! # let watched = client.watch(request.clone()).await?;
//! # let status = client.check(request.clone()).await.unwrap_err();
//! # assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status:?}");
//! # drop(watched);
//! # // Until the server knows.
//! # while client.check(request.clone()).await.is_err() {}
//! # client.check(request).await?;
//! # server.abort();
//! # Ok(())
//! # }
//! ```
//!
//! On axum's:
//!
//! ```
//! use axum::{Router, routing::get};
//! use serving::{layers::ConcurrencyLimitLayer, refusal::PlainText};
//!
//! # use axum::body::Body;
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use futures_util::{StreamExt, stream};
//! // Some thousands, in a server.
//! let most = 1;
//! # let begun = async || {
//! #     let begun = stream::iter([Ok::<_, std::io::Error>("begun")]);
//! #     Body::from_stream(begun.chain(stream::pending()))
//! # };
//! let router = Router::new()
//!     .route("/", get(async || "hello"))
//! #   .route("/stream", get(begun))
//!     .layer(ConcurrencyLimitLayer::new(PlainText, most));
//! let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let address = socket.local_addr()?;
//! let server = axum::serve(socket, router);
//! # let server = tokio::spawn(async { server.await });
//! # let ask = async |path: &str| -> Result<_, std::io::Error> {
//! #     let mut peer = tokio::net::TcpStream::connect(address).await?;
//! #     let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
//! #     peer.write_all(request.as_bytes()).await?;
//! #     let mut head = [0; 13];
//! #     peer.read_exact(&mut head).await?;
//! #     Ok((peer, String::from_utf8_lossy(&head).into_owned()))
//! # };
//! # let (open, head) = ask("/stream").await?;
//! # assert_eq!(head, "HTTP/1.1 200 ");
//! # for _ in 0..3 {
//! #     assert_eq!(ask("/").await?.1, "HTTP/1.1 503 ");
//! # }
//! # drop(open);
//! # // Until the server knows.
//! # while ask("/").await?.1 != "HTTP/1.1 200 " {}
//! # server.abort();
//! # Ok(())
//! # }
//! ```

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Full};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::server::NamedService;
use tower::{Layer, Service};

use crate::{
    refusal::{Refusal, Refuse, Wording},
    service::BoxError,
    telemetry::metrics::Limit,
};

/// Refuses calls beyond a limit, in the words of one protocol.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimitLayer<R> {
    words: R,
    places: Arc<Semaphore>,
}

impl<R: Refuse> ConcurrencyLimitLayer<R> {
    /// For at most `most` calls at once. [`Limits::calls`](crate::limits::Limits::calls) says how many a listener
    /// here has.
    pub fn new(words: R, most: usize) -> Self {
        let places = Semaphore::new(most.min(Semaphore::MAX_PERMITS));
        let places = Arc::new(places);
        Self { words, places }
    }
}

impl<S, R: Clone> Layer<S> for ConcurrencyLimitLayer<R> {
    type Service = ConcurrencyLimit<S, R>;

    fn layer(&self, service: S) -> Self::Service {
        ConcurrencyLimit {
            service,
            words: self.words.clone(),
            places: Arc::clone(&self.places),
        }
    }
}

/// A service with so many calls at once at most.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit<S, R> {
    service: S,
    words: R,
    places: Arc<Semaphore>,
}

impl<S: NamedService, R> NamedService for ConcurrencyLimit<S, R> {
    const NAME: &'static str = S::NAME;
}

impl<S, R, A, B> Service<Request<A>> for ConcurrencyLimit<S, R>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: Body<Data = Bytes, Error: Into<BoxError>>,
    R: Refuse,
{
    type Response = Response<Either<CountedBody<B>, Full<Bytes>>>;
    type Error = S::Error;
    type Future = Counting<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let call = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => Call::Counted {
                answer: self.service.call(request),
                place: Some(place),
            },
            Err(_) => {
                let wording = Wording::of(self.words.clone(), &request);
                wording.call().hit(Limit::Calls);
                Call::Refused { wording }
            }
        };
        Counting { call }
    }
}

pin_project_lite::pin_project! {
    /// An answer to come.
    pub struct Counting<F, R> {
        #[pin]
        call: Call<F, R>,
    }
}

pin_project_lite::pin_project! {
    #[project = CallProjection]
    enum Call<F, R> {
        Counted {
            #[pin]
            answer: F,
            // None once it is the body's.
            place: Option<OwnedSemaphorePermit>,
        },
        Refused { wording: Wording<R> },
    }
}

impl<F, R, B, E> Future for Counting<F, R>
where
    F: Future<Output = Result<Response<B>, E>>,
    R: Refuse,
{
    type Output = Result<Response<Either<CountedBody<B>, Full<Bytes>>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(match self.project().call.project() {
            CallProjection::Counted { answer, place } => {
                let answer = ready!(answer.poll(cx))?;
                let place = place.take();
                answer.map(|body| Either::Left(CountedBody { body, place }))
            }
            CallProjection::Refused { wording } => {
                wording.answer(Refusal::Overloaded).map(Either::Right)
            }
        }))
    }
}

pin_project_lite::pin_project! {
    /// The body of an answer, whose call counts until its end.
    pub struct CountedBody<B> {
        #[pin]
        body: B,
        place: Option<OwnedSemaphorePermit>,
    }
}

impl<B: Body> Body for CountedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) || this.body.is_end_stream() {
            *this.place = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
