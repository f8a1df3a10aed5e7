//! What stands around every call: the cap on calls, the deadline, the containment of panics, and the
//! end that a drain puts to streams. It works on hyper's level, so that REST and gRPC share it, and
//! it arms no timer for a call that never has to wait.

use std::{
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tower::Service;

use crate::{
    grpc_timeout,
    limits::Limits,
    pieces::Pieces,
    refusal::{Refusal, Refuse},
    stall,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What the calls of one listener share.
#[derive(Debug)]
pub(crate) struct Calls {
    open: AtomicUsize,
    most: usize,
    uri: usize,
    longest: Duration,
    /// Cancelled when the listener has closed: streams end then.
    closing: CancellationToken,
}

impl Calls {
    pub(crate) fn new(limits: &Limits, closing: CancellationToken) -> Self {
        Self {
            open: AtomicUsize::new(0),
            most: limits.calls,
            uri: limits.uri,
            longest: limits.longest_call,
            closing,
        }
    }
}

/// One open call, counted for its listener and for its connection.
struct Slot {
    calls: Arc<Calls>,
    connection: Arc<AtomicUsize>,
}

impl Slot {
    fn take(calls: &Arc<Calls>, connection: &Arc<AtomicUsize>) -> Option<Self> {
        if calls.open.fetch_add(1, Relaxed) >= calls.most {
            calls.open.fetch_sub(1, Relaxed);
            return None;
        }
        connection.fetch_add(1, Relaxed);
        Some(Self {
            calls: Arc::clone(calls),
            connection: Arc::clone(connection),
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.calls.open.fetch_sub(1, Relaxed);
        self.connection.fetch_sub(1, Relaxed);
    }
}

/// The service of one connection.
pub(crate) struct Guard<S, R> {
    pub(crate) service: S,
    pub(crate) refuse: R,
    pub(crate) calls: Arc<Calls>,
    /// Open calls of this connection.
    pub(crate) open: Arc<AtomicUsize>,
}

impl<S, R, B> hyper::service::Service<Request<Incoming>> for Guard<S, R>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone,
    R: Refuse,
{
    type Response = Response<GuardedBody<Pieces<B>, R>>;
    type Error = Infallible;
    type Future = Guarded<S::Future, R>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let refused = |refusal| Guarded {
            state: State::Refused { refusal },
            refuse: self.refuse.clone(),
        };
        let uri = request.uri().path_and_query();
        if uri.is_some_and(|uri| uri.as_str().len() > self.calls.uri) {
            return refused(Refusal::UriTooLong);
        }
        let asked = request.headers().get("grpc-timeout");
        let limit = match asked.map(|value| grpc_timeout::parse(value.as_bytes())) {
            None => self.calls.longest,
            Some(Ok(asked)) => asked.min(self.calls.longest),
            Some(Err(_)) => return refused(Refusal::MalformedDeadline),
        };
        let Some(slot) = Slot::take(&self.calls, &self.open) else {
            return refused(Refusal::Overloaded);
        };
        let end = Instant::now() + limit;
        // tower's services are called by exclusive reference; those here are cheap to clone.
        let mut service = self.service.clone();
        match catch_unwind(AssertUnwindSafe(|| service.call(request))) {
            Ok(future) => Guarded {
                state: State::Running {
                    future,
                    slot: Some(slot),
                    end,
                    timer: None,
                },
                refuse: self.refuse.clone(),
            },
            Err(_) => refused(Refusal::Panicked),
        }
    }
}

pin_project_lite::pin_project! {
    /// A call until its answer begins.
    pub(crate) struct Guarded<F, R> {
        #[pin]
        state: State<F>,
        refuse: R,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Running {
            #[pin]
            future: F,
            slot: Option<Slot>,
            end: Instant,
            timer: Option<Pin<Box<Sleep>>>,
        },
        Refused { refusal: Refusal },
    }
}

impl<F, R, B> Future for Guarded<F, R>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    R: Refuse,
{
    type Output = Result<Response<GuardedBody<Pieces<B>, R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let refusal = match this.state.as_mut().project() {
            StateProjection::Refused { refusal } => *refusal,
            StateProjection::Running {
                future,
                slot,
                end,
                timer,
            } => match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
                Err(_) => Refusal::Panicked,
                Ok(Poll::Ready(Ok(response))) => {
                    let refuse = this.refuse.clone();
                    let (slot, end) = (slot.take(), *end);
                    return Poll::Ready(Ok(
                        response.map(|body| GuardedBody::new(Pieces::new(body), refuse, slot, end))
                    ));
                }
                Ok(Poll::Pending) => {
                    stall::service_waits();
                    let timer =
                        timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(*end)));
                    ready!(timer.as_mut().poll(cx));
                    Refusal::DeadlinePassed
                }
            },
        };
        // The work behind the call stops here: its future is dropped.
        this.state.set(State::Refused { refusal });
        let answer = this.refuse.answer(refusal);
        Poll::Ready(Ok(answer.map(GuardedBody::refusal)))
    }
}

