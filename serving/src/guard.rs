//! The guard around every call: the cap on calls, the deadline, the containment of panics, and the
//! end that a drain puts to streams. It works on the level of HTTP, so that REST and gRPC share it, and
//! it arms no timer for a call that never has to wait.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::{Service, load_shed::error::Overloaded};

use crate::{
    Body as Incoming, args,
    budget::Budget,
    called::{self, Called},
    chunk::{Account, Bounded, Open},
    client::causes,
    context::CallContext,
    ending::{EndingBody, Ends, Until, Wait, length},
    grpc_timeout,
    intake::{RequestBody, fits},
    layers::catch_panic::caught,
    limits::Limits,
    operations::WATCH,
    pieces::Pieces,
    received::Received,
    refusal::{Refusal, Refuse, Wording},
    service::BoxError,
    telemetry::{codes::Transport, metrics::Limit},
};

/// The state and limits that the calls of one listener share.
#[derive(Debug)]
pub(crate) struct Calls {
    account: Arc<Account>,
    uri: usize,
    longest: Duration,
    longest_stream: Duration,
    intake: Arc<Budget>,
    /// Cancelled when the listener has closed: streams end then.
    closing: CancellationToken,
}

impl Calls {
    pub(crate) fn new(limits: &Limits, closing: CancellationToken) -> Self {
        Self {
            account: Arc::new(Account::new(limits)),
            uri: limits.uri,
            longest: limits.longest_call,
            longest_stream: limits.longest_stream,
            intake: Arc::new(Budget::new(limits.intake)),
            closing,
        }
    }

    /// Returns the record of open calls and unwritten bytes for a new connection of the listener.
    pub(crate) fn connection(&self) -> Arc<Open> {
        Arc::new(Open::new(&self.account))
    }
}

/// One open call, counted for its listener and for its connection.
struct Slot {
    calls: Arc<Calls>,
    connection: Arc<Open>,
    /// It has no end of its own.
    is_watch: bool,
}

impl Slot {
    /// For a call that ends at `end` at the latest; none where there are too many.
    fn take(
        calls: &Arc<Calls>,
        connection: &Arc<Open>,
        (end, is_watch): (Instant, bool),
    ) -> Option<Self> {
        if is_watch && !connection.begin_watch() {
            return None;
        }
        if !calls.account.take_call() {
            if is_watch {
                connection.end_watch();
            }
            return None;
        }
        connection.begin(end);
        Some(Self {
            calls: Arc::clone(calls),
            connection: Arc::clone(connection),
            is_watch,
        })
    }

