//! Layers that look at the head of a request and let it pass or answer it themselves. They know no body:
//! [`GateLayer`] stands in front of any tower service.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Either, Full};
use tonic::server::NamedService;
use tower::{Layer, Service};

use crate::refusal::{Refusal, Refuse, Wording};

/// Decides whether a request passes.
pub trait Gate {
    /// The answer to `request`, if it does not pass. One that does may be told by its extensions what was found
    /// out about it.
    fn answer<B>(&self, request: &mut Request<B>) -> Option<Response<Full<Bytes>>>;
}

/// Both of two, the first one first.
impl<X: Gate, Y: Gate> Gate for (X, Y) {
    fn answer<B>(&self, request: &mut Request<B>) -> Option<Response<Full<Bytes>>> {
        self.0.answer(request).or_else(|| self.1.answer(request))
    }
}

impl<G: Gate> Gate for std::sync::Arc<G> {
    fn answer<B>(&self, request: &mut Request<B>) -> Option<Response<Full<Bytes>>> {
        (**self).answer(request)
    }
}

/// `refusal` as `refuse` words it, with its HTTP status, as the peer may be a browser or a proxy.
pub(crate) fn refused<R, B>(
    refuse: &R,
    refusal: Refusal,
    request: &Request<B>,
) -> Response<Full<Bytes>>
where
    R: Refuse,
{
    let mut answer = Wording::of(refuse.clone(), request).answer(refusal);
    *answer.status_mut() = refusal.status();
    answer
}

/// Puts a gate in front of a service.
#[derive(Clone, Copy, Debug)]
pub struct GateLayer<G>(pub G);

impl<S, G: Clone> Layer<S> for GateLayer<G> {
    type Service = Gated<S, G>;

    fn layer(&self, service: S) -> Gated<S, G> {
        let gate = self.0.clone();
        Gated { service, gate }
    }
}

/// A service behind a gate.
#[derive(Clone, Debug)]
pub struct Gated<S, G> {
    service: S,
    gate: G,
}

impl<S: NamedService, G> NamedService for Gated<S, G> {
    const NAME: &'static str = S::NAME;
}

impl<S, G, A, B> Service<Request<A>> for Gated<S, G>
where
    S: Service<Request<A>, Response = Response<B>>,
    G: Gate,
{
    type Response = Response<Either<B, Full<Bytes>>>;
    type Error = S::Error;
    type Future = Passing<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let stopped = self.gate.answer(&mut request).map(Box::new);
        let answer = match stopped {
            None => Some(self.service.call(request)),
            Some(_) => None,
        };
        Passing { answer, stopped }
    }
}

pin_project_lite::pin_project! {
    /// The answer of the service, or of the gate.
    pub struct Passing<F> {
        #[pin]
        answer: Option<F>,
        stopped: Option<Box<Response<Full<Bytes>>>>,
    }
}

impl<F, B, E> Future for Passing<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<Either<B, Full<Bytes>>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(Ok(match this.answer.as_pin_mut() {
            Some(answer) => ready!(answer.poll(cx))?.map(Either::Left),
            None => {
                let stopped = this.stopped.take();
                stopped
                    .expect("it is polled to its end once")
                    .map(Either::Right)
            }
        }))
    }
}
