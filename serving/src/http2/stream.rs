//! One HTTP/2 stream: a call, and its answer while it is written. It ends with its call's deadline, with
//! its peer, and when its peer gives it no window.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use h2::{Reason, SendStream, server::SendResponse};
use http::{
    HeaderMap, HeaderName, Response,
    header::{CONNECTION, CONTENT_LENGTH, DATE, TE, TRANSFER_ENCODING, UPGRADE},
};
use http_body::Body;
use tokio::time::{Instant, Sleep, sleep_until};

use super::date;
use crate::{
    chunk::{Bounded, Chunk, Open},
    limits::Limits,
    service::BoxError,
    telemetry::metrics::{self, Limit, locked},
};

/// Longest time after its deadline that a stream may wait for its peer to give it the window in which to say
/// so: a round trip across the world takes less.
pub(crate) const LAST_WORD: Duration = Duration::from_secs(1);

/// Settings and counters for the answers to the streams of one connection.
#[derive(Debug)]
pub(crate) struct Manner {
    /// True if answers carry a Date.
    pub(crate) dated: bool,
    /// Longest time that a peer may leave a stream without the window to answer.
    pub(crate) patience: Duration,
    /// Counters of the limits that are hit on the listener, among them that of stalled writes.
    pub(crate) counters: Arc<metrics::Listener>,
    /// The open calls and unwritten bytes of the connection.
    pub(crate) open: Arc<Open>,
    /// Count of the calls that were begun for nobody.
    pub(crate) waste: Waste,
}

impl Manner {
    /// A call was cancelled before its answer began.
    pub(super) fn cancelled(&self) {
        self.waste.cancelled.fetch_add(1, Relaxed);
    }

    /// An answer begins.
    fn answered(&self) {
        let cancelled = &self.waste.cancelled;
        if cancelled.load(Relaxed) > 0 {
            let _ = cancelled.fetch_update(Relaxed, Relaxed, |calls| calls.checked_sub(1));
        }
    }

    /// Returns true if the peer has cancelled more calls than it let be answered, by more than the limit.
    pub(super) fn has_wasted(&self) -> bool {
        self.waste.cancelled.load(Relaxed) > self.waste.most && self.waste.is_too_much()
    }

    /// Returns true if no more calls may begin because the work of too many goes on. Cancelled calls count
    /// until their work has ended.
    pub(super) fn is_crowded(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > self.waste.most_begun
    }
}

/// Calls that a peer cancelled before their answers began, less those that it let be answered.
#[derive(Debug)]
pub(crate) struct Waste {
    cancelled: AtomicUsize,
    most: usize,
    most_begun: usize,
    /// When some were last forgiven.
    forgiven: Mutex<Instant>,
}

/// In so many seconds as many are forgiven as may be open.
const FORGIVEN_IN: usize = 50;

impl Waste {
    /// As `limits` have it.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            cancelled: AtomicUsize::new(0),
            most: limits.cancelled,
            most_begun: limits.begun(),
            forgiven: Mutex::new(Instant::now()),
        }
    }

    /// Forgives some calls for the time that has passed, and returns true if there are still too many.
    fn is_too_much(&self) -> bool {
        let mut forgiven = locked(&self.forgiven);
        let seconds = forgiven.elapsed().as_secs();
        *forgiven += Duration::from_secs(seconds);
        let less = (self.most / FORGIVEN_IN).saturating_mul(seconds as usize);
        let cancelled = &self.cancelled;
        let _ = cancelled.fetch_update(Relaxed, Relaxed, |calls| Some(calls.saturating_sub(less)));
        cancelled.load(Relaxed) > self.most
    }
}

pin_project_lite::pin_project! {
    /// A stream until its answer is handed to h2 whole. Dropped before, it is reset with CANCEL.
    pub(super) struct Stream<F, B> {
        #[pin]
        state: State<F, B>,
        manner: Arc<Manner>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProjection]
    enum State<F, B> {
        Called {
            #[pin]
            call: F,
            respond: SendResponse<Chunk>,
            // Whether only the head of the answer was asked for.
            is_head: bool,
        },
        Answered {
            #[pin]
            body: B,
            writer: Writer,
        },
    }
}

/// The stream broke, or was ended: there is nobody to tell.
struct Over;

impl From<h2::Error> for Over {
    fn from(error: h2::Error) -> Self {
        tracing::debug!(%error, "a stream broke");
        Self
    }
}

impl<F, B> Stream<F, B> {
    /// `call`, whose answer has a body unless the request `is_head`, written to `respond` in this `manner`.
    pub(super) fn new(
        call: F,
        respond: SendResponse<Chunk>,
        is_head: bool,
        manner: Arc<Manner>,
    ) -> Self {
        let state = State::Called {
            call,
            respond,
            is_head,
        };
        Self { state, manner }
    }
}

impl<F, B> Future for Stream<F, B>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Body<Data = Chunk, Error: Into<BoxError>> + Bounded,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_whole(cx).map(|result| match result {
            Ok(()) | Err(Over) => {}
        })
    }
}

