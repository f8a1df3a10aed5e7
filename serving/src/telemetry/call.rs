//! The service around the guard of every connection: it names the call, counts it with the code that
//! its caller got, and logs it if asked to.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::service::Service;
use tracing::{Level, Span};

use super::{
    codes::{CountedAs, Place, Transport, Web, grpc_status},
    ended::Ended,
    metrics::{self, Calls, Listener},
    request_id::{self, Id},
    trace_context::TraceContext,
    traces::Traces,
};
use crate::{
    chunk::Bounded,
    context::{CallContext, Names},
    peer::Peer,
    received::Received,
    refusal::Refusal,
    service::BoxError,
    target,
};

/// The tracing of a listener's calls.
#[derive(Clone, Debug)]
pub(crate) struct Tracing {
    pub(crate) traces: Option<Traces>,
    /// True if callers are not asked what trace they belong to.
    pub(crate) is_edge: bool,
    pub(crate) is_tls: bool,
}

/// The side of one connection, or of one layer, that its calls report to.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) listener: Arc<Listener>,
    tracing: Tracing,
    /// An answer carried a request id.
    named: AtomicBool,
    /// Something was asked.
    pub(crate) asked: AtomicBool,
    /// That of the connection's worker. None where calls come from all threads.
    shard: Option<usize>,
}

impl Watcher {
    /// For the calls of one connection, which stays on the thread of the caller.
    pub(crate) fn of_connection(listener: &Arc<Listener>, tracing: &Tracing) -> Self {
        Self {
            shard: Some(metrics::shard()),
            ..Self::new(listener, tracing)
        }
    }

    /// For calls that come from all threads.
    pub(crate) fn new(listener: &Arc<Listener>, tracing: &Tracing) -> Self {
        Self {
            listener: Arc::clone(listener),
            tracing: tracing.clone(),
            named: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            shard: None,
        }
    }

    fn shard(&self) -> usize {
        self.shard.unwrap_or_else(metrics::shard)
    }
}

/// The counters and the watcher that the calls of one transport on one connection share.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) transport: Arc<Calls>,
    pub(crate) watcher: Arc<Watcher>,
}

/// A guarded service. Its calls are watched if there is a `line` to report to.
pub(crate) struct Watched<S> {
    pub(crate) service: S,
    pub(crate) line: Option<Arc<Line>>,
    pub(crate) watcher: Arc<Watcher>,
    /// The other end of the connection.
    pub(crate) peer: Peer,
}

impl<S, B> Service<Request<Received>> for Watched<S>
where
    S: Service<Request<Received>, Response = Response<B>>,
    B: Body<Data: Buf, Error: Into<BoxError>>,
{
    type Response = Response<WatchedBody<B>>;
    type Error = S::Error;
    type Future = WatchedCall<S::Future>;

    fn call(&self, mut request: Request<Received>) -> Self::Future {
        target::normal(request.uri_mut());
        self.watcher.asked.store(true, Relaxed);
        let peer = Some(self.peer.clone());
        let Some(line) = &self.line else {
            let context = CallContext::begin(Some(&self.watcher), None, peer);
            request.extensions_mut().insert(context);
            let future = self.service.call(request);
            return WatchedCall { future, call: None };
        };
        let call = Call::begin(line, None, peer, &request);
        watch(call, request, |request| self.service.call(request))
    }
}

/// Watches `call`, which `request` makes of a service.
pub(crate) fn watch<B, F>(
    call: Call,
    mut request: Request<B>,
    service: impl FnOnce(Request<B>) -> F,
) -> WatchedCall<F> {
    let call = Box::new(call);
    request.extensions_mut().insert(call.context.clone());
    let call = Some(call);
    let future = within(&call, || service(request));
    WatchedCall { future, call }
}

/// A call from its head to the last byte of its answer, or to wherever it was dropped. It is boxed, for it is moved
/// often.
pub(crate) struct Call {
    line: Arc<Line>,
    context: CallContext,
    path: usize,
    /// True if the answer carries the request id.
    told: bool,
    head: bool,
    web: Option<Web>,
    shown: Option<Box<Shown>>,
    code: Option<Place>,
    whole: bool,
}

