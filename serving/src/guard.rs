//! What stands around every call: the cap on calls, the deadline, the containment of panics, and the
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
use http::{HeaderName, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tower::{Service, load_shed::error::Overloaded};

use crate::{
    Body as Incoming, args,
    called::{self, Called},
    chunk::{Account, Bounded, Open},
    client::causes,
    context::CallContext,
    events::Events,
    grpc_timeout,
    intake::{Intake, RequestBody},
    layers::catch_panic::caught,
    limits::Limits,
    operations::WATCH,
    pieces::Pieces,
    received::Received,
    refusal::{Refusal, Refuse, Wording},
    service::BoxError,
    telemetry::{codes::Transport, metrics::Limit},
};

/// What the calls of one listener share.
#[derive(Debug)]
pub(crate) struct Calls {
    account: Arc<Account>,
    uri: usize,
    longest: Duration,
    longest_stream: Duration,
    intake: Arc<Intake>,
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
            intake: Arc::new(Intake::new(limits.intake)),
            closing,
        }
    }

    /// What a new connection of the listener has open.
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

    /// Ends when the call has to, because the listener has closed. A call without an end of its own has to go
    /// with its connection, too.
    fn closing(&self) -> WaitForCancellationFutureOwned {
        let closing = &self.calls.closing;
        match self.is_watch {
            false => closing.clone().cancelled_owned(),
            true => self.connection.leaving().cancelled_owned(),
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
    /// What this connection has open.
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
        let as_it_is = |state| Guarded {
            state,
            wording: wording.clone(),
            open: Arc::clone(&self.open),
        };
        let refused = |refusal| {
            self.open.asked();
            as_it_is(State::Refused { refusal })
        };
        let uri = request.uri().path_and_query();
        if uri.is_some_and(|uri| uri.as_str().len() > self.calls.uri) {
            return refused(Refusal::UriTooLong);
        }
        static TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
        let mut asked = request.headers().get_all(&TIMEOUT).iter();
        let first = asked.next();
        let is_watch = R::TRANSPORT == Transport::Grpc && request.uri().path() == WATCH;
        let longest = match is_watch {
            true => [args::YEAR; 2],
            false => [self.calls.longest, self.calls.longest_stream],
        };
        let limits = match first.map(|value| grpc_timeout::parse(value.as_bytes())) {
            None => longest,
            // Of two, nobody can say which is meant.
            Some(Ok(limit)) if asked.next().is_none() => longest.map(|longest| limit.min(longest)),
            Some(_) => return refused(Refusal::MalformedDeadline),
        };
        let is_asked = first.is_some();
        let begun = Instant::from_std(wording.call().begun());
        let [end, stream_end] = limits.map(|limit| begun + limit);
        if is_asked && Instant::now() >= end {
            return refused(Refusal::DeadlinePassed);
        }
        let Some(slot) = Slot::take(&self.calls, &self.open, (end, is_watch)) else {
            wording.call().held(Limit::Calls);
            return refused(Refusal::Overloaded);
        };
        let mut request = RequestBody::count(request, wording.call(), &self.calls.intake);
        if let Some(peer) = wording.call().peer() {
            peer.extend(request.extensions_mut(), R::TRANSPORT);
        }
        let until = Until {
            slot: Some(slot),
            end,
            stream_end,
            is_asked,
            timer: None,
        };
        // tower's services are called by exclusive reference; those here are cheap to clone.
        match contained(wording.call(), || {
            called::call(self.service.clone(), request)
        }) {
            Ok(call) => as_it_is(State::Running { call, until }),
            Err(refusal) => refused(refusal),
        }
    }
}

/// Why a call is refused whose service failed with `error`. What no caller is told goes to the log.
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
    if call.has_no_room() {
        return Err(Refusal::Overloaded);
    }
    Ok(polled)
}

/// The bytes of an answer, as far as it says how many they are.
fn length<B: Body>(response: &Response<B>) -> usize {
    let length = response.body().size_hint().lower();
    usize::try_from(length).unwrap_or(usize::MAX)
}

