//! gRPC-Web beside gRPC: browsers call the same service, over HTTP/1.1 or HTTP/2, in binary or in base64
//! (PROTOCOL-WEB.md). tonic-web translates; this layer lets pass what is gRPC already, at the cost of a look at its
//! content type, and adds what tonic-web leaves out:
//! - media types are the same in any case, and may have parameters (RFC 9110 §8.3.1);
//! - what is neither is answered 415, or 405 for another method than POST, before any of it is read: a form that a
//!   page of another site sends, and gRPC itself over HTTP/1.1, which has no trailers to end with;
//! - a body must not pause for too long: a page sends all of its request at once.
//!
//! CORS is a layer of its own, outside of this one, such as tower-http's. Pages need `authorization`, `content-type`,
//! `x-grpc-web` and `grpc-timeout` as allowed headers, and `grpc-status`, `grpc-message` and
//! `grpc-status-details-bin` as exposed ones.
//!
//! On tonic's server, which has to take HTTP/1.1 for it:
//!
//! ```
//! use serving::{layers::GrpcWebLayer, limits::Limits, refusal::GrpcStatus};
//! use tonic::transport::{Server, server::TcpIncoming};
//!
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (_, health) = tonic_health::server::health_reporter();
//! let body_pause = Limits::default().body_pause;
//! let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
//! let address = incoming.local_addr()?;
//! let server = Server::builder()
//!     .accept_http1(true)
//!     .layer(GrpcWebLayer::new(GrpcStatus, body_pause))
//!     .add_service(health)
//!     .serve_with_incoming(incoming);
//! # let server = tokio::spawn(server);
//! # for (kind, status, says) in [
//! #     ("application/grpc-web+proto", 200, "grpc-status:0"),
//! #     ("Application/grpc-web; charset=utf-8", 200, "grpc-status:0"),
//! #     ("application/grpc", 415, "grpc-status: 12"),
//! #     ("text/plain", 415, "grpc-status: 12"),
//! # ] {
//! #     let mut peer = tokio::net::TcpStream::connect(address).await?;
//! #     let head = format!(
//! #         "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nhost: a\r\ncontent-type: {kind}\r\n\
//! #          content-length: 5\r\nconnection: close\r\n\r\n\0\0\0\0\0"
//! #     );
//! #     peer.write_all(head.as_bytes()).await?;
//! #     let mut answer = Vec::new();
//! #     peer.read_to_end(&mut answer).await?;
//! #     let answer = String::from_utf8_lossy(&answer);
//! #     assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{kind}: {answer}");
//! #     assert!(answer.contains(says), "{kind}: {answer}");
//! # }
//! # let channel = serving::client::connect(&address.to_string()).await?;
//! # let mut grpc = tonic_health::pb::health_client::HealthClient::new(channel);
//! # grpc.check(tonic_health::pb::HealthCheckRequest::default()).await?;
//! # server.abort();
//! # Ok(())
//! # }
//! ```
//!
//! On axum's, tonic's `Routes` become a router, and the layer stands around it:
//! `Routes::new(health).into_axum_router().layer(web)`.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    TryFutureExt,
    future::{BoxFuture, Either, MapOk, Ready, ready},
};
use http::{HeaderValue, Method, Request, Response, Version, header::CONTENT_TYPE};
use http_body_util::Either as EitherBody;
use tonic::{body::Body, server::NamedService};
use tower::{Layer, Service};

use crate::{
    body::Unpaused,
    context::CallContext,
    service::BoxError,
    status_mapping::{Head, Reject, Rejection, is_grpc},
};

/// Translates gRPC-Web for a gRPC service, and says what is neither in the words of one protocol.
#[derive(Debug)]
pub struct GrpcWebLayer<W> {
    words: Arc<W>,
    body_pause: Duration,
}

impl<W: Reject> GrpcWebLayer<W> {
    /// For pages whose requests pause for at most `body_pause`.
    pub fn new(words: W, body_pause: Duration) -> Self {
        let words = Arc::new(words);
        Self { words, body_pause }
    }
}

impl<W> Clone for GrpcWebLayer<W> {
    fn clone(&self) -> Self {
        Self {
            words: Arc::clone(&self.words),
            body_pause: self.body_pause,
        }
    }
}

impl<S, W> Layer<S> for GrpcWebLayer<W> {
    type Service = GrpcWeb<S, W>;