/// Further details of a call, for its log line or its span. Kept only for the calls that have one.
struct Shown {
    logged: bool,
    sampled: Option<TraceContext>,
    method: Method,
    path: String,
    version: Version,
    /// The HTTP status, once there is one.
    status: Option<StatusCode>,
    /// Span that adds the call's names to each line that the service logs.
    span: Span,
}

/// Does `work` for `call`, in its span where it has one.
fn within<T>(call: &Option<Box<Call>>, work: impl FnOnce() -> T) -> T {
    let shown = call.as_ref().and_then(|call| call.shown.as_ref());
    match shown {
        None => work(),
        Some(shown) => shown.span.in_scope(work),
    }
}

impl Call {
    /// That of `request`, which is `known` already where somebody outside has named it.
    pub(crate) fn begin<B>(
        line: &Arc<Line>,
        known: Option<CallContext>,
        peer: Option<Peer>,
        request: &Request<B>,
    ) -> Self {
        let Line { transport, watcher } = &**line;
        let path = transport.place(request.uri().path());
        transport.begin(watcher.shard(), path);
        let [id, traceparent] = super::names(request.headers());
        let Tracing {
            traces, is_edge, ..
        } = &watcher.tracing;
        let trace = match &known {
            Some(known) => known.trace(),
            None => TraceContext::of(traceparent.filter(|_| !is_edge)),
        };
        let sampled = traces.as_ref().and_then(|traces| traces.sample(trace));
        let logged = tracing::enabled!(Level::DEBUG);
        let trace = sampled
            .or(trace)
            .or_else(|| logged.then(TraceContext::begin));
        let context = known.unwrap_or_else(|| {
            let id = Id::of(id);
            CallContext::begin(Some(watcher), Some(Names { id, trace }), peer)
        });
        let shown = (logged || sampled.is_some()).then(|| {
            Box::new(Shown {
                logged,
                sampled,
                method: request.method().clone(),
                path: request.uri().path().to_owned(),
                version: request.version(),
                status: None,
                span: tracing::debug_span!(
                    "call",
                    request_id = context
                        .request_id()
                        .as_ref()
                        .and_then(|id| id.to_str().ok()),
                    trace_id = trace.map(tracing::field::display)
                ),
            })
        });
        Self {
            line: Arc::clone(line),
            context,
            path,
            told: false,
            head: request.method() == Method::HEAD,
            web: None,
            shown,
            code: None,
            whole: false,
        }
    }

    fn answered<B: Body>(&mut self, response: &mut Response<B>) {
        let kind = self.line.transport.transport;
        let counted = response.extensions_mut().remove::<CountedAs>();
        let (status, headers) = (response.status(), response.headers());
        if let Some(shown) = &mut self.shown {
            shown.status = Some(status);
        }
        if kind == Transport::Grpc {
            self.web = Web::of(headers);
        }
        self.whole = self.head || response.body().is_end_stream();
        let counted = counted.map_or(status, |CountedAs(status)| status);
        self.code = kind.code_of_head(counted, headers);
        // A made id of a gRPC call that goes well, and of which nothing is written down, would be a
        // tenth of its answer and name nothing.
        let names_something = self.shown.is_some() || self.context.is_named_by_caller();
        if kind == Transport::Rest || self.code.is_some() || names_something {
            self.tell(response.headers_mut());
        }
    }

    /// Notes that there is no answer, but an error of the service.
    fn failed(&mut self) {
        self.code = Some(self.line.transport.transport.broken(None));
        self.whole = true;
    }

    /// Puts the id into an answer.
    fn tell(&mut self, headers: &mut HeaderMap) {
        let Some(mut id) = self.context.request_id() else {
            return;
        };
        // It differs from call to call, and must not push what repeats from HPACK's table. The first
        // one of a connection goes there, for the sake of its name.
        let named = &self.line.watcher.named;
        id.set_sensitive(named.load(Relaxed));
        named.store(true, Relaxed);
        headers.insert(request_id::HEADER, id);
        self.told = true;
    }

    fn trailers(&mut self, trailers: &mut HeaderMap) {
        if self.line.transport.transport == Transport::Grpc {
            self.code = grpc_status(trailers);
            if self.code != Some(tonic::Code::Ok as Place) && !self.told {
                self.tell(trailers);
            }
        }
        self.whole = true;
    }