pin_project_lite::pin_project! {
    /// A call until its answer begins.
    pub(crate) struct Guarded<S, R>
    where
        S: Service<Request<Incoming>>,
    {
        #[pin]
        state: State<S>,
        wording: Wording<R>,
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
        },
        Refused { refusal: Refusal },
    }
}

/// The place of a call that has no answer yet, and its end.
struct Until {
    /// None once the answer has it.
    slot: Option<Slot>,
    end: Instant,
    /// The same for an answer that goes on.
    stream_end: Instant,
    /// True if the caller asked for that end.
    is_asked: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Until {
    /// Ends when the call does.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let end = self.end;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        timer.as_mut().poll(cx)
    }

    /// Returns true if the end that the caller asked for has passed.
    fn has_passed(&self) -> bool {
        self.is_asked && Instant::now() >= self.end
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
        let mut this = self.project();
        let refusal = match this.state.as_mut().project() {
            StateProjection::Refused { refusal } => *refusal,
            StateProjection::Running { call, until } => {
                match contained(this.wording.call(), || call.poll(cx)) {
                    Err(refusal) => refusal,
                    // The service may never have waited, and the timer was never asked.
                    Ok(Poll::Ready(_)) if until.has_passed() => Refusal::DeadlinePassed,
                    Ok(Poll::Ready(Err(error))) => failed(error, this.wording.call()),
                    Ok(Poll::Ready(Ok(response))) if !this.open.has_room(length(&response)) => {
                        this.wording.call().held(Limit::Answers);
                        Refusal::Overloaded
                    }
                    Ok(Poll::Ready(Ok(response))) => {
                        let length = length(&response);
                        let slot = until.slot.take();
                        let watch = Watch {
                            wording: this.wording.clone(),
                            events: Events::of::<R, _>(&response),
                            slot: slot.expect("it is polled to its end once"),
                            length,
                            end: until.end,
                            stream_end: until.stream_end,
                            begun: false,
                            wait: None,
                            ending: None,
                        };
                        let open = Arc::clone(this.open);
                        let guarded = |body| {
                            let content = Content::Service { body, watch };
                            Pieces::new(GuardedBody { content }, length, open)
                        };
                        return Poll::Ready(Ok(response.map(guarded)));
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
        let answer = this.wording.answer(refusal);
        let open = Arc::clone(this.open);
        Poll::Ready(Ok(
            answer.map(|body| Pieces::new(GuardedBody::refusal(body), 0, open))
        ))
    }
}

pin_project_lite::pin_project! {
    /// An answer while it is written.
    pub(crate) struct GuardedBody<B, R> {
        #[pin]
        content: Content<B, R>,
    }
}

pin_project_lite::pin_project! {
    #[project = ContentProjection]
    enum Content<B, R> {
        Service { #[pin] body: B, watch: Watch<R> },
        Refusal { #[pin] body: Full<Bytes> },
        Over,
    }
}

impl<B, R> GuardedBody<B, R> {
    fn refusal(body: Full<Bytes>) -> Self {
        Self {
            content: Content::Refusal { body },
        }
    }
}

/// What may end an answer that has begun before the service ends it.
struct Watch<R> {
    wording: Wording<R>,
    /// Its place in a stream of events, if it is one.
    events: Option<Events>,
    slot: Slot,
    /// The bytes that the listener holds for it already.
    length: usize,
    /// When it ends at the latest: the later end from when it goes on after its first piece.
    end: Instant,
    stream_end: Instant,
    /// Whether data was passed on. What passes on more than once is a stream.
    begun: bool,
    wait: Option<Wait>,
    /// Why this answer is ending.
    ending: Option<Refusal>,
}

struct Wait {
    timer: Pin<Box<Sleep>>,
    closing: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl<R: Refuse> Watch<R> {
    /// Whether the listener may hold what comes as well.
    fn has_room(&self, frame: &Frame<Bytes>) -> bool {
        let length = frame.data_ref().map_or(0, Bytes::len);
        length <= self.length || self.slot.connection.has_room(length)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Refusal> {
        let Wait { timer, closing } = self.wait.get_or_insert_with(|| {
            // It goes on: it is a stream.
            self.end = self.stream_end;
            self.slot.connection.goes_on(self.end);
            Wait {
                timer: Box::pin(sleep_until(self.end)),
                closing: Some(Box::pin(self.slot.closing())),
            }
        });
        if timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Refusal::DeadlinePassed);
        }
        if let Some(closed) = closing {
            ready!(closed.as_mut().poll(cx));
            match &self.events {
                Some(events) if events.is_between() => return Poll::Ready(Refusal::Draining),
                // It goes on until the event is whole.
                Some(_) => {}
                None if R::CAN_BREAK_OFF => return Poll::Ready(Refusal::Draining),
                // It cannot be said that such an answer is not whole: it may go on until the cut.
                None => *closing = None,
            }
        }
        Poll::Pending
    }

    /// The last frame of an answer that ends because of `refusal`, if it can say so.
    fn last_word(&self, refusal: Refusal) -> Option<Frame<Bytes>> {
        if let Some(events) = &self.events {
            let is_told = matches!(refusal, Refusal::Draining | Refusal::DeadlinePassed);
            return (is_told && events.is_between()).then(|| self.wording.last_event(refusal));
        }
        self.wording.last_frame(refusal)
    }
}

impl<B, R> Bounded for GuardedBody<B, R> {
    fn end(&self) -> Option<Instant> {
        match &self.content {
            Content::Service { watch, .. } => Some(watch.end),
            Content::Refusal { .. } | Content::Over => None,
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
        let (body, watch) = match this.content.as_mut().project() {
            ContentProjection::Over => return Poll::Ready(None),
            ContentProjection::Refusal { body } => {
                return body.poll_frame(cx).map_err(|never| match never {});
            }
            ContentProjection::Service { body, watch } => (body, watch),
        };
        let refusal = match contained(watch.wording.call(), || body.poll_frame(cx)) {
            Err(refusal) => refusal,
            // Where the service has come to an end, that end is passed on, however late.
            Ok(Poll::Ready(None)) => return Poll::Ready(None),
            Ok(Poll::Ready(Some(Err(error)))) => return Poll::Ready(Some(Err(error.into()))),
            Ok(Poll::Ready(Some(Ok(frame)))) if !watch.has_room(&frame) => {
                watch.wording.call().held(Limit::Answers);
                Refusal::Overloaded
            }
            Ok(Poll::Ready(Some(Ok(frame))))
                if frame.is_trailers() || (!watch.begun && watch.events.is_none()) =>
            {
                watch.begun = true;
                return Poll::Ready(Some(Ok(frame)));
            }
            // A stream that never has to wait must see its end too: what is at hand is still
            // passed on, such as the last word of a health watch, and nothing after it.
            Ok(Poll::Ready(Some(Ok(frame)))) => match watch.ending {
                Some(refusal) => refusal,
                None => {
                    if let (Some(events), Some(data)) = (&mut watch.events, frame.data_ref()) {
                        events.pass(data);
                    }
                    if let Poll::Ready(refusal) = watch.poll(cx) {
                        watch.ending = Some(refusal);
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
            },
            Ok(Poll::Pending) => match watch.ending {
                Some(refusal) => refusal,
                None => ready!(watch.poll(cx)),
            },
        };
        let last = watch.last_word(refusal);
        // The work behind the answer stops here: its body is dropped.
        this.content.set(Content::Over);
        Poll::Ready(Some(last.ok_or_else(|| refusal.into())))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Service { body, .. } => body.is_end_stream(),
            Content::Refusal { body } => body.is_end_stream(),
            Content::Over => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Service { body, .. } => body.size_hint(),
            Content::Refusal { body } => body.size_hint(),
            Content::Over => SizeHint::with_exact(0),
        }
    }
}
