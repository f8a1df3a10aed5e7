//! An end to an HTTP/2 stream whose peer gives it no window. While hyper waits for window it asks
//! neither the service nor its body, so that no deadline inside of them is looked at.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::telemetry::metrics::{self, Limit};

/// How long after its deadline a stream may wait for its peer to give it the window in which to say so:
/// a round trip across the world takes less.
pub(crate) const LAST_WORD: Duration = Duration::from_secs(1);

/// What the service of a stream did when the stream was last polled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Service {
    /// It was not asked: the stream waits for its peer.
    NotAsked,
    /// It had more of its answer.
    Answered,
    /// It has nothing yet: the stream waits for the service.
    Waits,
}

thread_local! {
    static SERVICE: Cell<Service> = const { Cell::new(Service::NotAsked) };
    /// The end of the call whose answer has begun in the poll.
    static END: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Notes that the answer of the stream being polled begins, and when its call ends at the latest.
pub(crate) fn answer_begins(end: Instant) {
    END.set(Some(end));
}

/// Notes that the service of the stream being polled went on.
pub(crate) fn service_answered() {
    SERVICE.set(Service::Answered);
}

/// Notes that the service of the stream being polled has nothing yet.
pub(crate) fn service_waits() {
    SERVICE.set(Service::Waits);
}

/// How long a peer of one connection may leave an answer unread, and where it is counted that one did.
#[derive(Debug)]
pub(crate) struct Patience {
    pub(crate) limit: Duration,
    pub(crate) counters: Arc<metrics::Listener>,
}

pin_project_lite::pin_project! {
    /// A stream that ends when its peer leaves an answer unread for too long, or beyond the deadline. It
    /// arms no timer for a stream that never waits for its peer.
    pub(crate) struct Unstalled<F> {
        #[pin]
        stream: F,
        patience: Arc<Patience>,
        end: Option<Instant>,
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F> Unstalled<F> {
    pub(crate) fn new(stream: F, patience: Arc<Patience>) -> Self {
        Self {
            stream,
            patience,
            end: None,
            timer: None,
        }
    }
}

impl<F: Future> Future for Unstalled<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        SERVICE.set(Service::NotAsked);
        END.set(None);
        if this.stream.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        *this.end = END.get().or(*this.end);
        match SERVICE.get() {
            Service::NotAsked => {}
            Service::Answered => *this.timer = None,
            Service::Waits => {
                *this.timer = None;
                return Poll::Pending;
            }
        }
        let Patience { limit, counters } = &**this.patience;
        let timer = this.timer.get_or_insert_with(|| {
            let stalled = Instant::now() + *limit;
            let last = |end| stalled.min(end + LAST_WORD);
            Box::pin(sleep_until(this.end.map_or(stalled, last)))
        });
        ready!(timer.as_mut().poll(cx));
        let passed = this.end.is_some_and(|end| end < timer.deadline());
        counters.hit(match passed {
            true => Limit::Deadline,
            false => Limit::StalledWrite,
        });
        tracing::debug!("a peer left its answer unread; its stream is reset");
        // Dropped with its task, the stream is reset with CANCEL.
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};

    use super::*;

    /// hyper asks no service while it waits for a peer.
    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_and_is_counted_when_its_peer_keeps_it_waiting_and_not_when_the_service_does()
     {
        let patience = Arc::new(Patience {
            limit: Duration::from_secs(30),
            counters: Arc::new(metrics::Listener::new("test")),
        });
        let waits = poll_fn(|_| {
            service_waits();
            Poll::<()>::Pending
        });
        let serving = Unstalled::new(waits, Arc::clone(&patience));
        let hour = Duration::from_secs(3_600);
        let ended = tokio::time::timeout(hour, serving).await;
        assert!(ended.is_err());
        assert_eq!(patience.counters.hits(Limit::StalledWrite), 0);

        let unread = Unstalled::new(pending::<()>(), Arc::clone(&patience));
        tokio::time::timeout(hour, unread).await.unwrap();
        assert_eq!(patience.counters.hits(Limit::StalledWrite), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_unread_ends_with_its_call() {
        let begun = Instant::now();
        let deadline = Duration::from_secs(5);
        let patience = Arc::new(Patience {
            limit: Duration::from_secs(30),
            counters: Arc::new(metrics::Listener::new("test")),
        });
        let mut has_begun = false;
        let unread = poll_fn(|_| {
            if !std::mem::replace(&mut has_begun, true) {
                answer_begins(begun + deadline);
            }
            Poll::<()>::Pending
        });
        Unstalled::new(unread, Arc::clone(&patience)).await;
        let ends = deadline + LAST_WORD;
        // Tokio's timers count in milliseconds.
        let range = ends..=ends + Duration::from_millis(1);
        assert!(range.contains(&begun.elapsed()), "{:?}", begun.elapsed());
        assert_eq!(patience.counters.hits(Limit::Deadline), 1);
        // It is not taken for the end of another one.
        Unstalled::new(pending::<()>(), Arc::clone(&patience)).await;
        assert_eq!(patience.counters.hits(Limit::StalledWrite), 1);
    }
}
