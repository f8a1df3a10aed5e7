//! The call that a user has open, where the timekeeper sees it. A timer of the runtime for each call
//! would cost a tenth of the call.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Poll, Waker},
};

/// Nanoseconds since the trial began, at least [`FIRST`].
pub(crate) type Stamp = u64;

/// The first moment of a trial: what is below it has a meaning of its own.
pub(crate) const FIRST: Stamp = 2;

/// No call is open.
const IDLE: Stamp = 0;

/// A call begins, and is about to say when.
const BEGINNING: Stamp = 1;

/// One for each user.
#[derive(Default)]
pub(crate) struct Slot {
    /// When the call was due, or began in a closed loop.
    from: AtomicU64,
    /// Since when its time limit counts.
    since: AtomicU64,
    /// The value of `since` of the call that is to be broken off.
    broken_off: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

impl Slot {
    /// A call is about to begin: from here on nobody takes the user for idle.
    pub(crate) fn announce(&self) {
        self.from.store(BEGINNING, SeqCst);
    }

    /// The call begins.
    pub(crate) fn begin(&self, from: Stamp, since: Stamp) {
        self.since.store(since, SeqCst);
        self.from.store(from, SeqCst);
    }

    /// The call has ended.
    pub(crate) fn end(&self) {
        self.since.store(IDLE, SeqCst);
        self.from.store(IDLE, SeqCst);
    }

    /// Returns true if a call is open that was due, or began, before `end`.
    pub(crate) fn is_busy_before(&self, end: Stamp) -> bool {
        let from = self.from.load(SeqCst);
        from != IDLE && from < end
    }

    /// Waits for `future`, which belongs to the call whose limit counts since `since`; none if the call
    /// is broken off. It is pinned by the caller, as calls are long to move.
    pub(crate) async fn guard<F: Future>(
        &self,
        since: Stamp,
        mut future: Pin<&mut F>,
    ) -> Option<F::Output> {
        let mut is_known = false;
        poll_fn(|cx| {
            if !is_known {
                self.remember(cx.waker());
                is_known = true;
            }
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(value));
            }
            match self.broken_off.load(SeqCst) == since {
                true => Poll::Ready(None),
                false => Poll::Pending,
            }
        })
        .await
    }

    /// Breaks the open call off if its limit counts since `oldest` or earlier.
    pub(crate) fn break_off(&self, oldest: Stamp) {
        let since = self.since.load(SeqCst);
        if since != IDLE && since <= oldest && self.broken_off.swap(since, SeqCst) != since {
            let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(waker) = &*waker {
                waker.wake_by_ref();
            }
        }
    }

    fn remember(&self, waker: &Waker) {
        let mut known = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, pin::pin, sync::Arc};

    use super::*;

    #[tokio::test]
    async fn only_the_call_that_is_open_is_broken_off() {
        let slot = Arc::new(Slot::default());
        slot.begin(10, 10);
        slot.break_off(9);
        let other = Arc::clone(&slot);
        let call = tokio::spawn(async move { other.guard(10, pin!(pending::<()>())).await });
        tokio::task::yield_now().await;
        slot.break_off(10);
        assert!(call.await.unwrap().is_none());
        slot.end();
        slot.break_off(100);
        slot.begin(20, 20);
        assert_eq!(slot.guard(20, pin!(async { 7 })).await, Some(7));
    }

    #[test]
    fn a_call_that_begins_is_open() {
        let slot = Slot::default();
        assert!(!slot.is_busy_before(100));
        slot.announce();
        assert!(slot.is_busy_before(100));
        slot.begin(100, 120);
        assert!(!slot.is_busy_before(100) && slot.is_busy_before(101));
        slot.end();
        assert!(!slot.is_busy_before(101));
    }
}
