//! The body of a request over HTTP/2, from h2 to its service.
//!
//! h2 charges a connection for each small frame that nobody has taken from it, and ends it with
//! ENHANCE_YOUR_CALM when they are many: a client whose messages are small needs only be faster than its
//! service. So the connection takes each frame off h2 when it has come, packs small ones together, and
//! gives the peer its window back when the service has read them. What waits is bounded by that window.

use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::HeaderMap;
use http_body::Frame;
use thiserror::Error;

use super::gate::Gate;
use crate::telemetry::metrics::locked;

/// A frame with less data than this is copied to where others are, as it lies in a buffer of up to 16 KiB
/// that it would keep.
const SMALL: usize = 4 * 1024;

/// Small frames are packed into pieces of at most this many bytes.
const PIECE: usize = 16 * 1024;

/// The first of them takes this much.
const FIRST_PIECE: usize = 512;

/// Reason for the end of a body before its peer said that it was whole.
#[derive(Debug, Error)]
pub(crate) enum Broken {
    /// Whatever the reason that it gave: a body that was reset is not whole.
    #[error("the request body broke off: its stream was reset: {0}")]
    Reset(String),
    /// It closed the connection for writing.
    #[error("the request body broke off: its connection was closed")]
    Closed,
}

/// The streams of one connection of which h2 has something new.
#[derive(Debug, Default)]
struct Fresh(Mutex<Vec<Arc<Inbox>>>);

/// All open bodies of one connection. Dropped after it, it says so to whoever waits.
#[derive(Debug, Default)]
pub(super) struct Inboxes {
    fresh: Arc<Fresh>,
    /// Those that were not whole when they began. It is tidied up as it grows.
    open: Vec<Weak<Inbox>>,
    tidied: usize,
    spare: Vec<Arc<Inbox>>,
}

/// Fewer are not tidied up.
const FEW: usize = 64;

impl Inboxes {
    /// The body of a stream that was accepted.
    ///
    /// # Errors
    /// When its peer has reset it already.
    pub(super) fn receive(
        &mut self,
        mut stream: RecvStream,
        left: Option<u64>,
        gate: &Arc<Gate>,
    ) -> Result<Http2Body, h2::Error> {
        if stream.is_end_stream() {
            return Ok(Http2Body::Nothing);
        }
        // Most requests are one piece of data, which has come with their head: h2 is done with them.
        let nobody = &mut Context::from_waker(Waker::noop());
        let first = match stream.poll_data(nobody) {
            Poll::Ready(Some(Err(error))) => return Err(error),
            Poll::Ready(Some(Ok(data))) if stream.is_end_stream() => {
                return Ok(if data.is_empty() {
                    Http2Body::Nothing
                } else {
                    Http2Body::Whole { stream, data }
                });
            }
            Poll::Ready(Some(Ok(data))) => Some(data),
            Poll::Ready(None) | Poll::Pending => None,
        };
        let mut pieces = Pieces::default();
        pieces.push(first.unwrap_or_default(), false);
        let inbox = Arc::new(Inbox {
            state: Mutex::new(State {
                stream: Some(stream),
                pieces,
                end: None,
                reader: None,
            }),
            is_fresh: AtomicBool::new(false),
            fresh: Arc::clone(&self.fresh),
            gate: Arc::clone(gate),
        });
        inbox.take_in();
        if let Some(End::Broken(_)) = &inbox.state().end {
            // What came before is of no use: nobody is there to be answered.
            return Err(h2::Reason::CANCEL.into());
        }
        if self.open.len() >= FEW.max(2 * self.tidied) {
            self.open.retain(|inbox| inbox.strong_count() > 0);
            self.tidied = self.open.len();
        }
        self.open.push(Arc::downgrade(&inbox));
        Ok(Http2Body::Open { inbox, left })
    }

    /// Takes off h2 what has come.
    pub(super) fn take_in(&mut self) {
        mem::swap(&mut *locked(&self.fresh.0), &mut self.spare);
        for inbox in self.spare.drain(..) {
            // From here on it is noted anew.
            inbox.is_fresh.store(false, Relaxed);
            inbox.take_in();
        }
    }

    /// Nothing more comes: says so to all that are not whole.
    pub(super) fn close(&mut self) {
        for inbox in self.open.drain(..).filter_map(|inbox| inbox.upgrade()) {
            inbox.break_off();
        }
        self.tidied = 0;
    }
}

impl Drop for Inboxes {
    fn drop(&mut self) {
        self.take_in();
    }
}

