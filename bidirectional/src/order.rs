//! When the server reads and when it writes: the lesson of this crate.

use std::pin::Pin;

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use proto::bidirectional::Message;
use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::Status;

/// The most messages that [`Order::AfterHalfClose`] holds for one stream: a client that never
/// half-closes must not fill the server's memory.
pub const MOST_HELD: usize = 10_000;

/// The most bytes of text that [`Order::AfterHalfClose`] holds for one stream: 4 MiB, as much as
/// gRPC allows one message by default.
pub const MOST_HELD_BYTES: usize = 4 * 1024 * 1024;

/// The most bytes that all streams of the process hold together: what 32 full ones do.
pub const MOST_HELD_IN_ALL: usize = 32 * MOST_HELD_BYTES;

/// The bytes that are left of them.
static ROOM: Semaphore = Semaphore::const_new(MOST_HELD_IN_ALL);

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
                .map_ok(|(held, room)| {
                    stream::iter(held).map(move |message| {
                        let _ = &room;
                        Ok(message)
                    })
                })
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

/// Reads until the client half-closes. The room for all comes back when the last is answered.
async fn hold<S>(messages: S) -> Result<(Vec<Message>, SemaphorePermit<'static>), Status>
where
    S: Stream<Item = Result<Message, Status>>,
{
    let others = || {
        Status::resource_exhausted(
            "this server answers after the half-close and holds as much for other streams as it \
             takes; try again later",
        )
    };
    let nothing = ROOM.try_acquire_many(0).map_err(|_| others())?;
    let empty = (Vec::new(), nothing, 0);
    let all = messages.try_fold(empty, async |(mut held, mut room, text), message| {
        let text = text + message.message.len();
        if held.len() == MOST_HELD || text > MOST_HELD_BYTES {
            return Err(Status::resource_exhausted(format!(
                "this server answers after the half-close and holds at most {MOST_HELD} messages \
                 or {MOST_HELD_BYTES} bytes until then"
            )));
        }
        let bytes = size_of_val(&message) + message.message.capacity();
        let bytes = u32::try_from(bytes).map_err(|_| others())?;
        room.merge(ROOM.try_acquire_many(bytes).map_err(|_| others())?);
        held.push(message);
        Ok((held, room, text))
    });
    let (held, room, _) = all.await?;
    Ok((held, room))
}
