//! When the server reads and when it writes: the lesson of this crate.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    task::Poll,
};

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use proto::bidirectional::Message;
use tonic::Status;

/// The most messages that [`Order::AfterHalfClose`] holds for one stream: a client that never
/// half-closes must not fill the server's memory.
pub const MOST_HELD: usize = 10_000;

/// The most bytes of text that [`Order::AfterHalfClose`] holds for one stream: 4 MiB, as much as
/// gRPC allows one message by default.
pub const MOST_HELD_BYTES: usize = 4 * 1024 * 1024;

/// The most bytes that all streams of the process hold together: what 32 full ones do.
pub const MOST_HELD_IN_ALL: usize = 32 * MOST_HELD_BYTES;

/// What all streams hold.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// What one stream holds, messages that are being answered included. It gives it back when it is dropped.
#[derive(Default)]
struct Held {
    messages: VecDeque<Message>,
    /// Bytes of text.
    text: usize,
    /// Bytes in memory.
    bytes: usize,
}

impl Held {
    fn hold(&mut self, message: Message) -> Result<(), Status> {
        let bytes = size_of::<Message>() + message.message.capacity();
        self.text += message.message.len();
        if self.messages.len() == MOST_HELD || self.text > MOST_HELD_BYTES {
            return Err(Status::resource_exhausted(format!(
                "this server answers after the half-close and holds at most {MOST_HELD} messages \
                 or {MOST_HELD_BYTES} bytes until then"
            )));
        }
        self.bytes += bytes;
        if HELD.fetch_add(bytes, Relaxed) + bytes > MOST_HELD_IN_ALL {
            return Err(Status::resource_exhausted(
                "this server answers after the half-close and holds as much for other streams as it \
                 takes; try again later",
            ));
        }
        self.messages.push_back(message);
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(self.bytes, Relaxed);
    }
}

/// When the server answers. Whatever it chooses, the answers keep the order of the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Order {
    /// Each message as it comes: read one, write one
    #[default]
    Each,
    /// Two at a time: read two, write two
    Pairs,
    /// Read all messages until the client half-closes, then write all answers
    AfterHalfClose,
}

/// The answers of one call.
pub type Answers = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

impl Order {
    /// Turns the messages of one call into its answers. Nothing happens until the result is polled,
    /// and it reads no further ahead than its order needs.
    pub fn answers<S>(self, messages: S) -> Answers
    where
        S: Stream<Item = Result<Message, Status>> + Send + 'static,
    {
        let messages =
            messages.inspect_ok(|Message { message }| tracing::debug!(text = message, "received"));
        match self {
            Self::Each => messages.boxed(),
            Self::Pairs => in_pairs(messages).boxed(),
            Self::AfterHalfClose => stream::once(hold(messages))
                .map_ok(answered)
                .try_flatten()
                .boxed(),
        }
    }
}

/// Passes messages on two at a time, and what is left when the client half-closes.
fn in_pairs<S>(messages: S) -> impl Stream<Item = Result<Message, Status>>
where
    S: Stream<Item = Result<Message, Status>>,
{
    messages
        .try_chunks(2)
        .map_ok(|pair| stream::iter(pair.into_iter().map(Ok)))
        .map_err(|broken| broken.1)
        .try_flatten()
}

/// Reads until the client half-closes.
async fn hold<S>(messages: S) -> Result<Held, Status>
where
    S: Stream<Item = Result<Message, Status>>,
{
    messages
        .try_fold(Held::default(), async |mut held, message| {
            held.hold(message)?;
            Ok(held)
        })
        .await
}

/// What was held, in its order.
fn answered(mut held: Held) -> impl Stream<Item = Result<Message, Status>> {
    stream::poll_fn(move |_| Poll::Ready(held.messages.pop_front().map(Ok)))
}