pin_project_lite::pin_project! {
    /// An answer while it is written.
    pub(crate) struct GuardedBody<B, R> {
        #[pin]
        content: Content<B>,
        refuse: Option<R>,
        slot: Option<Slot>,
        end: Option<Instant>,
        wait: Option<Pin<Box<Wait>>>,
    }
}

pin_project_lite::pin_project! {
    #[project = ContentProjection]
    enum Content<B> {
        Service { #[pin] body: B },
        Refusal { #[pin] body: Full<Bytes> },
        Over,
    }
}

/// What may end an answer that has to wait.
struct Wait {
    timer: Pin<Box<Sleep>>,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Wait {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Refusal> {
        if self.timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Refusal::DeadlinePassed);
        }
        self.closing.as_mut().poll(cx).map(|()| Refusal::Draining)
    }
}

impl<B, R> GuardedBody<B, R> {
    fn new(body: B, refuse: R, slot: Option<Slot>, end: Instant) -> Self {
        Self {
            content: Content::Service { body },
            refuse: Some(refuse),
            slot,
            end: Some(end),
            wait: None,
        }
    }

    fn refusal(body: Full<Bytes>) -> Self {
        Self {
            content: Content::Refusal { body },
            refuse: None,
            slot: None,
            end: None,
            wait: None,
        }
    }
}

impl<B, R> Body for GuardedBody<B, R>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
    R: Refuse,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        stall::service_answered();
        let body = match this.content.as_mut().project() {
            ContentProjection::Over => return Poll::Ready(None),
            ContentProjection::Refusal { body } => {
                return body.poll_frame(cx).map_err(|never| match never {});
            }
            ContentProjection::Service { body } => body,
        };
        let refusal = match catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx))) {
            Err(_) => Refusal::Panicked,
            // A stream that never has to wait would never notice the drain; one that once waited does.
            Ok(Poll::Ready(frame)) => match this
                .wait
                .as_mut()
                .map(|wait| wait.as_mut().get_mut().poll(cx))
            {
                Some(Poll::Ready(refusal)) if frame.is_some() => refusal,
                _ => return Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
            },
            Ok(Poll::Pending) => {
                stall::service_waits();
                let (Some(slot), Some(end)) = (this.slot.as_ref(), *this.end) else {
                    return Poll::Pending;
                };
                let wait = this.wait.get_or_insert_with(|| {
                    let closing = slot.calls.closing.clone().cancelled_owned();
                    let timer = Box::pin(tokio::time::sleep_until(end));
                    Box::pin(Wait {
                        timer,
                        closing: Box::pin(closing),
                    })
                });
                ready!(wait.as_mut().get_mut().poll(cx))
            }
        };
        this.content.set(Content::Over);
        *this.slot = None;
        let trailers = this
            .refuse
            .as_ref()
            .and_then(|refuse| refuse.trailers(refusal));
        Poll::Ready(Some(match trailers {
            Some(trailers) => Ok(Frame::trailers(trailers)),
            None => Err(refusal.message().into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Service { body } => body.is_end_stream(),
            Content::Refusal { body } => body.is_end_stream(),
            Content::Over => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Service { body } => body.size_hint(),
            Content::Refusal { body } => body.size_hint(),
            Content::Over => SizeHint::with_exact(0),
        }
    }
}