    /// Notes that the answer broke off on this side, with `error`. Of a caller who is gone it is not the
    /// server's.
    fn broken(&mut self, error: &BoxError) {
        if self.context.is_gone() {
            return;
        }
        let kind = self.line.transport.transport;
        let refusal = error.downcast_ref::<Refusal>().copied();
        self.code = Some(kind.broken(refusal));
        self.whole = true;
        if refusal.is_none() {
            let id = self.context.request_id();
            let request_id = id.as_ref().and_then(|id| id.to_str().ok());
            tracing::error!(%error, request_id, "an answer broke off");
        }
    }

    fn say(&self, code: Place, internal: bool) {
        let label = &self.line.transport.transport.label(code);
        let transport = self.line.transport.transport.name();
        let id = self.context.request_id();
        let request_id = id
            .as_ref()
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default();
        let trace_id = self.context.trace().map(tracing::field::display);
        let took = self.context.begun().elapsed();
        if internal {
            tracing::error!(
                transport,
                code = label,
                ?took,
                request_id,
                trace_id,
                "a call failed inside of the server"
            );
        }
        let Some(shown) = &self.shown else { return };
        let (method, path) = (shown.method.as_str(), shown.path.as_str());
        if shown.logged {
            tracing::debug!(
                transport,
                method,
                path,
                code = label,
                ?took,
                request_id,
                trace_id,
                "a call ended"
            );
        }
        let Tracing { traces, is_tls, .. } = &self.line.watcher.tracing;
        if let (Some(traces), Some(context)) = (traces, shown.sampled) {
            let kind = self.line.transport.transport;
            traces.send(&Ended {
                transport: kind,
                route: self.line.transport.path(self.path),
                method: &shown.method,
                version: shown.version,
                is_tls: *is_tls,
                status: shown.status,
                code: label,
                is_error: kind.is_error(code),
                context,
                request_id,
                took,
            });
        }
    }
}

/// A call ends when it is dropped, however that comes.
impl Drop for Call {
    fn drop(&mut self) {
        let Line { transport, watcher } = &*self.line;
        let kind = transport.transport;
        let code = match (self.whole && !self.context.is_gone(), self.code) {
            (true, Some(code)) => code,
            (true, None) => tonic::Code::Unknown as Place,
            (false, _) => kind.cut(),
        };
        let took = self.context.begun().elapsed();
        transport.end(watcher.shard(), self.path, code, took);
        let internal = kind.is_internal(code) && !self.context.is_callers_fault();
        if internal || self.shown.is_some() {
            self.say(code, internal);
        }
    }
}

pin_project_lite::pin_project! {
    /// A watched call until its answer begins.
    pub struct WatchedCall<F> {
        #[pin]
        future: F,
        call: Option<Box<Call>>,
    }
}

impl<F, B, E> Future for WatchedCall<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data: Buf, Error: Into<BoxError>>,
{
    type Output = Result<Response<WatchedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut answer = ready!(within(this.call, || this.future.poll(cx)));
        if let Some(call) = this.call {
            match &mut answer {
                Ok(response) => call.answered(response),
                Err(_) => call.failed(),
            }
        }
        let response = answer?;
        let call = this.call.take();
        Poll::Ready(Ok(response.map(|body| WatchedBody { body, call })))
    }
}

pin_project_lite::pin_project! {
    /// A watched answer while it is written.
    pub struct WatchedBody<B> {
        #[pin]
        body: B,
        call: Option<Box<Call>>,
    }
}

impl<B: Bounded> Bounded for WatchedBody<B> {
    fn end(&self) -> Option<tokio::time::Instant> {
        self.body.end()
    }
}

impl<B: Body<Data: Buf, Error: Into<BoxError>>> Body for WatchedBody<B> {
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let mut this = self.project();
        let body = this.body.as_mut();
        let frame = ready!(within(this.call, || body.poll_frame(cx)));
        let mut frame = frame.map(|frame| frame.map_err(Into::into));
        let Some(call) = this.call else {
            return Poll::Ready(frame);
        };
        match &mut frame {
            None => call.whole = true,
            Some(Err(error)) => call.broken(error),
            Some(Ok(frame)) => {
                if let (Some(data), Some(web)) = (frame.data_ref(), call.web) {
                    call.code = web.status(data.chunk()).or(call.code);
                } else if let Some(trailers) = frame.trailers_mut() {
                    call.trailers(trailers);
                }
                call.whole |= this.body.is_end_stream();
            }
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
