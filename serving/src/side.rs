//! The transports that a listener serves: one, or two that share it.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use http::{
    Method, Request, Response,
    header::{ACCESS_CONTROL_REQUEST_HEADERS, CONTENT_TYPE},
};
use http_body::Body;
use http_body_util::Either;
use hyper::service::Service;
use tower::Layer;

use crate::{
    chunk::{Bounded, Chunk, Open},
    cors::{ForPages, Origins},
    cross_site::CrossSiteGate,
    gate::{GateLayer, Gated},
    grpc::{MEDIA_TYPE, begins},
    guard::{Calls, Guard},
    hosts::HostGate,
    peer::Peer,
    received::Received,
    refusal::Refuse,
    server::Listener,
    service::{BoxError, HttpService},
    telemetry::{
        call::{Line, Watched, Watcher},
        codes::Transport,
        metrics::{self, locked},
    },
};

/// One transport: its service, and what the server around it must know.
#[derive(Clone, Debug)]
pub struct Side<S, R> {
    /// Service that answers.
    pub service: S,
    /// Wording of refusals by the server around it.
    pub refuse: R,
    /// The paths that are counted by name, such as `/v1/orders` or, with parameters as axum has them,
    /// `/v1/orders/{id}`; all others are counted as one.
    pub paths: Vec<String>,
    /// Whose pages may read answers.
    pub origins: Origins,
}

/// The calls of the listener, and what one connection has open and tells of its calls.
pub(crate) type Around<'a> = (&'a Arc<Calls>, &'a Arc<Open>, &'a Arc<Watcher>);

/// Factory of the service for each connection.
pub(crate) trait Serve: Send + Sync + 'static {
    /// True if answers over HTTP/2 carry a Date.
    const DATED: bool;
    type Body: Body<Data = Chunk, Error: Into<BoxError>> + Bounded + Send + 'static;
    type Service: Service<
            Request<Received>,
            Response = Response<Self::Body>,
            Error = Infallible,
            Future: Send + 'static,
        > + Send;

    /// The service of a connection with `peer`.
    fn connection(&self, around: Around<'_>, peer: Peer) -> Self::Service;
}

/// Gates that look at the head of each request of a side, before its service.
type Gates<R> = Arc<(HostGate<R>, CrossSiteGate<R>)>;

/// A side whose calls are guarded, counted where there is telemetry, and whose answers some pages may
/// read.
pub(crate) struct One<S, R> {
    /// Cloned for each connection. It need not be `Sync`.
    service: Mutex<Gated<S, Gates<R>>>,
    refuse: R,
    origins: Arc<Origins>,
    counters: Option<Arc<metrics::Calls>>,
}

impl<S, R: Refuse> One<S, R> {
    /// `side` on `listener`.
    pub(crate) fn new(side: Side<S, R>, listener: &Listener) -> Self {
        let counters = listener.telemetry.as_ref().map(|telemetry| {
            let counters = Arc::new(metrics::Calls::new(R::TRANSPORT, side.paths));
            if let Some(metrics) = &telemetry.metrics {
                metrics.add(&counters);
            }
            counters
        });
        let refuse = side.refuse;
        let origins = Arc::new(Origins {
            hosts: listener.hosts.clone(),
            is_tls: listener.tls.is_some(),
            ..side.origins
        });
        let hosts = HostGate::new(listener.hosts.clone(), refuse.clone());
        let pages = CrossSiteGate::new(Arc::clone(&origins), refuse.clone());
        Self {
            service: Mutex::new(GateLayer(Arc::new((hosts, pages))).layer(side.service)),
            refuse,
            origins,
            counters,
        }
    }
}

impl<S: HttpService, R: Refuse + Sync> Serve for One<S, R> {
    // gRPC knows no Date, and no cache looks at its answers; to h2 it is a new header every second.
    const DATED: bool = !matches!(R::TRANSPORT, Transport::Grpc);
    type Body = <Self::Service as Served>::Body;
    type Service = Watched<ForPages<Guard<Gated<S, Gates<R>>, R>>>;

