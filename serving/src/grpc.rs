//! A gRPC service and the operators' services beside it, as one.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture};
use http::{HeaderMap, HeaderName, Request, Response};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, server::NamedService, service::Routes};
use tower::Service;

use crate::{
    called::{self, Called},
    service::BoxError,
};

/// The media type of gRPC, with which those of its other forms begin (PROTOCOL-HTTP2.md, PROTOCOL-WEB.md).
pub(crate) const MEDIA_TYPE: &[u8] = b"application/grpc";

/// Returns true if the media type `kind` begins with `start`. Media types are the same in any case
/// (RFC 9110 §8.3.1).
pub(crate) fn begins(kind: &[u8], start: &[u8]) -> bool {
    let beginning = kind.get(..start.len());
    beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(start))
}

/// `message` as the answer to a request with `headers`, uncompressed if it has fewer than `worth` bytes. Many
/// clients take compressed messages whatever their size; a short one would only grow.
pub fn written<M: Message>(message: M, headers: &HeaderMap, worth: usize) -> tonic::Response<M> {
    // Looked up in every call: a name that is ready costs a quarter of one that is parsed.
    static ACCEPTED: HeaderName = HeaderName::from_static("grpc-accept-encoding");
    let is_short = headers.contains_key(&ACCEPTED) && message.encoded_len() < worth;
    let mut response = tonic::Response::new(message);
    if is_short {
        response.disable_compression();
    }
    response
}

/// The length from which on [`written`] is worth it: gzip's own head and tail are 18 bytes, and a short text
/// saves fewer.
pub const WORTH_COMPRESSING: usize = 256;

/// Sends the calls of one service straight to it, and all others to the operators' services, whose
/// router would cost every call more than the call itself.
#[derive(Clone, Debug)]
pub struct WithOperations<S> {
    service: S,
    operations: Routes,
}

impl<S> WithOperations<S> {
    /// `service`, and `operations` beside it.
    pub fn new(service: S, operations: Routes) -> Self {
        Self {
            service,
            operations: operations.prepare(),
        }
    }
}

impl<S, B, C> Service<Request<B>> for WithOperations<S>
where
    S: NamedService + Service<Request<B>, Response = Response<C>> + Clone,
    S::Error: Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    C: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S, B>;

    /// Always: what operators ask is answered even if the service is not ready, which is waited for by its own
    /// calls.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The path is /package.Service/Method.
        let method = request
            .uri()
            .path()
            .strip_prefix('/')
            .and_then(|path| path.strip_prefix(S::NAME));
        if method.is_some_and(|method| method.starts_with('/')) {
            let answer = called::call(self.service.clone(), request);
            Answer {
                from: From::Service { answer },
            }
        } else {
            let answer = Box::pin(tied(&mut self.operations, request));
            Answer {
                from: From::Operations { answer },
            }
        }
    }
}

pin_project_lite::pin_project! {
    /// The answer of the service, or of an operators' one.
    pub struct Answer<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        from: From<S, B>,
    }
}

pin_project_lite::pin_project! {
    #[project = FromProjection]
    enum From<S, B>
    where
        S: Service<Request<B>>,
    {
        Service { #[pin] answer: Called<S, Request<B>> },
        Operations { answer: BoxFuture<'static, Result<Response<Body>, Infallible>> },
    }
}

impl<S, B, C> Future for Answer<S, B>
where
    S: Service<Request<B>, Response = Response<C>>,
    C: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Output = Result<Response<Body>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().from.project() {
            // What is tonic's body already is not boxed again.
            FromProjection::Service { answer } => {
                ready!(answer.poll(cx)).map(|answer| answer.map(Body::new))
            }
            FromProjection::Operations { answer } => {
                ready!(answer.as_mut().poll(cx)).map_err(|never| match never {})
            }
        })
    }
}

/// Asks `service`, whose reader of the request does not outlive the call. One that reads in a task of its
/// own, as tonic's reflection does, would otherwise go on, and hold what it has read, for as long as the
/// peer keeps its half of the stream open.
fn tied<B>(
    service: &mut Routes,
    request: Request<B>,
) -> impl Future<Output = Result<Response<Body>, Infallible>> + use<B>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let over = CancellationToken::new();
    let call = over.clone().drop_guard();
    let request = request.map(|body| {
        let frames = BodyStream::new(body).take_until(over.cancelled_owned());
        Body::new(StreamBody::new(frames))
    });
    let answer = service.call(request);
    async move {
        let answer = answer.await?;
        // The call is over when the guard drops its answer, or the future before there is one.
        Ok(answer.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _ = &call;
                frame
            }))
        }))
    }
}
