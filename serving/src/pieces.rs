//! Answers in pieces. Both protocols hand on a frame of a body whole as soon as its peer takes a byte of
//! it, and are done with the last one: a large answer to a peer that does not read would then wait
//! in h2 or hyper, counted by no limit and seen by no timer.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use tokio::time::Instant;

use crate::chunk::{Bounded, Chunk, Held, Open};

/// The most bytes of one piece: as much as one stream buffers for its peer.
const PIECE: usize = 64 * 1024;

pin_project_lite::pin_project! {
    /// A body whose data comes in pieces, each counted until it is written.
    pub(crate) struct Pieces<B> {
        #[pin]
        body: B,
        rest: Bytes,
        // What waits to be cut.
        held: Option<Held>,
        open: Arc<Open>,
    }
}

impl<B> Pieces<B> {
    /// `body`, of which `length` bytes are made.
    pub(crate) fn new(body: B, length: usize, open: Arc<Open>) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            held: open.hold(length),
            open,
        }
    }
}

impl<B: Bounded> Bounded for Pieces<B> {
    fn end(&self) -> Option<Instant> {
        self.body.end()
    }
}

impl<B: Body<Data = Bytes>> Body for Pieces<B> {
    type Data = Chunk;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, B::Error>>> {
        let this = self.project();
        if this.rest.is_empty() {
            let frame = ready!(this.body.poll_frame(cx));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) if data.len() > PIECE => {
                    if this.held.is_none() {
                        *this.held = this.open.hold(data.len());
                    }
                    *this.rest = data;
                }
                Some(Ok(Ok(data))) => {
                    *this.held = None;
                    return Poll::Ready(Some(Ok(Frame::data(Chunk::new(data, this.open)))));
                }
                Some(Ok(Err(other))) => {
                    let other = other.map_data(|data| Chunk::new(data, this.open));
                    return Poll::Ready(Some(Ok(other)));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        // Copied, for a slice would keep the whole answer in memory until its last piece is read.
        let piece = Bytes::copy_from_slice(&this.rest[..this.rest.len().min(PIECE)]);
        this.rest.advance(piece.len());
        if this.rest.is_empty() {
            *this.rest = Bytes::new();
            *this.held = None;
        }
        Poll::Ready(Some(Ok(Frame::data(Chunk::new(piece, this.open)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(body.lower().saturating_add(rest));
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::{Arc, Body, Buf, Bytes, Open, PIECE, Pieces};
    use crate::{chunk::Account, limits::Limits};

    /// Of a listener that holds one answer at most.
    fn open() -> Arc<Open> {
        let limits = Limits {
            answers: 1,
            ..Limits::default()
        };
        Arc::new(Open::new(&Arc::new(Account::new(&limits))))
    }

    #[tokio::test]
    async fn every_byte_comes_in_order_and_no_piece_is_too_long() {
        for length in [0, 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 7] {
            let whole: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut body = Pieces::new(Full::from(whole.clone()), length, open());
            let mut pieces = Vec::new();
            loop {
                let left = (length - pieces.len()) as u64;
                assert_eq!(body.size_hint().exact(), Some(left));
                assert_eq!(body.is_end_stream(), left == 0);
                let Some(frame) = body.frame().await else {
                    break;
                };
                let piece = frame.unwrap().into_data().unwrap();
                assert!(piece.remaining() <= PIECE);
                pieces.extend_from_slice(piece.chunk());
            }
            assert!(pieces == whole, "{length}");
        }
    }

    #[tokio::test]
    async fn an_answer_is_held_from_its_head_until_its_last_piece_is_dropped() {
        for length in [PIECE, PIECE + 1, 3 * PIECE] {
            // It may say how long it is, or not.
            for told in [0, length] {
                let open = open();
                let whole = Full::from(vec![7; length]);
                let mut body = Pieces::new(whole, told, Arc::clone(&open));
                assert_eq!(open.has_room(PIECE), told == 0, "before it begins");
                let mut pieces = Vec::new();
                while let Some(frame) = body.frame().await {
                    pieces.push(frame.unwrap());
                    assert!(!open.has_room(PIECE));
                }
                drop(body);
                while pieces.pop().is_some() {
                    assert_eq!(open.has_room(PIECE), pieces.is_empty());
                    assert!(open.has_room(1), "a short one is never refused");
                }
            }
        }
        let broken_off = open();
        let body = Full::<Bytes>::from(vec![7; PIECE]);
        drop(Pieces::new(body, PIECE, Arc::clone(&broken_off)));
        assert!(broken_off.has_room(PIECE));
    }
}
