//! What stands around the guard of every connection: it names the call, counts it with the code that
//! its caller got, logs it where asked, and notes the limits that the guard held.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::{body::Incoming, service::Service};
use tracing::{Level, Span};

use super::{
    codes::{Place, Transport, Web, grpc_status},
    metrics::{self, Calls, Limit, Listener},
    request_id,
    trace_context::TraceContext,
    traces::{Ended, Traces},
};
use crate::refusal::{Refusal, Refuse};

/// What is known of the calls of one connection before they come.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) listener: Arc<Listener>,
    pub(crate) traces: Option<Traces>,
    /// Whether anything was asked yet.
    pub(crate) asked: AtomicBool,
    shard: usize,
}

impl Watcher {
    pub(crate) fn new(listener: &Arc<Listener>, traces: Option<&Traces>) -> Self {
        listener.opened.fetch_add(1, Relaxed);
        Self {
            listener: Arc::clone(listener),
            traces: traces.cloned(),
            asked: AtomicBool::new(false),
            shard: metrics::shard(),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.listener.closed.fetch_add(1, Relaxed);
    }
}

/// A guarded service that is watched, if there is a `transport` to count for.
pub(crate) struct Watched<S> {
    pub(crate) service: S,
    pub(crate) transport: Option<Arc<Calls>>,
    pub(crate) watcher: Arc<Watcher>,
}

impl<S, B> Service<Request<Incoming>> for Watched<S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    B: Body<Data: Buf>,
{
    type Response = Response<WatchedBody<B>>;
    type Error = S::Error;
    type Future = WatchedCall<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.watcher.asked.store(true, Relaxed);
        let Some(transport) = &self.transport else {
            let future = self.service.call(request);
            return WatchedCall { future, call: None };
        };
        let mut call = Call::begin(transport, &self.watcher, &request);
        let future = call.within(|| self.service.call(request));
        WatchedCall {
            future,
            call: Some(call),
        }
    }
}

/// A call from its head to the last byte of its answer, or to wherever it was dropped.
struct Call {
    transport: Arc<Calls>,
    watcher: Arc<Watcher>,
    path: usize,
    begun: Instant,
    /// None only while the service works.
    id: Option<HeaderValue>,
    context: Option<TraceContext>,
    head: bool,
    web: Option<Web>,
    shown: Option<Box<Shown>>,
    code: Option<Place>,
    whole: bool,
}

/// What a line of the log or a span shows beside. Kept only for the calls that have one.
struct Shown {
    logged: bool,
    sampled: Option<TraceContext>,
    method: Method,
    path: String,
    /// What the service logs carries the call's names.
    span: Span,
}

impl Call {
    fn begin(transport: &Arc<Calls>, watcher: &Arc<Watcher>, request: &Request<Incoming>) -> Self {
        let begun = Instant::now();
        let path = transport.place(request.uri().path());
        transport.begin(watcher.shard, path);
        let headers = request.headers();
        let context = TraceContext::of(headers);
        let traces = watcher.traces.as_ref();
        let sampled = traces.and_then(|traces| traces.sample(context));
        let id = request_id::of(headers);
        let logged = tracing::enabled!(Level::DEBUG);
        let context = sampled
            .or(context)
            .or_else(|| logged.then(TraceContext::begin));
        let shown = (logged || sampled.is_some()).then(|| {
            Box::new(Shown {
                logged,
                sampled,
                method: request.method().clone(),
                path: request.uri().path().to_owned(),
                span: tracing::debug_span!(
                    "call",
                    request_id = id.to_str().unwrap_or_default(),
                    trace_id = context.map(tracing::field::display)
                ),
            })
        });
        Self {
            transport: Arc::clone(transport),
            watcher: Arc::clone(watcher),
            path,
            begun,
            id: Some(id),
            context,
            head: request.method() == Method::HEAD,
            web: None,
            shown,
            code: None,
            whole: false,
        }
    }

