//! The client's side of the stream: it writes and reads independently, and tells what happens.

use std::{future::pending, time::Duration};

use futures_util::{FutureExt, Stream, StreamExt};
use proto::bidirectional::{Message, bidirectional_client::BidirectionalClient};
use serving::{
    CancellationToken,
    client::{self, CallError, Witness},
    retry::Retry,
};
use tokio::{
    pin,
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::CompressionEncoding::Gzip;

/// The messages that the client sends when it is given no others.
pub const MESSAGES: [&str; 5] = [
    "First message",
    "Second message",
    "Third message",
    "Fourth message",
    "Fifth message",
];

/// An event on the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message is written.
    Sent(String),
    /// The client has no more to say. It still listens.
    HalfClosed,
    /// An answer was read.
    Answered(String),
}

/// The client's longest waits for the server, and its retries.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// Longest wait for the answer to a message before the client writes the next. This makes
    /// visible who waits for whom; it is no more than a courtesy, for neither side has to wait.
    pub patience: Duration,
    /// Longest time that the server may keep the client waiting: to connect, to take a message, and
    /// between answers once the client has half-closed.
    pub silence: Duration,
    /// Retries of the connection to a server that is unavailable. Once the stream is open nothing
    /// is tried again: what was said cannot be taken back.
    pub retry: Retry,
}

/// Writes `messages` to the server at `address` and reads its answers, each as it comes, until the
/// server ends the stream. `tell` is handed each event as it happens.
///
/// # Errors
/// [`CallError`]: no connection, an error status, a broken stream, a stream that ended before every
/// message was answered, or silence.
pub async fn hold<S>(
    address: &str,
    messages: S,
    waits: Waits,
    tell: impl Fn(Event),
) -> Result<(), CallError>
where
    S: Stream<Item = String>,
{
    let connected = waits.retry.run(waits.silence, || client::connect(address));
    let channel = connected.await?;
    let half_closed = CancellationToken::new();
    let (channel, witness) = client::watched(channel);
    let mut stub = BidirectionalClient::new(channel).accept_compressed(Gzip);
    let waiting = Waiting {
        half_closed: &half_closed,
        silence: waits.silence,
        witness: &witness,
    };
    let (to_server, outgoing) = mpsc::channel(1);
    let (answers, answered) = watch::channel(0);

    let write = write(messages, to_server, answered, &half_closed, waits, &tell);
    // The call itself returns when the server sends its headers, which a server may hold back until
    // it has something to answer: so the writer must not wait for the call.
    let read = async {
        let call = stub.get_server_response(ReceiverStream::new(outgoing));
        let mut incoming = waiting.quiet(call).await?.into_inner();
        while let Some(answer) = waiting.quiet(incoming.message()).await? {
            tell(Event::Answered(answer.message));
            answers.send_modify(|count| *count += 1);
        }
        let count = *answers.borrow();
        // Tells the writer that nobody listens any more.
        drop(answers);
        Ok(count)
    };

    pin!(write, read);
    let (sent, answered) = tokio::select! {
        sent = &mut write => (sent?, read.await?),
        // The last answer and the end of the stream may come so close together that the writer has
        // not yet seen the one when the other is read.
        answered = &mut read => match (answered?, write.as_mut().now_or_never()) {
            (answered, Some(sent)) => (sent?, answered),
            (answered, None) => return Err(ended_early(answered)),
        },
    };
    if answered < sent {
        Err(ended_early(answered))
    } else {
        Ok(())
    }
}

/// The writing side. Returns how many messages it wrote.
async fn write<S>(
    messages: S,
    to_server: mpsc::Sender<Message>,
    mut answered: watch::Receiver<usize>,
    half_closed: &CancellationToken,
    waits: Waits,
    tell: &impl Fn(Event),
) -> Result<usize, CallError>
where
    S: Stream<Item = String>,
{
    pin!(messages);
    let mut sent = 0;
    while let Some(message) = messages.next().await {
        if answered.has_changed().is_err() {
            // The call is over; the reader knows why and ends this future.
            pending::<()>().await;
        }
        tell(Event::Sent(message.clone()));
        let Ok(taken) = timeout(waits.silence, to_server.send(Message { message })).await else {
            return Err(CallError::Deadline {
                deadline: waits.silence,
            });
        };
        if taken.is_err() {
            pending::<()>().await;
        }
        sent += 1;
        let _ = timeout(waits.patience, answered.wait_for(|count| *count >= sent)).await;
    }
    tell(Event::HalfClosed);
    half_closed.cancel();
    Ok(sent)
}

/// The waits for the server.
struct Waiting<'a> {
    half_closed: &'a CancellationToken,
    silence: Duration,
    witness: &'a Witness,
}

impl Waiting<'_> {
    /// Awaits the server, without an end while the client is still writing, and for the time of silence from
    /// then on.
    async fn quiet<T>(
        &self,
        answer: impl Future<Output = Result<T, tonic::Status>>,
    ) -> Result<T, CallError> {
        let deadline = self.silence;
        let end = async {
            self.half_closed.cancelled().await;
            sleep(deadline).await;
        };
        tokio::select! {
            answer = answer => answer.map_err(|status| self.witness.error(&status, deadline)),
            () = end => Err(CallError::Deadline { deadline }),
        }
    }
}

fn ended_early(answered: usize) -> CallError {
    CallError::EndedEarly { answered }
}
