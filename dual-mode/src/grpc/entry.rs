//! What comes in at the gRPC port: gRPC, gRPC-Web from browsers, and what is neither.

use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use axum::http::{HeaderValue, Method, Request, Response, Version, header::CONTENT_TYPE};
use futures_util::future::{BoxFuture, Either};
use serving::{
    body::Unpaused,
    intake::CountedBody,
    limits::Limits,
    unpacked::{Unpacked, is_gzip},
};
use tonic::body::Body;
use tonic_web::GrpcWebLayer;
use tower::{Layer, Service, ServiceExt};

use crate::{faults::Fault, rest::problem};

type Answer = BoxFuture<'static, Result<Response<Body>, Infallible>>;

/// A gRPC service, for browsers too.
#[derive(Clone, Debug)]
pub(super) struct Entry<S> {
    grpc: S,
    body_pause: Duration,
    /// The most bytes that a message may have.
    limit: usize,
}

impl<S> Entry<S> {
    /// `grpc`, within `limits`.
    pub(super) fn new(grpc: S, limits: &Limits) -> Self {
        Self {
            grpc,
            body_pause: limits.body_pause,
            limit: limits.message,
        }
    }
}

impl<S> Service<Request<CountedBody>> for Entry<S>
where
    S: Service<Request<CountedBody>, Response = Response<Body>, Error = Infallible>
        + Service<
            Request<Body>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<<S as Service<Request<CountedBody>>>::Future, Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<CountedBody>) -> Self::Future {
        let content_type = request.headers().get(CONTENT_TYPE);
        let content_type = content_type.map_or(&b""[..], |value| value.as_bytes());
        // PROTOCOL-HTTP2.md and PROTOCOL-WEB.md.
        let kind = content_type.strip_prefix(b"application/grpc");
        match kind {
            Some(_) if request.method() != Method::POST => {
                refused(&Fault::MethodNotAllowed { allow: "POST" })
            }
            Some(b"" | [b'+' | b';', ..]) if request.version() == Version::HTTP_2 => {
                if is_gzip(request.headers()) {
                    let limit = self.limit;
                    let request = Unpacked::of(request, limit).map(Body::new);
                    Either::Right(Box::pin(Service::<Request<Body>>::call(
                        &mut self.grpc,
                        request,
                    )))
                } else {
                    Either::Left(self.grpc.call(request))
                }
            }
            _ => match web_form(content_type) {
                Some(form) => {
                    request.headers_mut().insert(CONTENT_TYPE, form);
                    Either::Right(self.browser(request))
                }
                None => {
                    let form = match (kind, content_type) {
                        (Some(b"" | [b'+' | b';', ..]), _) => {
                            "application/grpc over HTTP/1.1 and not HTTP/2".to_owned()
                        }
                        (_, b"") => "a request without a content type".to_owned(),
                        (_, other) => String::from_utf8_lossy(other).chars().take(80).collect(),
                    };
                    let accept = "application/grpc, application/grpc-web";
                    refused(&Fault::UnsupportedMediaType { form, accept })
                }
            },
        }
    }
}

/// The form of gRPC-Web that `content_type` names, as tonic-web knows it: without parameters.
fn web_form(content_type: &[u8]) -> Option<HeaderValue> {
    let form = content_type.split(|byte| *byte == b';').next()?;
    let known = [
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "application/grpc-web-text+proto",
    ];
    let known = known
        .into_iter()
        .find(|known| known.as_bytes() == form.trim_ascii());
    known.map(HeaderValue::from_static)
}

/// What is no call is answered as HTTP answers it.
fn refused<F>(fault: &Fault) -> Either<F, Answer> {
    let answer = problem(fault).map(Body::new);
    Either::Right(Box::pin(async { Ok(answer) }))
}

impl<S> Entry<S>
where
    S: Service<
            Request<Body>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static,
{
    fn browser(&self, request: Request<CountedBody>) -> Answer {
        let pause = self.body_pause;
        let request = request.map(|body| Body::new(Unpaused::new(body, pause)));
        // What is behind base64, or in gzip, is read to its end here.
        let limit = self.limit;
        let grpc = self
            .grpc
            .clone()
            .map_request(move |request: Request<Body>| Unpacked::of(request, limit).map(Body::new));
        let mut web = GrpcWebLayer::new().layer(grpc);
        Box::pin(web.call(request))
    }
}