    /// Does `work` for this call, and notes the limit that the guard held meanwhile.
    fn within<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let span = self.shown.as_ref().map(|shown| shown.span.enter());
        let done = request_id::within(&mut self.id, work);
        drop(span);
        if let Some(limit) = HELD.take() {
            self.watcher.listener.hit(limit);
        }
        done
    }

    fn answered<B: Body>(&mut self, response: &mut Response<B>) {
        let headers = response.headers();
        let kind = self.transport.transport;
        self.code = kind.code_of_head(response.status(), headers);
        if kind == Transport::Grpc {
            self.web = Web::of(headers);
        }
        self.whole = self.head || response.body().is_end_stream();
        if let Some(mut id) = self.id.clone() {
            // It differs from call to call: it must not push what repeats from HPACK's table.
            id.set_sensitive(true);
            response.headers_mut().insert(request_id::HEADER, id);
        }
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        if self.transport.transport == Transport::Grpc {
            self.code = grpc_status(trailers);
        }
        self.whole = true;
    }

    fn id(&self) -> &str {
        let id = self.id.as_ref().and_then(|id| id.to_str().ok());
        id.unwrap_or_default()
    }

    fn say(&self, label: &str, internal: bool) {
        let transport = self.transport.transport.name();
        let request_id = self.id();
        let trace_id = self.context.map(tracing::field::display);
        let took = self.begun.elapsed();
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
        if let (Some(traces), Some(context)) = (&self.watcher.traces, shown.sampled) {
            traces.send(&Ended {
                transport: self.transport.transport,
                path,
                method,
                code: label,
                internal,
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
        let kind = self.transport.transport;
        let code = match (self.whole, self.code) {
            (true, Some(code)) => code,
            (true, None) => tonic::Code::Unknown as Place,
            (false, _) => kind.cut(),
        };
        let took = self.begun.elapsed();
        self.transport
            .end(self.watcher.shard, self.path, code, took);
        let internal = kind.is_internal(code);
        if internal || self.shown.is_some() {
            self.say(&kind.label(code), internal);
        }
    }
}

pin_project_lite::pin_project! {
    /// A watched call until its answer begins.
    pub(crate) struct WatchedCall<F> {
        #[pin]
        future: F,
        call: Option<Call>,
    }
}

impl<F, B, E> Future for WatchedCall<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data: Buf>,
{
    type Output = Result<Response<WatchedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(call) = this.call else {
            let response = ready!(this.future.poll(cx))?;
            return Poll::Ready(Ok(response.map(|body| WatchedBody { body, call: None })));
        };
        let mut response = ready!(call.within(|| this.future.poll(cx)))?;
        call.answered(&mut response);
        let call = this.call.take();
        Poll::Ready(Ok(response.map(|body| WatchedBody { body, call })))
    }
}

pin_project_lite::pin_project! {
    /// A watched answer while it is written.
    pub(crate) struct WatchedBody<B> {
        #[pin]
        body: B,
        call: Option<Call>,
    }
}

impl<B: Body<Data: Buf>> Body for WatchedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(call) = this.call else {
            return this.body.poll_frame(cx);
        };
        let body = this.body.as_mut();
        let frame = ready!(call.within(|| body.poll_frame(cx)));
        match &frame {
            None => call.whole = true,
            Some(Err(_)) => {}
            Some(Ok(frame)) => {
                if let (Some(data), Some(web)) = (frame.data_ref(), call.web) {
                    call.code = web.status(data.chunk()).or(call.code);
                } else if let Some(trailers) = frame.trailers_ref() {
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

thread_local! {
    /// The limit that the guard has just held.
    static HELD: Cell<Option<Limit>> = const { Cell::new(None) };
}

/// Words refusals as `R` does, and notes those that are limits.
#[derive(Clone, Copy)]
pub(crate) struct Noting<R>(pub(crate) R);

impl<R: Refuse> Refuse for Noting<R> {
    const TRANSPORT: Transport = R::TRANSPORT;

    fn answer(&self, refusal: Refusal) -> Response<Full<Bytes>> {
        note(refusal);
        self.0.answer(refusal)
    }

    fn trailers(&self, refusal: Refusal) -> Option<HeaderMap> {
        note(refusal);
        self.0.trailers(refusal)
    }
}

fn note(refusal: Refusal) {
    let limit = match refusal {
        Refusal::Overloaded => Limit::Calls,
        Refusal::DeadlinePassed => Limit::Deadline,
        Refusal::UriTooLong => Limit::Uri,
        Refusal::MalformedDeadline | Refusal::Draining | Refusal::Panicked => return,
    };
    HELD.set(Some(limit));
}