    fn connection(&self, (calls, open, watcher): Around<'_>, peer: Peer) -> Self::Service {
        Watched {
            service: ForPages {
                service: Guard {
                    service: locked(&self.service).clone(),
                    refuse: self.refuse.clone(),
                    calls: Arc::clone(calls),
                    open: Arc::clone(open),
                },
                origins: Arc::clone(&self.origins),
                open: Arc::clone(open),
            },
            line: self.counters.as_ref().map(|counters| {
                Arc::new(Line {
                    transport: Arc::clone(counters),
                    watcher: Arc::clone(watcher),
                })
            }),
            watcher: Arc::clone(watcher),
            peer,
        }
    }
}

/// The body of a service's answers.
pub(crate) trait Served {
    type Body;
}

impl<S, B> Served for S
where
    S: Service<Request<Received>, Response = Response<B>>,
{
    type Body = B;
}

/// REST and gRPC on one listener.
pub(crate) struct Both<A, B> {
    pub(crate) rest: A,
    pub(crate) grpc: B,
}

impl<A: Serve, B: Serve> Serve for Both<A, B> {
    const DATED: bool = A::DATED || B::DATED;
    type Body = Either<A::Body, B::Body>;
    type Service = ByContent<A::Service, B::Service>;

    fn connection(&self, around: Around<'_>, peer: Peer) -> Self::Service {
        ByContent {
            rest: self.rest.connection(around, peer.clone()),
            grpc: self.grpc.connection(around, peer),
        }
    }
}

/// Tells each request apart by what it says it carries.
pub(crate) struct ByContent<A, B> {
    rest: A,
    grpc: B,
}

impl<A, B, X, Y> Service<Request<Received>> for ByContent<A, B>
where
    A: Service<Request<Received>, Response = Response<X>, Error = Infallible>,
    B: Service<Request<Received>, Response = Response<Y>, Error = Infallible>,
{
    type Response = Response<Either<X, Y>>;
    type Error = Infallible;
    type Future = Answer<A::Future, B::Future>;

    fn call(&self, request: Request<Received>) -> Self::Future {
        if is_grpc(&request) {
            let answer = self.grpc.call(request);
            Answer::Grpc { answer }
        } else {
            let answer = self.rest.call(request);
            Answer::Rest { answer }
        }
    }
}

/// gRPC and gRPC-Web say so in their content type (PROTOCOL-HTTP2.md, PROTOCOL-WEB.md). A browser
/// that asks beforehand whether it may call over gRPC-Web says so by the headers it will send.
fn is_grpc<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let asks = request.method() == Method::OPTIONS;
    let will_send = headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
    let will_send = will_send.filter(|_| asks);
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| begins(kind.as_bytes(), MEDIA_TYPE))
        || will_send
            .and_then(|names| names.to_str().ok())
            .is_some_and(|names| {
                names
                    .split(',')
                    .any(|name| name.trim().eq_ignore_ascii_case("x-grpc-web"))
            })
}

pin_project_lite::pin_project! {
    /// The answer of either.
    #[project = AnswerProjection]
    pub(crate) enum Answer<A, B> {
        Rest { #[pin] answer: A },
        Grpc { #[pin] answer: B },
    }
}

impl<A, B, X, Y> Future for Answer<A, B>
where
    A: Future<Output = Result<Response<X>, Infallible>>,
    B: Future<Output = Result<Response<Y>, Infallible>>,
{
    type Output = Result<Response<Either<X, Y>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project() {
            AnswerProjection::Rest { answer } => {
                ready!(answer.poll(cx)).map(|response| response.map(Either::Left))
            }
            AnswerProjection::Grpc { answer } => {
                ready!(answer.poll(cx)).map(|response| response.map(Either::Right))
            }
        })
    }
}
