//! The count of replies, and the record of calls, of all users together.

use std::{
    cell::Cell,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{
    outcome::Outcome,
    recorder::{Recorder, Times},
};

/// Shared by the users of one trial.
pub(crate) struct Tally {
    replies: AtomicU64,
    failures: AtomicU64,
    /// Sum of the latencies of all replies, in nanoseconds.
    latency: AtomicU64,
    /// One for each thread of the runtime, so that none waits for another.
    recorders: Box<[Mutex<Recorder>]>,
    is_open_loop: bool,
}

impl Tally {
    /// An empty one, for users on so many threads.
    pub(crate) fn new(is_open_loop: bool, threads: usize) -> Self {
        let recorder = |_| Mutex::new(Recorder::new(is_open_loop));
        Self {
            replies: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            latency: AtomicU64::new(0),
            recorders: (0..threads.max(1)).map(recorder).collect(),
            is_open_loop,
        }
    }

    /// Records a reply to a call that counts, or to another.
    pub(crate) fn record(&self, outcome: Outcome, times: Times, counts: bool) {
        self.replies.fetch_add(1, Relaxed);
        if !outcome.is_ok() {
            self.failures.fetch_add(1, Relaxed);
        }
        let nanos = u64::try_from(times.latency().as_nanos()).unwrap_or(u64::MAX);
        self.latency.fetch_add(nanos, Relaxed);
        self.recorder().record(outcome, times, counts);
    }

    /// Records a call that counts, and was open when waiting ended.
    pub(crate) fn record_unanswered(&self) {
        self.recorder().record_unanswered(1);
    }

    /// Replies so far, and the sum of their latencies.
    pub(crate) fn replies(&self) -> (u64, Duration) {
        let latency = Duration::from_nanos(self.latency.load(Relaxed));
        (self.replies.load(Relaxed), latency)
    }

    /// Bad replies so far.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// Calls that count, and have their reply.
    pub(crate) fn counted(&self) -> u64 {
        self.recorders.iter().map(|one| lock(one).counted).sum()
    }

    /// Everything that was recorded.
    pub(crate) fn recorded(&self) -> Recorder {
        let mut all = Recorder::new(self.is_open_loop);
        self.recorders.iter().for_each(|one| all.add(&lock(one)));
        all
    }

    /// The recorder of this thread.
    fn recorder(&self) -> MutexGuard<'_, Recorder> {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static THREAD: Cell<usize> = Cell::new(THREADS.fetch_add(1, Relaxed));
        }
        lock(&self.recorders[THREAD.get() % self.recorders.len()])
    }
}

/// Locks `recorder`, which is whole even if a holder has panicked.
fn lock(recorder: &Mutex<Recorder>) -> MutexGuard<'_, Recorder> {
    recorder.lock().unwrap_or_else(PoisonError::into_inner)
}
