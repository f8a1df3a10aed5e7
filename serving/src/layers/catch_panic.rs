//! Containment of panics, of a handler and of the stream that it answers with: the caller is told INTERNAL, or 500,
//! and the other calls of its connection go on. Without it a panic ends the connection over HTTP/1.1, and the call
//! without a status over HTTP/2, on both servers; tower-http's layer contains the handler alone.
//!
//! An answer of REST that has begun breaks off. The payload of a panic goes to the panic hook, as ever, and to no
//! caller.
//!
//! On tonic's server:
//!
//! ```
//! use serving::{layers::CatchPanicLayer, refusal::GrpcStatus};
//! use tonic::transport::{Server, server::TcpIncoming};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (_, health) = tonic_health::server::health_reporter();
//! # let panics = tonic::service::InterceptorLayer::new(|request: tonic::Request<()>| {
//! #     assert!(request.metadata().contains_key("calm"), "a secret");
//! #     Ok(request)
//! # });
//! let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
//! let address = incoming.local_addr()?;
//! let server = Server::builder()
//!     .layer(CatchPanicLayer::new(GrpcStatus))
//! #   .layer(panics)
//!     .add_service(health)
//!     .serve_with_incoming(incoming);
//! # let server = tokio::spawn(server);
//! # let channel = serving::client::connect(&address.to_string()).await?;
//! # let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
//! # let request = tonic_health::pb::HealthCheckRequest::default();
//! # let status = client.check(request.clone()).await.unwrap_err();
//! # assert_eq!((status.code(), status.message()), (tonic::Code::Internal, "internal error"));
//! # let mut request = tonic::Request::new(request);
//! # request.metadata_mut().insert("calm", "1".parse()?);
//! # assert_eq!(client.check(request).await?.into_inner().status, 1);
//! # server.abort();
//! # Ok(())
//! # }
//! ```
//!
//! On axum's:
//!
//! ```
//! use axum::{Router, body::Body, routing::get};
//! use serving::{layers::CatchPanicLayer, refusal::PlainText};
//!
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let router = Router::new()
//!     .route("/handler", get(async || -> String { panic!("a secret") }))
//! #   .route("/stream", get(async || {
//! #       use futures_util::{StreamExt, stream};
//! #       let begun = stream::iter([Ok::<_, std::io::Error>("begun")]);
//! #       // After what came before was written.
//! #       let panics = stream::once(tokio::task::yield_now()).map(|()| panic!("a secret"));
//! #       Body::from_stream(begun.chain(panics))
//! #   }))
//!     .layer(CatchPanicLayer::new(PlainText));
//! let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let address = socket.local_addr()?;
//! let server = axum::serve(socket, router);
//! # let server = tokio::spawn(async { server.await });
//! # let ask = async |path: &str| -> Result<_, std::io::Error> {
//! #     let mut peer = tokio::net::TcpStream::connect(address).await?;
//! #     let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
//! #     peer.write_all(request.as_bytes()).await?;
//! #     let mut answer = String::new();
//! #     peer.read_to_string(&mut answer).await?;
//! #     Ok(answer)
//! # };
//! # let answer = ask("/handler").await?;
//! # assert!(answer.starts_with("HTTP/1.1 500 ") && answer.ends_with("internal error"), "{answer}");
//! # let answer = ask("/stream").await?;
//! # assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.ends_with("\r\n0\r\n\r\n"), "{answer}");
//! # server.abort();
//! # Ok(())
//! # }
//! ```

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tonic::server::NamedService;
use tower::{Layer, Service};

use crate::{
    context::CallContext,
    ending::{Ending, EndingBody, Ends},
    refusal::{Refusal, Refuse, Wording},
    service::BoxError,
};

/// Does `work`, or says that it panicked.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Refusal::Panicked)
}

/// Contains the panics of a service, in the words of one protocol.
#[derive(Clone, Copy, Debug)]
pub struct CatchPanicLayer<R> {
    words: R,
}

impl<R: Refuse> CatchPanicLayer<R> {
    /// For a service whose callers are told in `words`.
    pub fn new(words: R) -> Self {
        Self { words }
    }
}

impl<S, R: Clone> Layer<S> for CatchPanicLayer<R> {
    type Service = CatchPanic<S, R>;

    fn layer(&self, service: S) -> Self::Service {
        let words = self.words.clone();
        CatchPanic { service, words }
    }
}

/// A service whose panics are contained.
#[derive(Clone, Debug)]
pub struct CatchPanic<S, R> {
    service: S,
    words: R,
}

impl<S: NamedService, R> NamedService for CatchPanic<S, R> {
    const NAME: &'static str = S::NAME;
}

impl<S, R, A, B> Service<Request<A>> for CatchPanic<S, R>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: Body<Data = Bytes, Error: Into<BoxError>>,
    R: Refuse,
{
    type Response = Response<EndingBody<B, R, Calm>>;
    type Error = S::Error;
    type Future = Ending<S::Future, R, Calm>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let wording = Wording::of(self.words.clone(), &request);
        match caught(|| self.service.call(request)) {
            Ok(answer) => Ending::new(answer, wording, Calm),
            Err(refusal) => Ending::refused(refusal, wording),
        }
    }
}

/// A service that is asked as long as it does not panic.
pub struct Calm;

impl Ends for Calm {
    fn polled<T>(&mut self, _: &CallContext, poll: impl FnOnce() -> T) -> Result<T, Refusal> {
        caught(poll)
    }
}