    /// Cancelled when the call has to end, because the listener has closed. A call without an end of its own has to
    /// go with its connection, too.
    fn closing(&self) -> CancellationToken {
        match self.is_watch {
            false => self.calls.closing.clone(),
            true => self.connection.leaving(),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.is_watch {
            self.connection.end_watch();
        }
        self.connection.end();
    }
}

/// The service of one connection.
pub(crate) struct Guard<S, R> {
    pub(crate) service: S,
    pub(crate) refuse: R,
    pub(crate) calls: Arc<Calls>,
    /// The open calls and unwritten bytes of this connection.
    pub(crate) open: Arc<Open>,
}

impl<S, R, B> hyper::service::Service<Request<Received>> for Guard<S, R>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone,
    S::Error: Into<BoxError>,
    B: Body,
    R: Refuse,
{
    type Response = Response<Pieces<GuardedBody<B, R>>>;
    type Error = Infallible;
    type Future = Guarded<S, R>;

    fn call(&self, request: Request<Received>) -> Self::Future {
        let wording = Wording::of(self.refuse.clone(), &request);
        let as_it_is = |state, wording| Guarded {
            state,
            wording: Some(wording),
            open: Arc::clone(&self.open),
        };
        let refused = |refusal, wording| {
            self.open.asked();
            as_it_is(State::Refused { refusal }, wording)
        };
        let uri = request.uri().path_and_query();
        if uri.is_some_and(|uri| uri.as_str().len() > self.calls.uri) {
            return refused(Refusal::UriTooLong, wording);
        }
        let asked = match grpc_timeout::asked(request.headers()) {
            Ok(asked) => asked,
            Err(refusal) => return refused(refusal, wording),
        };
        let is_watch = R::TRANSPORT == Transport::Grpc && request.uri().path() == WATCH;
        let longest = match is_watch {
            true => [args::YEAR; 2],
            false => [self.calls.longest, self.calls.longest_stream],
        };
        let begun = Instant::from_std(wording.call().begun());
        let until = Until::new(begun, longest, asked);
        if until.has_passed() {
            return refused(Refusal::DeadlinePassed, wording);
        }
        let Some(slot) = Slot::take(&self.calls, &self.open, (until.end, is_watch)) else {
            wording.call().hit(Limit::Calls);
            return refused(Refusal::Overloaded, wording);
        };
        let mut request = RequestBody::count(request, wording.call(), &self.calls.intake);
        if let Some(peer) = wording.call().peer() {
            peer.extend(request.extensions_mut(), R::TRANSPORT);
        }
        // tower's services are called by exclusive reference; those here are cheap to clone.
        match contained(wording.call(), || {
            called::call(self.service.clone(), request)
        }) {
            Ok(call) => {
                let slot = Some(slot);
                as_it_is(State::Running { call, until, slot }, wording)
            }
            Err(refusal) => refused(refusal, wording),
        }
    }
}

/// Returns the refusal of a call whose service failed with `error`. An error that no caller is told of goes
/// to the log.
fn failed(error: impl Into<BoxError>, call: &CallContext) -> Refusal {
    let error: BoxError = error.into();
    let itself: &(dyn std::error::Error + 'static) = error.as_ref();
    for cause in std::iter::once(itself).chain(causes(itself)) {
        if let Some(refusal) = cause.downcast_ref::<Refusal>() {
            return *refusal;
        }
        if cause.is::<Overloaded>() {
            return Refusal::Overloaded;
        }
    }
    let request_id = call.request_id();
    let request_id = request_id.as_ref().and_then(|id| id.to_str().ok());
    tracing::error!(%error, request_id, "a service failed");
    Refusal::Failed
}

/// Asks the service, and says why it must not go on if so: it panicked, or its request does not fit.
fn contained<T>(call: &CallContext, poll: impl FnOnce() -> T) -> Result<T, Refusal> {
    let polled = caught(poll)?;
    fits(call)?;
    Ok(polled)
}

pin_project_lite::pin_project! {
    /// A call until its answer begins.
    pub(crate) struct Guarded<S, R>
    where
        S: Service<Request<Incoming>>,
    {
        #[pin]
        state: State<S>,
        // None once the answer has it.
        wording: Option<Wording<R>>,
        open: Arc<Open>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProjection]
    enum State<S>
    where
        S: Service<Request<Incoming>>,
    {
        Running {
            #[pin]
            call: Called<S, Request<Incoming>>,
            until: Until,
            // None once the answer has it.
            slot: Option<Slot>,
        },
        Refused { refusal: Refusal },
    }
}

impl<S, R, B> Future for Guarded<S, R>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>>,
    B: Body,
    R: Refuse,
{
    type Output = Result<Response<Pieces<GuardedBody<B, R>>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const ONCE: &str = "it is polled to its end once";
        let mut this = self.project();
        let wording = this.wording.as_ref().expect(ONCE);
        let refusal = match this.state.as_mut().project() {
            StateProjection::Refused { refusal } => *refusal,
            StateProjection::Running { call, until, slot } => {
                match contained(wording.call(), || call.poll(cx)) {
                    Err(refusal) => refusal,
                    // The service may never have waited, and the timer was never asked.
                    Ok(Poll::Ready(_)) if until.has_passed() => Refusal::DeadlinePassed,
                    Ok(Poll::Ready(Err(error))) => failed(error, wording.call()),
                    Ok(Poll::Ready(Ok(response))) if !this.open.has_room(length(&response)) => {
                        wording.call().hit(Limit::Answers);
                        Refusal::Overloaded
                    }
                    Ok(Poll::Ready(Ok(response))) => {
                        let length = length(&response);
                        let ends = Guarding {
                            slot: slot.take().expect(ONCE),
                            length,
                            end: until.end,
                            stream_end: until.stream_end,
                        };
                        let open = Arc::clone(this.open);
                        let answer =
                            EndingBody::answer(response, this.wording.take().expect(ONCE), ends);
                        return Poll::Ready(Ok(answer.map(|body| Pieces::new(body, length, open))));
                    }
                    Ok(Poll::Pending) => {
                        ready!(until.poll(cx));
                        Refusal::DeadlinePassed
                    }
                }
            }
        };
        // The work behind the call stops here: its future is dropped.
        this.state.set(State::Refused { refusal });
        let answer = EndingBody::refusal(&this.wording.take().expect(ONCE), refusal);
        let open = Arc::clone(this.open);
        Poll::Ready(Ok(answer.map(|body| Pieces::new(body, 0, open))))
    }
}

/// An answer while it is written.
pub(crate) type GuardedBody<B, R> = EndingBody<B, R, Guarding>;

/// The share that an answer which has begun has of its listener.
pub(crate) struct Guarding {
    slot: Slot,
    /// The bytes that the listener holds for it already.
    length: usize,
    /// When it ends at the latest: the later end from when it goes on after its first piece.
    end: Instant,
    stream_end: Instant,
}

impl Ends for Guarding {
    fn goes_on(&mut self) -> Wait {
        self.end = self.stream_end;
        self.slot.connection.goes_on(self.end);
        Wait::default()
            .until(self.end)
            .while_open(self.slot.closing())
    }

    fn polled<T>(&mut self, call: &CallContext, poll: impl FnOnce() -> T) -> Result<T, Refusal> {
        contained(call, poll)
    }

    fn passed(&mut self, call: &CallContext, frame: &mut Frame<Bytes>) -> Result<(), Refusal> {
        let length = frame.data_ref().map_or(0, Bytes::len);
        if length <= self.length || self.slot.connection.has_room(length) {
            return Ok(());
        }
        call.hit(Limit::Answers);
        Err(Refusal::Overloaded)
    }
}

impl<B, R: Refuse> Bounded for GuardedBody<B, R> {
    fn end(&self) -> Option<Instant> {
        self.ends().map(|guarding| guarding.end)
    }
}
