//! Answers that may end before their service ends them: at their deadline, when their server drains, or for want of
//! room. gRPC is told so by trailers, and a stream of server-sent events by an event between two of its own; any
//! other answer of REST breaks off.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{
    context::CallContext,
    events::Events,
    refusal::{Refusal, Refuse, Wording},
    service::BoxError,
};

/// The reasons for which one answer may have to end.
pub trait Ends {
    /// Notes that the service answers, with `length` bytes as far as it says how many they are. The call is refused
    /// if that is an error.
    fn answered(&mut self, _call: &CallContext, _length: usize) -> Result<(), Refusal> {
        Ok(())
    }

    /// Waits beside the service for as long as there is no answer. The call is refused when that ends.
    fn waits(&mut self, _cx: &mut Context<'_>) -> Poll<Refusal> {
        Poll::Pending
    }

    /// Notes that the service has come to an answer, or to an error. The call is refused if that is an error.
    fn comes(&mut self) -> Result<(), Refusal> {
        Ok(())
    }

    /// Returns what the answer waits for beside its service. Asked once, as soon as the answer goes on after its
    /// first piece, or waits before that: it is a stream.
    fn goes_on(&mut self) -> Wait {
        Wait::default()
    }

    /// Polls the service. The answer ends if that is an error.
    fn polled<T>(&mut self, _call: &CallContext, poll: impl FnOnce() -> T) -> Result<T, Refusal> {
        Ok(poll())
    }

    /// Makes of `frame` what is passed on. The answer ends if it must not be.
    fn passed(&mut self, _call: &CallContext, _frame: &mut Frame<Bytes>) -> Result<(), Refusal> {
        Ok(())
    }
}

/// A moment and an event that end an answer, either, both or neither.
#[derive(Default)]
pub struct Wait {
    timer: Option<Pin<Box<Sleep>>>,
    closing: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Wait {
    /// Until `end` at the latest.
    #[must_use]
    pub(crate) fn until(self, end: Instant) -> Self {
        let timer = Some(Box::pin(sleep_until(end)));
        Self { timer, ..self }
    }

    /// Until `closing` is cancelled at the latest, if the answer can say so.
    #[must_use]
    pub(crate) fn while_open(self, closing: CancellationToken) -> Self {
        let closing = Some(Box::pin(closing.cancelled_owned()));
        Self { closing, ..self }
    }

    /// Ends when the answer has to.
    fn poll<R: Refuse>(&mut self, events: Option<&Events>, cx: &mut Context<'_>) -> Poll<Refusal> {
        let timer = self.timer.as_mut();
        if timer.is_some_and(|timer| timer.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Refusal::DeadlinePassed);
        }
        if let Some(closed) = &mut self.closing {
            ready!(closed.as_mut().poll(cx));
            match events {
                Some(events) if events.is_between() => return Poll::Ready(Refusal::Draining),
                // It goes on until the event is whole.
                Some(_) => {}
                None if R::CAN_BREAK_OFF => return Poll::Ready(Refusal::Draining),
                // It cannot be said that such an answer is not whole: it may go on until the cut.
                None => self.closing = None,
            }
        }
        Poll::Pending
    }
}

/// The end of a call: before its answer, and while that goes on.
pub struct Until {
    pub(crate) end: Instant,
    /// The same for an answer that goes on.
    pub(crate) stream_end: Instant,
    /// True if the caller asked for that end.
    is_asked: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Until {
    /// For a call that began at `begun`: `longest` is the longest that it may take, and the longest if its answer
    /// goes on. Its caller `asked` for less, if so.
    pub(crate) fn new(begun: Instant, longest: [Duration; 2], asked: Option<Duration>) -> Self {
        let limits = longest.map(|longest| asked.map_or(longest, |asked| asked.min(longest)));
        let [end, stream_end] = limits.map(|limit| begun + limit);
        Self {
            end,
            stream_end,
            is_asked: asked.is_some(),
            timer: None,
        }
    }

    /// Ends when a call does that has no answer yet.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let end = self.end;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        timer.as_mut().poll(cx)
    }

    /// Returns true if the end that the caller asked for has passed.
    pub(crate) fn has_passed(&self) -> bool {
        self.is_asked && Instant::now() >= self.end
    }
}

impl Ends for Until {
    fn waits(&mut self, cx: &mut Context<'_>) -> Poll<Refusal> {
        self.poll(cx).map(|()| Refusal::DeadlinePassed)
    }

    /// The service may never have waited, and the timer was never asked.
    fn comes(&mut self) -> Result<(), Refusal> {
        match self.has_passed() {
            true => Err(Refusal::DeadlinePassed),
            false => Ok(()),
        }
    }

    fn goes_on(&mut self) -> Wait {
        Wait::default().until(self.stream_end)
    }
}

pin_project_lite::pin_project! {
    /// An answer while it is written.
    pub struct EndingBody<B, R, E> {
        #[pin]
        content: Content<B, R, E>,
    }
}

