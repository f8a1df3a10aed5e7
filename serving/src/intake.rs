//! The bodies of requests, which share the memory budget of their listener while they come in. Each is
//! bounded by the longest message; all that are open at once need a bound too, or a few peers that send
//! large messages and never end them take all there is.

use std::{
    io::{self, ErrorKind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, header::CONTENT_TYPE};
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

use crate::{
    budget::{Budget, Held, counted},
    client::causes,
    context::CallContext,
    grpc::{MEDIA_TYPE, begins},
    refusal::Refusal,
    service::BoxError,
    telemetry::metrics::Limit,
    unpacked::WrongMessage,
};

/// Error text of a body that found no room in the request memory budget. Its call is refused with
/// [`Refusal::Overloaded`], whatever becomes of this text.
pub const FULL: &str = "the requests on their way in hold too much memory";

pin_project_lite::pin_project! {
    /// The body of a request as it comes in. It fails when the requests that share its bound hold too much.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        body: B,
        // Boxed, for requests are moved often.
        count: Box<Count>,
    }
}

/// What of a body has come, and the memory that it takes.
#[derive(Debug)]
struct Count {
    framing: Framing,
    /// True if it is an error that the body ends within a message.
    ends_whole: bool,
    held: Held,
    call: CallContext,
}

impl<B> RequestBody<B> {
    /// The body of `request`, which belongs to `call`.
    pub(crate) fn count(
        request: Request<B>,
        call: &CallContext,
        budget: &Arc<Budget>,
    ) -> Request<Self> {
        let kind = request.headers().get(CONTENT_TYPE);
        let kind = kind.map(|kind| kind.as_bytes()).unwrap_or_default();
        let form = begins(kind, MEDIA_TYPE).then(|| &kind[MEDIA_TYPE.len()..]);
        let framing = match form {
            // In base64 it cannot be told where a message ends.
            Some(form) if begins(form, b"-web-text") => Framing::One { come: 0 },
            Some(_) => Framing::Messages(Messages::default()),
            None => Framing::One { come: 0 },
        };
        // gRPC-Web is looked at where it is translated, by `unpacked`.
        let ends_whole = form.is_some_and(|form| !begins(form, b"-web"));
        let count = Box::new(Count {
            framing,
            ends_whole,
            held: Held::none(budget),
            call: call.clone(),
        });
        request.map(|body| Self { body, count })
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>>> Body for RequestBody<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        let Count {
            framing,
            ends_whole,
            held,
            call,
        } = &mut **this.count;
        // The service asks for more: it has taken every message that was whole.
        let open = framing.open();
        held.shrink(counted(open));
        let frame = match ready!(this.body.poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                let error = error.into();
                if !is_malformed(&error) {
                    call.gone();
                }
                return Poll::Ready(Some(Err(error)));
            }
            // tonic passes over a message of which nothing but the head has come.
            None if *ends_whole && framing.is_cut_off() => {
                *ends_whole = false;
                return Poll::Ready(Some(Err(cut_off().into())));
            }
            None => return Poll::Ready(None),
        };
        let Some(data) = frame.data_ref() else {
            // tonic looks for what is left of a message at the end of a body, and not at trailers: it would
            // drop it, and take the request for whole.
            let is_cut = matches!(framing, Framing::Messages(_)) && open > 0;
            if is_cut && *ends_whole && framing.is_cut_off() {
                // Of a message of which nothing but the head has come it looks for nothing at all.
                *ends_whole = false;
                return Poll::Ready(Some(Err(cut_off().into())));
            }
            return Poll::Ready((!is_cut).then_some(Ok(frame)));
        };
        framing.follow(data);
        if !held.grow(counted(open + data.len())) {
            call.no_room();
            call.hit(Limit::Intake);
            return Poll::Ready(Some(Err(FULL.into())));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The error of a body that ends within a message, for whatever codec reads it.
fn cut_off() -> Status {
    Status::internal(WrongMessage::CutOff.to_string())
}

/// The refusal of `call`, if its request found no room, whatever its service makes of that.
pub(crate) fn fits(call: &CallContext) -> Result<(), Refusal> {
    match call.has_no_room() {
        true => Err(Refusal::Overloaded),
        false => Ok(()),
    }
}

/// Returns true if `error` is what [`RequestBody`] says itself, and no transport.
pub(crate) fn is_own(error: &BoxError) -> bool {
    let is_cut_off = |status: &Status| status.message() == WrongMessage::CutOff.to_string();
    match error.downcast_ref::<Status>() {
        Some(status) => is_cut_off(status),
        None => error.to_string() == FULL,
    }
}

/// Returns true if a body broke off because it is not valid HTTP/1, which its sender can be told.
pub(crate) fn is_malformed(error: &BoxError) -> bool {
    let mut causes = causes(error.as_ref()).filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| {
        matches!(
            cause.kind(),
            ErrorKind::InvalidInput | ErrorKind::InvalidData
        )
    })
}

/// Division of a body into messages.
#[derive(Debug)]
enum Framing {
    /// It is one.
    One { come: usize },
    /// As gRPC has it.
    Messages(Messages),
}

impl Framing {
    /// The bytes that have come of the message that is not whole.
    fn open(&self) -> usize {
        match self {
            Self::One { come } => *come,
            Self::Messages(messages) => messages.begun + messages.come,
        }
    }

    /// Returns true if a message has begun and is not whole, so that the body must go on.
    fn is_cut_off(&self) -> bool {
        matches!(self, Self::Messages(messages) if messages.begun > 0)
    }

    fn follow(&mut self, data: &[u8]) {
        match self {
            Self::One { come } => *come += data.len(),
            Self::Messages(messages) => messages.follow(data),
        }
    }
}

/// Position of a body among its messages. Each message is a byte of flags, four bytes of length, and that
/// many bytes of content (gRPC PROTOCOL-HTTP2.md).
#[derive(Debug, Default)]
struct Messages {
    head: [u8; 5],
    /// Bytes of the head that have come.
    begun: usize,
    /// Bytes of the message behind it that have come.
    come: usize,
}

impl Messages {
    fn follow(&mut self, mut data: &[u8]) {
        loop {
            let taken = (self.head.len() - self.begun).min(data.len());
            self.head[self.begun..self.begun + taken].copy_from_slice(&data[..taken]);
            self.begun += taken;
            data = &data[taken..];
            if self.begun < self.head.len() {
                return;
            }
            let [_, length @ ..] = self.head;
            let left = u32::from_be_bytes(length) as usize - self.come;
            let taken = left.min(data.len());
            self.come += taken;
            data = &data[taken..];
            if taken < left {
                return;
            }
            (self.begun, self.come) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Framing, Messages};

    proptest! {
        #[test]
        fn what_is_open_is_what_came_since_the_last_message_ended(
            lengths in prop::collection::vec(0_usize..300, 0..8),
            cut in 1_usize..64,
        ) {
            let mut bytes = Vec::new();
            let mut ends = vec![0];
            for length in lengths {
                bytes.push(0);
                bytes.extend((length as u32).to_be_bytes());
                bytes.resize(bytes.len() + length, 7);
                ends.push(bytes.len());
            }
            let mut framing = Framing::Messages(Messages::default());
            let mut at = 0;
            for piece in bytes.chunks(cut) {
                framing.follow(piece);
                at += piece.len();
                let last_end = ends.iter().filter(|end| **end <= at).max();
                prop_assert_eq!(Some(at - framing.open()), last_end.copied());
            }
        }

        #[test]
        fn no_bytes_break_it(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let mut messages = Messages::default();
            for piece in pieces {
                messages.follow(&piece);
            }
        }
    }
}
