//! What comes in at the gRPC port: gRPC, gRPC-Web from browsers, and what is neither.

use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::HttpBody,
    http::{HeaderValue, Method, Request, Response, Version, header::CONTENT_TYPE},
};
use bytes::Bytes;
use futures_util::{
    TryFutureExt,
    future::{BoxFuture, Either, MapOk},
};
use http_body_util::Either as EitherBody;
use serving::{
    Body as Incoming, CallContext, body::Unpaused, limits::Limits, service::BoxError,
    status_mapping::is_grpc,
};
use tonic::body::Body;
use tonic_web::GrpcWebLayer;
use tower::{Layer, Service};

use crate::{faults::Fault, rest::problem};

/// An answer of the gRPC service, or another one.
type Answer<C> = Response<EitherBody<C, Body>>;

/// A gRPC service, which says itself what is no call, for browsers too.
#[derive(Clone, Debug)]
pub(super) struct Entry<S> {
    grpc: S,
    body_pause: Duration,
}

impl<S> Entry<S> {
    /// `grpc`, within `limits`.
    pub(super) fn new(grpc: S, limits: &Limits) -> Self {
        Self {
            grpc,
            body_pause: limits.body_pause,
        }
    }
}

impl<S, C> Service<Request<Incoming>> for Entry<S>
where
    S: Service<Request<Incoming>, Response = Response<C>, Error = Infallible>
        + Service<Request<Body>, Response = Response<C>, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + 'static,
    C: HttpBody<Data = Bytes, Error: Into<BoxError> + std::fmt::Display> + Send + 'static,
{
    type Response = Answer<C>;
    type Error = Infallible;
    type Future = Either<
        MapOk<<S as Service<Request<Incoming>>>::Future, fn(Response<C>) -> Answer<C>>,
        BoxFuture<'static, Result<Answer<C>, Infallible>>,
    >;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        let content_type = request.headers().get(CONTENT_TYPE);
        let content_type = content_type.map_or(&b""[..], |value| value.as_bytes());
        // Most calls are gRPC itself, and are asked nothing more.
        let is_grpc = is_grpc(content_type);
        if !is_grpc
            && request.method() == Method::POST
            && let Some(form) = web_form(content_type)
        {
            request.headers_mut().insert(CONTENT_TYPE, form);
            return Either::Right(self.browser(request));
        }
        if is_grpc && request.version() != Version::HTTP_2 {
            let call = CallContext::of(request.extensions());
            let fault = Fault::UnsupportedMediaType {
                form: "application/grpc over HTTP/1.1 and not HTTP/2".to_owned(),
                accept: "application/grpc, application/grpc-web",
            };
            let answer = problem(&fault, &call).map(Body::new).map(EitherBody::Right);
            return Either::Right(Box::pin(async { Ok(answer) }));
        }
        let answer = self.grpc.call(request);
        Either::Left(answer.map_ok(|answer| answer.map(EitherBody::Left)))
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

impl<S, C> Entry<S>
where
    S: Service<Request<Body>, Response = Response<C>, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + 'static,
    C: HttpBody<Data = Bytes, Error: Into<BoxError> + std::fmt::Display> + Send + 'static,
{
    fn browser(
        &self,
        request: Request<Incoming>,
    ) -> BoxFuture<'static, Result<Answer<C>, Infallible>> {
        let pause = self.body_pause;
        let request = Unpaused::request(request, pause).map(Body::new);
        let mut web = GrpcWebLayer::new().layer(self.grpc.clone());
        Box::pin(
            web.call(request)
                .map_ok(|answer| answer.map(EitherBody::Right)),
        )
    }
}