    fn layer(&self, grpc: S) -> Self::Service {
        let layer = self.clone();
        GrpcWeb { grpc, layer }
    }
}

/// A gRPC service that browsers can call, too.
#[derive(Debug)]
pub struct GrpcWeb<S, W> {
    grpc: S,
    layer: GrpcWebLayer<W>,
}

impl<S: Clone, W> Clone for GrpcWeb<S, W> {
    fn clone(&self) -> Self {
        Self {
            grpc: self.grpc.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S: NamedService, W> NamedService for GrpcWeb<S, W> {
    const NAME: &'static str = S::NAME;
}

/// An answer of the gRPC service, or another one.
type Answer<C> = Response<EitherBody<C, Body>>;

/// gRPC's own answer, or one for a browser, or a rejection.
type Answering<F, C> = Either<
    MapOk<F, fn(Response<C>) -> Answer<C>>,
    Either<BoxFuture<'static, Result<Answer<C>, Infallible>>, Ready<Result<Answer<C>, Infallible>>>,
>;

impl<S, W, A, C> Service<Request<A>> for GrpcWeb<S, W>
where
    S: Service<Request<A>, Response = Response<C>, Error = Infallible>
        + Service<Request<Body>, Response = Response<C>, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + 'static,
    W: Reject,
    A: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    C: http_body::Body<Data = Bytes, Error: Into<BoxError> + std::fmt::Display> + Send + 'static,
{
    type Response = Answer<C>;
    type Error = Infallible;
    type Future = Answering<<S as Service<Request<A>>>::Future, C>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        <S as Service<Request<A>>>::poll_ready(&mut self.grpc, cx)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let kind = request.headers().get(CONTENT_TYPE);
        let kind = kind.map_or(&b""[..], |value| value.as_bytes());
        // Most calls are gRPC itself, and are asked nothing more.
        let is_grpc = is_grpc(kind);
        if !is_grpc
            && request.method() == Method::POST
            && let Some(form) = web_form(kind)
        {
            request.headers_mut().insert(CONTENT_TYPE, form);
            return Either::Right(Either::Left(self.browser(request)));
        }
        let rejection = if !is_grpc {
            Head::of(&request).err()
        } else if request.version() < Version::HTTP_2 {
            let sent = "application/grpc over HTTP/1.1 and not HTTP/2".to_owned();
            Some(Rejection::UnsupportedMediaType { sent })
        } else {
            None
        };
        if let Some(rejection) = rejection {
            let call = CallContext::of(request.extensions());
            let answer = self.layer.words.answer(&rejection, &call);
            let answer = answer.map(|body| EitherBody::Right(Body::new(body)));
            return Either::Right(Either::Right(ready(Ok(answer))));
        }
        let answer = self.grpc.call(request);
        Either::Left(answer.map_ok(|answer| answer.map(EitherBody::Left)))
    }
}

impl<S, W> GrpcWeb<S, W> {
    /// The answer to a page.
    fn browser<A, C>(
        &mut self,
        request: Request<A>,
    ) -> BoxFuture<'static, Result<Answer<C>, Infallible>>
    where
        S: Service<
                Request<Body>,
                Response = Response<C>,
                Error = Infallible,
                Future: Send + 'static,
            > + Clone
            + Send
            + 'static,
        A: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
        C: http_body::Body<Data = Bytes, Error: Into<BoxError> + std::fmt::Display>
            + Send
            + 'static,
    {
        let request = Unpaused::request(request, self.layer.body_pause).map(Body::new);
        // The one that is ready is called, and a clone stays.
        let clone = self.grpc.clone();
        let ready = std::mem::replace(&mut self.grpc, clone);
        let web = tonic_web::GrpcWebLayer::new().layer(ready);
        let answer = tower::ServiceExt::oneshot(web, request);
        Box::pin(answer.map_ok(|answer| answer.map(EitherBody::Right)))
    }
}

/// The form of gRPC-Web that `content_type` names, as tonic-web knows it: without parameters.
fn web_form(content_type: &[u8]) -> Option<HeaderValue> {
    let form = content_type.split(|byte| *byte == b';').next()?;
    let form = form.trim_ascii();
    let known = [
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "application/grpc-web-text+proto",
    ];
    let known = known
        .into_iter()
        .find(|known| form.eq_ignore_ascii_case(known.as_bytes()));
    known.map(HeaderValue::from_static)
}