impl<F, B> Stream<F, B>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Body<Data = Chunk, Error: Into<BoxError>> + Bounded,
{
    fn poll_whole(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Over>> {
        let mut this = self.project();
        if let StateProjection::Called {
            call,
            respond,
            is_head,
        } = this.state.as_mut().project()
        {
            let Poll::Ready(Ok(answer)) = call.poll(cx) else {
                return respond.poll_reset(cx).map(|reason| {
                    this.manner.cancelled();
                    Err(reset(reason))
                });
            };
            this.manner.answered();
            let (mut head, body) = answer.into_parts();
            let has_body = !body.is_end_stream();
            complete(&mut head.headers, this.manner.dated);
            if has_body && let Some(length) = body.size_hint().exact() {
                let headers = &mut head.headers;
                headers
                    .entry(CONTENT_LENGTH)
                    .or_insert_with(|| length.into());
            }
            // HEAD is answered as GET would be, but for the body (RFC 9110 §9.3.2).
            let is_last = *is_head || !has_body;
            let head = Response::from_parts(head, ());
            let stream = respond
                .send_response(head, is_last)
                .inspect_err(|_| respond.send_reset(Reason::INTERNAL_ERROR))?;
            if is_last {
                return Poll::Ready(Ok(()));
            }
            let writer = Writer {
                stream,
                piece: None,
                is_last: false,
                timer: None,
            };
            this.state.set(State::Answered { body, writer });
        }
        match this.state.project() {
            StateProjection::Called { .. } => unreachable!("its answer has begun"),
            StateProjection::Answered { body, writer } => writer.poll(body, this.manner, cx),
        }
    }
}

fn reset(reason: Result<Reason, h2::Error>) -> Over {
    match reason {
        Ok(reason) => h2::Error::from(reason).into(),
        Err(error) => error.into(),
    }
}

/// Returns true if a header `name` may stand in the head of an answer over HTTP/1 only (RFC 9113 §8.2.2). h2
/// sends no answer that has one.
fn is_of_connection(name: &HeaderName) -> bool {
    [CONNECTION, TRANSFER_ENCODING, UPGRADE, TE].contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// Makes the headers of an answer those of HTTP/2, dated where they have to be.
fn complete(headers: &mut HeaderMap, dated: bool) {
    while let Some(name) = headers.keys().find(|name| is_of_connection(name)).cloned() {
        tracing::debug!(%name, "an answer over HTTP/2 has no such header");
        headers.remove(name);
    }
    if dated {
        headers.entry(DATE).or_insert_with(date::now);
    }
}

/// Writes an answer, as far as its peer lets it.
struct Writer {
    stream: SendStream<Chunk>,
    /// Piece of the answer that waits for the window to be written.
    piece: Option<Chunk>,
    /// True if nothing comes after it.
    is_last: bool,
    /// Runs while the peer gives the stream no window.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Writer {
    fn poll<B>(
        &mut self,
        mut body: Pin<&mut B>,
        manner: &Manner,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Over>>
    where
        B: Body<Data = Chunk, Error: Into<BoxError>> + Bounded,
    {
        loop {
            // An empty one needs no window.
            if self.piece.as_ref().is_some_and(Buf::has_remaining) {
                ready!(self.poll_window(body.end(), manner, cx))?;
            }
            if let Some(piece) = self.piece.take() {
                self.stream.send_data(piece, self.is_last)?;
            }
            if self.is_last {
                return Poll::Ready(Ok(()));
            }
            let Poll::Ready(frame) = body.as_mut().poll_frame(cx) else {
                return self.poll_reset(cx);
            };
            let frame = match frame {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    let error: BoxError = error.into();
                    tracing::debug!(error, "an answer broke off");
                    self.stream.send_reset(Reason::INTERNAL_ERROR);
                    return Poll::Ready(Err(Over));
                }
                None => {
                    let nothing = Chunk::new(Bytes::new(), &manner.open);
                    self.stream.send_data(nothing, true)?;
                    return Poll::Ready(Ok(()));
                }
            };
            match frame.into_data() {
                Ok(piece) => {
                    if piece.has_remaining() {
                        // Of the connection's window it may claim no more than it is sure to use; h2 claims
                        // the rest when it is handed over.
                        self.stream.reserve_capacity(1);
                    }
                    self.is_last = body.is_end_stream();
                    self.piece = Some(piece);
                }
                Err(other) => {
                    if let Ok(trailers) = other.into_trailers() {
                        self.stream
                            .send_trailers(trailers)
                            .inspect_err(|_| self.stream.send_reset(Reason::INTERNAL_ERROR))?;
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Over>> {
        self.stream.poll_reset(cx).map(|reason| Err(reset(reason)))
    }

    /// Waits for the window to write to: until the peer has had its time, or the call its `end`.
    fn poll_window(
        &mut self,
        end: Option<Instant>,
        manner: &Manner,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Over>> {
        while self.stream.capacity() == 0 {
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(granted)) => {
                    granted?;
                }
                // Its peer has reset it.
                Poll::Ready(None) => return Poll::Ready(Err(Over)),
                Poll::Pending => {
                    if let Poll::Ready(over) = self.poll_reset(cx) {
                        return Poll::Ready(over);
                    }
                    ready!(self.poll_timer(end, manner, cx));
                    return Poll::Ready(Err(Over));
                }
            }
        }
        self.timer = None;
        Poll::Ready(Ok(()))
    }

    fn poll_timer(
        &mut self,
        end: Option<Instant>,
        manner: &Manner,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| {
            let stalled = Instant::now() + manner.patience;
            let last = |end| stalled.min(end + LAST_WORD);
            Box::pin(sleep_until(end.map_or(stalled, last)))
        });
        ready!(timer.as_mut().poll(cx));
        let passed = end.is_some_and(|end| end < timer.deadline());
        manner.counters.hit(match passed {
            true => Limit::Deadline,
            false => Limit::StalledWrite,
        });
        tracing::debug!("a peer left its answer unread; its stream is reset");
        Poll::Ready(())
    }
}