/// The part of one body that has come and waits for its service.
#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    /// True if it is among the inboxes that the connection has to look at.
    is_fresh: AtomicBool,
    fresh: Arc<Fresh>,
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct State {
    /// None when the service has dropped the body.
    stream: Option<RecvStream>,
    pieces: Pieces,
    end: Option<End>,
    /// The service, where it waits.
    reader: Option<Waker>,
}

#[derive(Debug)]
enum End {
    Whole(Option<HeaderMap>),
    Broken(Broken),
    /// It was told.
    Told,
}

/// h2 wakes it while it holds its own lock: nothing of h2 may be called here.
impl Wake for Inbox {
    fn wake(self: Arc<Self>) {
        if !self.is_fresh.swap(true, Relaxed) {
            let fresh = Arc::clone(&self.fresh);
            locked(&fresh.0).push(self);
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        Arc::clone(self).wake();
    }
}

impl Inbox {
    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// Takes off h2 what it has, and asks to be woken when it has more.
    fn take_in(self: &Arc<Self>) {
        let reader = {
            let mut state = self.state();
            let State {
                stream: Some(stream),
                pieces,
                end: end @ None,
                reader,
            } = &mut *state
            else {
                return;
            };
            let waker = Waker::from(Arc::clone(self));
            let cx = &mut Context::from_waker(&waker);
            *end = take(stream, pieces, reader.is_some(), cx);
            if end.is_none() && self.gate.has_ended() {
                *end = Some(End::Broken(Broken::Closed));
            }
            if pieces.is_empty() && end.is_none() {
                return;
            }
            reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn break_off(&self) {
        let reader = {
            let mut state = self.state();
            if state.end.is_none() {
                state.end = Some(End::Broken(Broken::Closed));
            }
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let mut state = self.state();
        if let Some(data) = state.pieces.pop() {
            if let Some(stream) = &mut state.stream {
                // It may be sent again; this fails where the stream is over.
                let _ = stream.flow_control().release_capacity(data.len());
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let Some(end) = &mut state.end else {
            match &mut state.reader {
                Some(reader) => reader.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        };
        Poll::Ready(match mem::replace(end, End::Told) {
            End::Whole(trailers) => trailers.map(|trailers| Ok(Frame::trailers(trailers))),
            End::Broken(broken) => Some(Err(broken)),
            End::Told => None,
        })
    }
}

/// Moves what `stream` has to `pieces`, for which somebody `waits` or not. Returns the end of the body, if
/// it has come.
fn take(
    stream: &mut RecvStream,
    pieces: &mut Pieces,
    waits: bool,
    cx: &mut Context<'_>,
) -> Option<End> {
    let broken = |error: h2::Error| Some(End::Broken(Broken::Reset(error.to_string())));
    loop {
        match stream.poll_data(cx) {
            Poll::Ready(Some(Ok(data))) => pieces.push(data, waits),
            Poll::Ready(Some(Err(error))) => return broken(error),
            Poll::Ready(None) => break,
            Poll::Pending => return None,
        }
    }
    match stream.poll_trailers(cx) {
        Poll::Ready(Ok(trailers)) => Some(End::Whole(trailers)),
        Poll::Ready(Err(error)) => broken(error),
        Poll::Pending => None,
    }
}

/// Data in the order it came, the small packed together.
#[derive(Debug, Default)]
struct Pieces {
    /// Data that is taken at once, as it came.
    first: Bytes,
    whole: VecDeque<Bytes>,
    /// The last ones.
    small: BytesMut,
}

impl Pieces {
    fn is_empty(&self) -> bool {
        self.first.is_empty() && self.whole.is_empty() && self.small.is_empty()
    }

    fn len(&self) -> usize {
        let whole: usize = self.whole.iter().map(Bytes::len).sum();
        self.first.len() + whole + self.small.len()
    }

    /// Adds `data`, for which somebody `waits` or not.
    fn push(&mut self, data: Bytes, waits: bool) {
        if data.is_empty() {
            return;
        }
        if waits && self.is_empty() {
            self.first = data;
            return;
        }
        if data.len() >= SMALL || self.small.len() + data.len() > PIECE {
            self.seal();
        }
        if data.len() >= SMALL {
            self.whole.push_back(data);
            return;
        }
        if self.small.capacity() - self.small.len() < data.len() {
            // It doubles.
            let more = self.small.len().max(FIRST_PIECE).max(data.len());
            self.small.reserve(more);
        }
        self.small.extend_from_slice(&data);
    }

    fn seal(&mut self) {
        if !self.small.is_empty() {
            self.whole.push_back(mem::take(&mut self.small).freeze());
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        if !self.first.is_empty() {
            return Some(mem::take(&mut self.first));
        }
        let Some(piece) = self.whole.pop_front() else {
            let small = mem::take(&mut self.small);
            return (!small.is_empty()).then(|| small.freeze());
        };
        if self.whole.is_empty() {
            // A stream that waits keeps no room for what waited once.
            self.whole = VecDeque::new();
        }
        Some(piece)
    }
}

/// The data of one HTTP/2 stream, and the trailers behind it.
#[derive(Debug)]
pub(crate) enum Http2Body {
    /// It has none, or all of it was read.
    Nothing,
    /// All of it has come at once.
    Whole { stream: RecvStream, data: Bytes },
    /// It is on its way.
    Open {
        inbox: Arc<Inbox>,
        /// The bytes that are to come, where the head says so. h2 holds the peer to it.
        left: Option<u64>,
    },
}

impl Http2Body {
    pub(crate) fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        match this {
            Self::Nothing => Poll::Ready(None),
            Self::Whole { stream, data } => {
                let _ = stream.flow_control().release_capacity(data.len());
                let data = mem::take(data);
                *this = Self::Nothing;
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Self::Open { inbox, left } => {
                let frame = inbox.poll_frame(cx);
                if let (Some(left), Poll::Ready(Some(Ok(frame)))) = (left, &frame) {
                    let read = frame.data_ref().map_or(0, Bytes::len);
                    *left = left.saturating_sub(read as u64);
                }
                frame
            }
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Whole { .. } => false,
            Self::Open { inbox, .. } => {
                let state = inbox.state();
                let is_over = matches!(state.end, Some(End::Whole(None) | End::Told));
                is_over && state.pieces.is_empty()
            }
        }
    }

    /// The bytes that are to come, where that is known.
    pub(crate) fn left(&self) -> Option<u64> {
        match self {
            Self::Nothing => Some(0),
            Self::Whole { data, .. } => Some(data.len() as u64),
            Self::Open { left, .. } => *left,
        }
    }
}

impl Drop for Http2Body {
    fn drop(&mut self) {
        if let Self::Open { inbox, .. } = self {
            let mut state = inbox.state();
            let stream = state.stream.take();
            let pieces = mem::take(&mut state.pieces);
            let reader = state.reader.take();
            drop(state);
            if let Some(mut stream) = stream {
                // What was taken off h2 and nobody has read is no longer held.
                let held = pieces.len();
                if held > 0 {
                    let _ = stream.flow_control().release_capacity(held);
                }
            }
            drop((pieces, reader));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BytesMut, PIECE, Pieces, SMALL};
    use proptest::prelude::*;

    /// The bytes that are held for what waits.
    fn held(pieces: &Pieces) -> usize {
        pieces.len() - pieces.small.len() + pieces.small.capacity()
    }

    proptest! {
        #[test]
        fn what_was_put_in_comes_out_in_its_order(
            frames in prop::collection::vec(prop_oneof![0_usize..20, 0..2 * PIECE], 0..60),
            reads in prop::collection::vec(any::<(bool, bool)>(), 60),
        ) {
            let (mut pieces, mut sent, mut read) = (Pieces::default(), Vec::new(), Vec::new());
            for (length, (reads, waits)) in frames.into_iter().zip(reads) {
                let frame: BytesMut = (0..length).map(|at| (sent.len() + at) as u8).collect();
                sent.extend_from_slice(&frame);
                pieces.push(frame.freeze(), waits);
                if reads && let Some(piece) = pieces.pop() {
                    read.extend_from_slice(&piece);
                }
            }
            while let Some(piece) = pieces.pop() {
                prop_assert!(!piece.is_empty());
                read.extend_from_slice(&piece);
            }
            prop_assert!(pieces.is_empty());
            prop_assert_eq!(sent, read);
        }

        #[test]
        fn small_frames_take_at_most_twice_what_they_carry(length in 1..SMALL) {
            let mut pieces = Pieces::default();
            let mut carried = 0;
            while carried < 256 * 1024 {
                pieces.push(BytesMut::zeroed(length).freeze(), false);
                carried += length;
                let most = 2 * carried.max(SMALL);
                prop_assert!(held(&pieces) <= most, "{} for {carried}", held(&pieces));
            }
        }
    }
}
