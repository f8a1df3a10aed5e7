//! A limit on the memory of requests on their way in. A message is bounded by its length; all that are open at once
//! need a bound too, or a few peers that send large messages, and never end them, take what there is: above the limit
//! the call is refused with RESOURCE_EXHAUSTED or 503, whatever its handler makes of the body's error. Neither tonic
//! nor axum has one.
//!
//! A message counts from its first byte until the handler reads on behind it, or drops the body, so that a stream of
//! gRPC may be longer than the limit if each message fits. What a handler keeps after that does not count. Any other
//! request, base64 included, counts as a whole, as nobody can tell where its messages end. The first 4 KiB are free:
//! with a [limit on calls](super::ConcurrencyLimitLayer) they bound themselves.
//!
//! On a stock server what has come and waits to be read stands in HTTP/2's windows, or in the kernel, and is bounded
//! there: this is about what a handler collects.
//!
//! On tonic's server:
//!
//! ```
//! use serving::{layers::RequestMemoryLayer, refusal::GrpcStatus};
//! use tonic::transport::{Server, server::TcpIncoming};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (_, health) = tonic_health::server::health_reporter();
//! // Some MiB, in a server.
//! let most = 64 * 1024;
//! let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
//! let address = incoming.local_addr()?;
//! let server = Server::builder()
//!     .layer(RequestMemoryLayer::new(GrpcStatus, most))
//!     .add_service(health)
//!     .serve_with_incoming(incoming);
//! # let server = tokio::spawn(server);
//! # let channel = serving::client::connect(&address.to_string()).await?;
//! # let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
//! # use tonic::Code::{NotFound, ResourceExhausted};
//! # for (length, code) in [(60 * 1024, NotFound), (70 * 1024, ResourceExhausted), (60 * 1024, NotFound)] {
//! #     let service = "x".repeat(length);
//! #     let request = tonic_health::pb::HealthCheckRequest { service };
//! #     let status = client.check(request).await.unwrap_err();
//! #     assert_eq!(status.code(), code, "{length}: {status:?}");
//! # }
//! # server.abort();
//! # Ok(())
//! # }
//! ```
//!
//! On axum's:
//!
//! ```
//! use axum::{Router, routing::post};
//! use serving::{layers::RequestMemoryLayer, refusal::PlainText};
//!
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Some MiB, in a server.
//! let most = 64 * 1024;
//! let router = Router::new()
//!     .route("/", post(async |body: String| body.len().to_string()))
//!     .layer(RequestMemoryLayer::new(PlainText, most));
//! let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let address = socket.local_addr()?;
//! let server = axum::serve(socket, router);
//! # let server = tokio::spawn(async { server.await });
//! # let head = |length| {
//! #     format!("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n")
//! # };
//! # let ask = async |length: usize| -> Result<_, std::io::Error> {
//! #     let mut peer = tokio::net::TcpStream::connect(address).await?;
//! #     peer.write_all((head(length) + &"x".repeat(length)).as_bytes()).await?;
//! #     let mut answer = String::new();
//! #     peer.read_to_string(&mut answer).await?;
//! #     Ok(answer)
//! # };
//! # assert!(ask(60 * 1024).await?.starts_with("HTTP/1.1 200 "));
//! # // One that is half sent holds the rest of the room.
//! # let mut half = tokio::net::TcpStream::connect(address).await?;
//! # half.write_all((head(60 * 1024) + &"x".repeat(50 * 1024)).as_bytes()).await?;
//! # while !ask(30 * 1024).await?.starts_with("HTTP/1.1 503 ") {}
//! # assert!(ask(4 * 1024).await?.starts_with("HTTP/1.1 200 "));
//! # half.write_all("x".repeat(10 * 1024).as_bytes()).await?;
//! # let mut answer = String::new();
//! # half.read_to_string(&mut answer).await?;
//! # assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
//! # server.abort();
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
use tonic::server::NamedService;
use tower::{Layer, Service};

use crate::{
    budget::Budget,
    context::CallContext,
    ending::{Ending, EndingBody, Ends},
    intake::{RequestBody, fits},
    refusal::{Refusal, Refuse, Wording},
    service::BoxError,
};

/// Refuses requests beyond a limit of memory, in the words of one protocol.
#[derive(Clone, Debug)]
pub struct RequestMemoryLayer<R> {
    words: R,
    budget: Arc<Budget>,
}

impl<R: Refuse> RequestMemoryLayer<R> {
    /// For requests that hold `most_bytes` together. [`Limits::intake`](crate::limits::Limits::intake) says how many
    /// a listener here has.
    pub fn new(words: R, most_bytes: usize) -> Self {
        let budget = Arc::new(Budget::new(most_bytes));
        Self { words, budget }
    }
}

impl<S, R: Clone> Layer<S> for RequestMemoryLayer<R> {
    type Service = RequestMemory<S, R>;

    fn layer(&self, service: S) -> Self::Service {
        RequestMemory {
            service,
            words: self.words.clone(),
            budget: Arc::clone(&self.budget),
        }
    }
}

/// A service whose requests hold so much memory at most.
#[derive(Clone, Debug)]
pub struct RequestMemory<S, R> {
    service: S,
    words: R,
    budget: Arc<Budget>,
}

impl<S: NamedService, R> NamedService for RequestMemory<S, R> {
    const NAME: &'static str = S::NAME;
}

impl<S, R, A, B> Service<Request<A>> for RequestMemory<S, R>
where
    S: Service<Request<RequestBody<A>>, Response = Response<B>>,
    B: Body<Data = Bytes, Error: Into<BoxError>>,
    R: Refuse,
{
    type Response = Response<EndingBody<B, R, Fits>>;
    type Error = S::Error;
    type Future = Ending<S::Future, R, Fits>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let call = CallContext::of_or_begun(&mut request);
        let wording = Wording::of(self.words.clone(), &request);
        let request = RequestBody::count(request, &call, &self.budget);
        Ending::new(self.service.call(request), wording, Fits)
    }
}

/// A request that is answered as long as it fits.
pub struct Fits;

impl Ends for Fits {
    fn polled<T>(&mut self, call: &CallContext, poll: impl FnOnce() -> T) -> Result<T, Refusal> {
        let polled = poll();
        fits(call)?;
        Ok(polled)
    }
}
