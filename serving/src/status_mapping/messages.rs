//! The messages of a request on their way to the service: read as far as the five bytes before each.

use std::{
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tonic::{Code, Status};

use super::{
    Rules,
    rejection::{Reject, Rejection},
};
use crate::{
    body::{self, is_incomplete},
    context::CallContext,
    intake::{self, FULL},
    service::BoxError,
    unpacked::{Unpacked, WrongMessage},
};

/// The flag and the length before each message.
const HEAD: usize = 5;

/// The progress of a call's messages, which says whose words its answer holds.
#[derive(Debug)]
pub(super) struct Progress {
    /// The service is being asked for its answer: what is read now, it reads itself, and no task of its own.
    asked: AtomicBool,
    /// The service was given bytes of the request, and has not waited for anything since.
    fresh: AtomicBool,
    /// The fault of the request, and the text that the service was told of it.
    found: OnceLock<(Rejection, String)>,
    call: CallContext,
}

impl Progress {
    /// That of `call`.
    pub(super) fn new(call: CallContext) -> Self {
        Self {
            asked: AtomicBool::new(false),
            fresh: AtomicBool::new(false),
            found: OnceLock::new(),
            call,
        }
    }

    /// The context of its call.
    pub(super) fn call(&self) -> &CallContext {
        &self.call
    }

    /// Asks the service by `poll`, and notes if it waits.
    pub(super) fn ask<T>(&self, poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
        self.asked.store(true, Relaxed);
        let answer = poll();
        self.asked.store(false, Relaxed);
        if answer.is_pending() {
            self.waits();
        }
        answer
    }

    fn waits(&self) {
        self.fresh.store(false, Relaxed);
    }

    /// Notes that the service was given bytes. Bytes that a task of its own reads do not count, as they say
    /// nothing of what the answer says: that task may have called somebody since.
    fn gave(&self) {
        if self.asked.load(Relaxed) {
            self.fresh.store(true, Relaxed);
        }
    }

    /// Returns true if what the service says now may be of the bytes that it was given last.
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh.load(Relaxed)
    }

    /// The fault of the request, if `text` is what the service was told of it.
    pub(super) fn found(&self, text: &str) -> Option<&Rejection> {
        let (rejection, told) = self.found.get()?;
        (told == text).then_some(rejection)
    }
}

/// The bounds of a call's messages.
#[derive(Debug)]
pub(super) struct Bounds {
    /// There is one.
    pub(super) takes_one: bool,
    /// The most bytes of one.
    pub(super) limit: usize,
    /// True if they may be compressed.
    pub(super) is_encoded: bool,
    /// By gzip: it is unpacked here. Stock codecs stop at the end of its first member (RFC 1952 §2.2).
    pub(super) is_gzip: bool,
}

pin_project_lite::pin_project! {
    /// The body of a request that fails as soon as it is not what gRPC and the contract have.
    #[derive(Debug)]
    pub struct Messages<B, W> {
        #[pin]
        body: Source<B>,
        reader: Reader,
        progress: Arc<Progress>,
        rules: Arc<Rules<W>>,
        // What is wrong with what comes after the bytes that were passed on.
        wrong: Option<Rejection>,
    }
}

