//! An end to an HTTP/2 stream whose peer gives it no window. While hyper waits for window it asks
//! neither the service nor its body, so that no deadline inside of them is looked at.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

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
}

/// Notes that the service of the stream being polled went on.
pub(crate) fn service_answered() {
    SERVICE.set(Service::Answered);
}

/// Notes that the service of the stream being polled has nothing yet.
pub(crate) fn service_waits() {
    SERVICE.set(Service::Waits);
}

pin_project_lite::pin_project! {
    /// A stream that ends when its peer leaves an answer unread for too long. It arms no timer for a
    /// stream that never waits for its peer.
    pub(crate) struct Unstalled<F> {
        #[pin]
        stream: F,
        limit: Duration,
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F> Unstalled<F> {
    pub(crate) fn new(stream: F, limit: Duration) -> Self {
        Self {
            stream,
            limit,
            timer: None,
        }
    }
}

impl<F: Future> Future for Unstalled<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        SERVICE.set(Service::NotAsked);
        if this.stream.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match SERVICE.get() {
            Service::NotAsked => {}
            Service::Answered => *this.timer = None,
            Service::Waits => {
                *this.timer = None;
                return Poll::Pending;
            }
        }
        let limit = *this.limit;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        tracing::debug!("a peer left its answer unread; its stream is reset");
        // Dropped with its task, the stream is reset with CANCEL.
        Poll::Ready(())
    }
}
