//! What tonic refuses by itself, in the words of the fault table.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::http::{HeaderMap, Request, Response};
use pin_project_lite::pin_project;
use serving::body::is_incomplete;
use tonic::{Code, Status, body::Body};
use tower::Service;

use super::status::status;
use crate::faults::Fault;

/// A gRPC service whose every refusal has the details of the fault table.
#[derive(Clone, Debug)]
pub(super) struct Reworded<S> {
    service: S,
    /// The most bytes that a message may have.
    limit: usize,
}

impl<S> Reworded<S> {
    pub(super) fn new(service: S, limit: usize) -> Self {
        Self { service, limit }
    }
}

impl<S, B> Service<Request<B>> for Reworded<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Rewording<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Rewording {
            limit: self.limit,
            answer: self.service.call(request),
        }
    }
}

pin_project! {
    /// The answer to come.
    pub(super) struct Rewording<F> {
        #[pin]
        answer: F,
        limit: usize,
    }
}

impl<F> Future for Rewording<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut answer) = ready!(this.answer.poll(cx));
        // A status among the headers is an answer without a message: a refusal.
        if answer.headers().contains_key(Status::GRPC_STATUS) {
            reword(answer.headers_mut(), *this.limit);
        }
        Poll::Ready(Ok(answer))
    }
}

fn reword(headers: &mut HeaderMap, limit: usize) {
    let Some(refusal) = Status::from_header_map(headers) else {
        return;
    };
    if !refusal.details().is_empty() {
        return;
    }
    let fault = match refusal.code() {
        // More than the limit, before or after it was unpacked.
        Code::OutOfRange | Code::ResourceExhausted => Fault::TooLarge { limit },
        // What is not read comes with what is.
        Code::Unimplemented if headers.contains_key("grpc-accept-encoding") => {
            Fault::UnsupportedMediaType {
                form: "this compression".to_owned(),
                accept: "gzip or identity",
            }
        }
        Code::Unimplemented => Fault::UnknownMethod,
        // tonic-web tells the error of a body as its own text.
        Code::Internal if is_incomplete(refusal.message()) => Fault::Incomplete,
        // Nothing else in here is internal: tonic says so of bytes that are not the message, and the
        // gRPC specification lets it. It is the caller who can mend them.
        Code::Internal => Fault::Malformed(refusal.message().to_owned()),
        // The operators' services speak for themselves.
        _ => return,
    };
    // It cannot fail: the message is percent-encoded, and the details are base64.
    let _ = status(&fault).add_header(headers);
}