pin_project_lite::pin_project! {
    #[project = SourceProjection]
    #[derive(Debug)]
    enum Source<B> {
        Plain { #[pin] body: B },
        Gzip { #[pin] body: Unpacked<B> },
    }
}

impl<B, W> Messages<B, W> {
    pub(super) fn new(
        body: B,
        bounds: Bounds,
        progress: Arc<Progress>,
        rules: Arc<Rules<W>>,
    ) -> Self {
        let body = match bounds.is_gzip {
            false => Source::Plain { body },
            true => Source::Gzip {
                body: Unpacked::gzip(body, bounds.limit),
            },
        };
        let reader = Reader {
            bounds,
            head: [0; HEAD],
            begun: 0,
            left: 0,
            whole: 0,
        };
        Self {
            body,
            reader,
            progress,
            rules,
            wrong: None,
        }
    }
}

impl<B, W> Body for Messages<B, W>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
    W: Reject,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        if let Some(wrong) = this.wrong.take() {
            return Poll::Ready(Some(Err(tell(wrong, this.progress, this.rules))));
        }
        let frame = match this.body.as_mut().project() {
            SourceProjection::Plain { body } => {
                ready!(body.poll_frame(cx)).map(|frame| frame.map_err(Into::into))
            }
            SourceProjection::Gzip { body } => ready!(body.poll_frame(cx)),
        };
        let found = match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(mut data) => match this.reader.read(&data) {
                    Ok(()) => {
                        this.progress.gave();
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    // What came before is whole, and the service may have it.
                    Err((good @ 1.., wrong)) => {
                        *this.wrong = Some(wrong);
                        data.truncate(good);
                        this.progress.gave();
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    Err((0, wrong)) => Err(wrong),
                },
                Err(trailers) => this.reader.end().map(|()| Some(Ok(trailers))),
            },
            Some(Err(error)) => Err(broken(&error)),
            None => this.reader.end().map(|()| None),
        };
        this.progress.waits();
        Poll::Ready(match found {
            Ok(end) => end,
            Err(wrong) => Some(Err(tell(wrong, this.progress, this.rules))),
        })
    }

    fn is_end_stream(&self) -> bool {
        let is_end = match &self.body {
            Source::Plain { body } => body.is_end_stream(),
            Source::Gzip { body } => body.is_end_stream(),
        };
        is_end && self.wrong.is_none() && self.reader.end().is_ok()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Source::Plain { body } => body.size_hint(),
            Source::Gzip { .. } => SizeHint::default(),
        }
    }
}

/// `wrong` as an error of the body, which a handler that reads messages sees as its status.
fn tell<W: Reject>(wrong: Rejection, progress: &Progress, rules: &Rules<W>) -> BoxError {
    let mut status = rules.words.status(&wrong, progress.call());
    // tonic takes a request that ends with CANCELLED for one that ends well.
    if status.code() == Code::Cancelled {
        status = Status::unknown(status.message());
    }
    let _ = progress.found.set((wrong, status.message().to_owned()));
    status.into()
}

/// The fault of a request whose body ends with `error`.
fn broken(error: &BoxError) -> Rejection {
    if let Some(wrong) = error.downcast_ref::<WrongMessage>() {
        return wrong.into();
    }
    let text = error.to_string();
    if text.contains(FULL) {
        return Rejection::Overloaded;
    }
    // tonic-web tells the error of a body in its own words, as tonic does that of a connection.
    if let Some(status) = error.downcast_ref::<Status>()
        && matches!(status.code(), Code::Internal | Code::InvalidArgument)
        && !is_incomplete(&text)
        && !status.message().starts_with("h2 protocol error: ")
    {
        return malformed(status.message());
    }
    match intake::is_malformed(error) {
        true => malformed(body::MALFORMED),
        false => Rejection::Incomplete,
    }
}

fn malformed(reason: &str) -> Rejection {
    Rejection::Malformed {
        reason: reason.to_owned(),
    }
}

impl From<&WrongMessage> for Rejection {
    fn from(wrong: &WrongMessage) -> Self {
        match wrong {
            WrongMessage::TooLarge { limit } => Self::TooLarge { limit: *limit },
            WrongMessage::Malformed { .. } | WrongMessage::CutOff => malformed(&wrong.to_string()),
        }
    }
}

/// The position of a request among its messages.
#[derive(Debug)]
struct Reader {
    bounds: Bounds,
    head: [u8; HEAD],
    /// Bytes of the head that have come.
    begun: usize,
    /// Bytes of the message that are to come.
    left: usize,
    /// Messages that are whole.
    whole: usize,
}

impl Reader {
    /// Reads `data`; if it is wrong, also how many of its bytes may be passed on.
    fn read(&mut self, data: &[u8]) -> Result<(), (usize, Rejection)> {
        // One whole message: a unary call, as a rule.
        if self.begun == 0
            && self.left == 0
            && let Some((head, message)) = data.split_first_chunk::<HEAD>()
            && length(*head) == message.len()
        {
            self.begin(*head).map_err(|wrong| (0, wrong))?;
            self.left = 0;
            return self.is_whole().map_err(|wrong| (0, wrong));
        }
        // Where the message begins that is being read.
        let (mut at, mut start) = (0, 0);
        while at < data.len() {
            if self.left > 0 {
                let taken = self.left.min(data.len() - at);
                self.left -= taken;
                at += taken;
            } else {
                if self.begun == 0 {
                    start = at;
                }
                let taken = (HEAD - self.begun).min(data.len() - at);
                self.head[self.begun..self.begun + taken].copy_from_slice(&data[at..at + taken]);
                self.begun += taken;
                at += taken;
                if self.begun < HEAD {
                    return Ok(());
                }
                self.begun = 0;
                self.begin(self.head).map_err(|wrong| (start, wrong))?;
            }
            if self.left == 0 {
                self.is_whole().map_err(|wrong| (start, wrong))?;
            }
        }
        Ok(())
    }