pin_project_lite::pin_project! {
    #[project = ContentProjection]
    enum Content<B, R, E> {
        // Boxed, for answers are moved often.
        Service { #[pin] body: B, watch: Box<Watch<R, E>> },
        Refusal { #[pin] body: Full<Bytes> },
        Over,
    }
}

/// The state of an answer that is watched.
struct Watch<R, E> {
    wording: Wording<R>,
    ends: E,
    /// Its place in a stream of events, if it is one.
    events: Option<Events>,
    /// Data was passed on. An answer that passes on more than once is a stream.
    begun: bool,
    goes_on: bool,
    /// From when it goes on.
    wait: Wait,
    /// Reason for the end of this answer, once it is ending.
    ending: Option<Refusal>,
}

impl<R: Refuse, E: Ends> Watch<R, E> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Refusal> {
        if !self.goes_on {
            self.goes_on = true;
            self.wait = self.ends.goes_on();
        }
        self.wait.poll::<R>(self.events.as_ref(), cx)
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

impl<B, R: Refuse, E> EndingBody<B, R, E> {
    /// The answer of a service, which ends as `ends` and its protocol have it.
    pub(crate) fn answer(response: Response<B>, wording: Wording<R>, ends: E) -> Response<Self>
    where
        B: Body,
    {
        let events = Events::of::<R, _>(&response);
        response.map(|body| {
            let watch = Box::new(Watch {
                wording,
                ends,
                events,
                begun: false,
                goes_on: false,
                wait: Wait::default(),
                ending: None,
            });
            let content = Content::Service { body, watch };
            Self { content }
        })
    }

    /// The reasons to end it, while it is its service's.
    pub(crate) fn ends(&self) -> Option<&E> {
        match &self.content {
            Content::Service { watch, .. } => Some(&watch.ends),
            Content::Refusal { .. } | Content::Over => None,
        }
    }

    /// The answer to a call that is refused.
    pub(crate) fn refusal(wording: &Wording<R>, refusal: Refusal) -> Response<Self> {
        wording.answer(refusal).map(|body| Self {
            content: Content::Refusal { body },
        })
    }
}

pin_project_lite::pin_project! {
    /// An answer to come.
    pub struct Ending<F, R, E> {
        #[pin]
        state: State<F, E>,
        // None once it is the body's.
        wording: Option<Wording<R>>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProjection]
    enum State<F, E> {
        Running {
            #[pin]
            answer: F,
            // None once it is the body's.
            ends: Option<E>,
        },
        Refused { refusal: Refusal },
    }
}

impl<F, R, E> Ending<F, R, E> {
    /// `answer`, which ends as `ends` and the protocol of `wording` have it.
    pub(crate) fn new(answer: F, wording: Wording<R>, ends: E) -> Self {
        let ends = Some(ends);
        Self {
            state: State::Running { answer, ends },
            wording: Some(wording),
        }
    }

    /// The answer to a call that no service is asked.
    pub(crate) fn refused(refusal: Refusal, wording: Wording<R>) -> Self {
        Self {
            state: State::Refused { refusal },
            wording: Some(wording),
        }
    }
}

impl<F, R, E, B, X> Future for Ending<F, R, E>
where
    F: Future<Output = Result<Response<B>, X>>,
    R: Refuse,
    E: Ends,
    B: Body,
{
    type Output = Result<Response<EndingBody<B, R, E>>, X>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const ONCE: &str = "it is polled to its end once";
        let mut this = self.project();
        let call = this.wording.as_ref().expect(ONCE).call();
        let refusal = match this.state.as_mut().project() {
            StateProjection::Refused { refusal } => *refusal,
            StateProjection::Running { answer, ends } => {
                let known = ends.as_mut().expect(ONCE);
                let answered = match known.polled(call, || answer.poll(cx)) {
                    Err(refusal) => Err(refusal),
                    Ok(Poll::Pending) => Err(ready!(known.waits(cx))),
                    Ok(Poll::Ready(answer)) => known.comes().map(|()| answer),
                };
                match answered {
                    Err(refusal) => refusal,
                    Ok(answer) => {
                        let response = answer?;
                        match known.answered(call, length(&response)) {
                            Err(refusal) => refusal,
                            Ok(()) => {
                                let wording = this.wording.take().expect(ONCE);
                                let ends = ends.take().expect(ONCE);
                                return Poll::Ready(Ok(EndingBody::answer(
                                    response, wording, ends,
                                )));
                            }
                        }
                    }
                }
            }
        };
        // The work behind the call stops here: its future is dropped.
        this.state.set(State::Refused { refusal });
        let wording = this.wording.take().expect(ONCE);
        Poll::Ready(Ok(EndingBody::refusal(&wording, refusal)))
    }
}

/// The bytes of an answer, as far as it says how many they are.
pub(crate) fn length<B: Body>(response: &Response<B>) -> usize {
    let length = response.body().size_hint().lower();
    usize::try_from(length).unwrap_or(usize::MAX)
}

impl<B, R, E> Body for EndingBody<B, R, E>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
    R: Refuse,
    E: Ends,
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
        let call = watch.wording.call();
        let refusal = match watch.ends.polled(call, || body.poll_frame(cx)) {
            Err(refusal) => refusal,
            // An end that the service has come to itself is passed on, however late.
            Ok(Poll::Ready(None)) => return Poll::Ready(None),
            Ok(Poll::Ready(Some(Err(error)))) => return Poll::Ready(Some(Err(error.into()))),
            Ok(Poll::Ready(Some(Ok(mut frame)))) => match watch.ends.passed(call, &mut frame) {
                Err(refusal) => refusal,
                Ok(()) if frame.is_trailers() || (!watch.begun && watch.events.is_none()) => {
                    watch.begun = true;
                    return Poll::Ready(Some(Ok(frame)));
                }
                // A stream that never has to wait must see its end too: what is at hand is still
                // passed on, such as the last word of a health watch, and nothing after it.
                Ok(()) => match watch.ending {
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
