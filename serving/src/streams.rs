//! The streams of one HTTP/2 connection. Each is asked once when the connection has read all that has
//! come: by then most calls have what they need, and are answered without a task of their own. The
//! others get one, on the worker of the connection.
//!
//! To ask a stream as soon as it is accepted would spare the same, but a connection goes on to accept
//! by writing first: one write for each answer then, and no longer one for all.

use std::{
    future::Future,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, Weak},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use hyper::rt::Executor;

use crate::{
    stall::{Patience, Unstalled},
    telemetry::metrics::locked,
};

type Stream = BoxFuture<'static, ()>;

/// Room for this many streams is kept between bursts: half a KiB for each connection.
const KEPT: usize = 32;

/// How long a connection asks the streams of one burst before it leaves the others to tasks, between
/// which other connections of the worker have their turn.
const TURN: Duration = Duration::from_millis(1);

/// After so many streams it looks at the clock.
const FEW: usize = 8;

/// Takes the streams that a connection accepts, for as long as there is a [`WithStreams`] to ask them.
/// Each stream holds one of these, so it must not hold the streams.
#[derive(Clone)]
pub(crate) struct Streams {
    patience: Arc<Patience>,
    accepted: Weak<Mutex<Vec<Stream>>>,
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        if let Some(accepted) = self.accepted.upgrade() {
            let stream = Box::pin(Unstalled::new(stream, Arc::clone(&self.patience)));
            locked(&accepted).push(stream);
        }
    }
}

pin_project_lite::pin_project! {
    /// A connection that asks the streams it accepts.
    pub(crate) struct WithStreams<C> {
        #[pin]
        connection: C,
        accepted: Arc<Mutex<Vec<Stream>>>,
        asked: Vec<Stream>,
    }
}

impl<C> WithStreams<C> {
    /// What `connect` makes of its executor. A peer may leave an answer unread with `patience`: hyper asks
    /// no body for more, and so no guard for its deadline, while the peer gives the stream no window
    /// to write to.
    pub(crate) fn new(patience: Patience, connect: impl FnOnce(Streams) -> C) -> Self {
        let accepted = Arc::default();
        let streams = Streams {
            patience: Arc::new(patience),
            accepted: Arc::downgrade(&accepted),
        };
        Self {
            connection: connect(streams),
            accepted,
            asked: Vec::new(),
        }
    }

    pub(crate) fn connection(self: Pin<&mut Self>) -> Pin<&mut C> {
        self.project().connection
    }
}

impl<C: Future> Future for WithStreams<C> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let this = self.project();
        let ended = this.connection.poll(cx);
        mem::swap(this.asked, &mut locked(this.accepted));
        let begun = (this.asked.len() > FEW).then(Instant::now);
        let mut is_long = false;
        for (place, stream) in this.asked.drain(..).enumerate() {
            if place % FEW == FEW - 1 {
                is_long |= begun.is_some_and(|begun| begun.elapsed() > TURN);
            }
            if is_long {
                tokio::spawn(stream);
                continue;
            }
            // As within a task, a panic ends its own stream only; the guard has worded what it could.
            let _ = catch_unwind(AssertUnwindSafe(move || ask(stream)));
        }
        this.asked.shrink_to(KEPT);
        ended
    }
}

fn ask(mut stream: Stream) {
    // Nobody has to be woken: a stream that waits is asked again at once, by its task.
    let nobody = &mut Context::from_waker(Waker::noop());
    if stream.as_mut().poll(nobody).is_pending() {
        tokio::spawn(stream);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, poll_fn},
        time::Duration,
    };

    use tokio::{sync::mpsc, time::sleep};

    use super::{Arc, Executor, Future, Patience, Poll, WithStreams};
    use crate::telemetry::metrics::Listener;

    fn patience() -> Patience {
        Patience {
            limit: Duration::from_secs(3_600),
            counters: Arc::new(Listener::new("test")),
        }
    }

    /// What takes long is asked by its own task, so that others have their turn.
    #[tokio::test]
    async fn a_burst_of_long_streams_does_not_keep_the_worker() {
        let (answer, mut answers) = mpsc::unbounded_channel();
        let connection = WithStreams::new(patience(), |streams| {
            for _ in 0..100 {
                let answer = answer.clone();
                streams.execute(async move {
                    std::thread::sleep(Duration::from_millis(1));
                    answer.send(()).unwrap();
                });
            }
            pending::<()>()
        });
        let mut connection = Box::pin(connection);
        let polled = poll_fn(|cx| Poll::Ready(connection.as_mut().poll(cx))).await;
        assert!(polled.is_pending());
        assert!((1..100).contains(&answers.len()), "{}", answers.len());
        for _ in 0..100 {
            answers.recv().await.unwrap();
        }
    }

    /// Whoever waits for a timer or for another task is asked once by the connection, whose waker wakes
    /// nobody, and must be woken all the same; and one that panics harms no other.
    #[tokio::test(start_paused = true)]
    async fn a_stream_is_answered_at_once_or_when_what_it_waits_for_has_come() {
        let (answer, mut answers) = mpsc::unbounded_channel();
        let (ask, mut asked) = mpsc::unbounded_channel::<&str>();
        let (late, later) = (answer.clone(), answer.clone());
        let connection = WithStreams::new(patience(), |streams| {
            streams.execute(async { panic!("a stream that fails") });
            streams.execute(async move { answer.send("at once").unwrap() });
            streams.execute(async move {
                sleep(Duration::from_secs(5)).await;
                late.send("in time").unwrap();
            });
            streams.execute(async move { later.send(asked.recv().await.unwrap()).unwrap() });
            pending::<()>()
        });

        let mut connection = Box::pin(connection);
        let polled = poll_fn(|cx| Poll::Ready(connection.as_mut().poll(cx))).await;
        assert!(polled.is_pending());
        assert_eq!(answers.try_recv(), Ok("at once"), "without a task");
        assert!(answers.try_recv().is_err());
        ask.send("when asked").unwrap();
        assert_eq!(answers.recv().await, Some("when asked"));
        assert_eq!(answers.recv().await, Some("in time"));
    }
}