    /// Counts a message.
    fn is_whole(&mut self) -> Result<(), Rejection> {
        self.whole += 1;
        match self.bounds.takes_one && self.whole > 1 {
            true => Err(Rejection::ManyMessages),
            false => Ok(()),
        }
    }

    /// Begins a message.
    fn begin(&mut self, head: [u8; HEAD]) -> Result<(), Rejection> {
        let Bounds {
            limit, is_encoded, ..
        } = self.bounds;
        let length = length(head);
        match head[0] {
            0 | 1 if length > limit => Err(Rejection::TooLarge { limit }),
            1 if !is_encoded => Err(Rejection::CompressedWithoutEncoding),
            0 | 1 => {
                self.left = length;
                Ok(())
            }
            flag => Err(malformed(&format!(
                "the bytes are no gRPC messages: the compressed flag of one is {flag}, and neither 0 \
                 nor 1"
            ))),
        }
    }

    /// Returns true if the request may end here.
    fn end(&self) -> Result<(), Rejection> {
        if self.begun > 0 || self.left > 0 {
            Err(malformed(&WrongMessage::CutOff.to_string()))
        } else if self.bounds.takes_one && self.whole == 0 {
            Err(Rejection::NoMessage)
        } else {
            Ok(())
        }
    }
}

fn length([_, length @ ..]: [u8; HEAD]) -> usize {
    u32::from_be_bytes(length) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Bounds, Reader, Rejection};

    fn reader(takes_one: bool) -> Reader {
        Reader {
            bounds: Bounds {
                takes_one,
                limit: 300,
                is_encoded: false,
                is_gzip: false,
            },
            head: [0; 5],
            begun: 0,
            left: 0,
            whole: 0,
        }
    }

    proptest! {
        #[test]
        fn messages_are_counted_however_they_are_cut(
            lengths in prop::collection::vec(0_usize..=300, 0..8),
            cut in 1_usize..64,
        ) {
            let mut bytes = Vec::new();
            for length in &lengths {
                bytes.push(0);
                bytes.extend((*length as u32).to_be_bytes());
                bytes.resize(bytes.len() + length, 7);
            }
            let mut stream = reader(false);
            for piece in bytes.chunks(cut) {
                prop_assert_eq!(stream.read(piece), Ok(()));
            }
            prop_assert_eq!(stream.end(), Ok(()));
            prop_assert_eq!(stream.whole, lengths.len());

            let mut call = reader(true);
            let wrong = bytes.chunks(cut).find_map(|piece| call.read(piece).err());
            let wrong = wrong.map(|(_, wrong)| wrong).or(call.end().err());
            let right = match lengths.len() {
                0 => Some(Rejection::NoMessage),
                1 => None,
                _ => Some(Rejection::ManyMessages),
            };
            prop_assert_eq!(wrong, right);
        }

        #[test]
        fn what_is_right_before_what_is_wrong_is_passed_on(
            lengths in prop::collection::vec(0_usize..=300, 0..4),
            cut in 1_usize..2000,
        ) {
            let mut bytes = Vec::new();
            for length in &lengths {
                bytes.push(0);
                bytes.extend((*length as u32).to_be_bytes());
                bytes.resize(bytes.len() + length, 7);
            }
            let right = bytes.len();
            bytes.extend([9; 5]);
            let (mut stream, mut passed) = (reader(false), 0);
            let mut wrong = None;
            for piece in bytes.chunks(cut) {
                match stream.read(piece) {
                    Ok(()) => passed += piece.len(),
                    Err((good, _)) => {
                        wrong = Some(passed + good);
                        break;
                    }
                }
            }
            // Of a head that came in two pieces the first is passed on.
            let wrong = wrong.expect("it is found");
            prop_assert!((right..right + 5).contains(&wrong), "{wrong} of {right}");
        }
    }
}
