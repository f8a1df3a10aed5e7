//! The work of a connection itself: what it reads, writes and answers by itself.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU8,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    task::{Context, Poll, Wake, Waker},
};

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Rounds in which a call and its connection may wake one another before others have their turn.
const ROUNDS: usize = 8;

/// Place in which the work of a connection is done.
pub(super) enum Driver {
    /// In the task of the only user that calls on it: no other task needs to be woken, twice for each
    /// call. It rests while its user does not attend to it.
    User {
        work: Option<Work>,
        attention: Arc<Attention>,
    },
    /// In a task of its own, as several users call on it. It says when it has ended.
    Task(Arc<AtomicBool>),
}

impl Driver {
    /// Does `work` in the task of the user.
    pub(super) fn of_user(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::User {
            work: Some(Box::pin(work)),
            attention: Arc::default(),
        }
    }

    /// Does `work` in a task of its own. It ends when the last user lets go of the connection.
    pub(super) fn task(work: impl Future<Output = ()> + Send + 'static) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        tokio::spawn(async move {
            work.await;
            end.store(true, Relaxed);
        });
        Self::Task(ended)
    }

    /// The same for another user; none where one user does the work.
    pub(super) fn share(&self) -> Option<Self> {
        match self {
            Self::User { .. } => None,
            Self::Task(ended) => Some(Self::Task(Arc::clone(ended))),
        }
    }

    /// Returns true if the connection has ended.
    pub(super) fn has_ended(&self) -> bool {
        match self {
            Self::User { work, .. } => work.is_none(),
            Self::Task(ended) => ended.load(Relaxed),
        }
    }

    /// Waits for `call`, which nothing but the connection wakes, and does the connection's work. It is
    /// pinned by the caller, as calls are long to move.
    pub(super) async fn call<F: Future>(&mut self, call: Pin<&mut F>) -> F::Output {
        match self {
            Self::User { work, attention } => attend(work, attention, WithoutWaker(call)).await,
            Self::Task(_) => call.await,
        }
    }

    /// Waits for `future`, and does the connection's work meanwhile, if that is the user's.
    pub(super) async fn attend<F: Future>(&mut self, future: Pin<&mut F>) -> F::Output {
        match self {
            Self::User { work, attention } => attend(work, attention, future).await,
            Self::Task(_) => future.await,
        }
    }
}

async fn attend<T>(
    work: &mut Option<Work>,
    attention: &Arc<Attention>,
    mut future: impl Future<Output = T> + Unpin,
) -> T {
    let waker = Waker::from(Arc::clone(attention));
    poll_fn(|cx| {
        attention.remember(cx.waker());
        attention.begin();
        for _ in 0..ROUNDS {
            if let Poll::Ready(value) = Pin::new(&mut future).poll(cx) {
                return attention.end(Poll::Ready(value));
            }
            let Some(connection) = work else {
                return attention.end(Poll::Pending);
            };
            // What woke it until now it sees in this poll.
            attention.begin();
            if connection
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
            {
                *work = None;
            }
            // What it read may be what the future waits for.
            if let Poll::Ready(value) = Pin::new(&mut future).poll(cx) {
                return attention.end(Poll::Ready(value));
            }
            if !attention.has_missed() {
                return attention.end(Poll::Pending);
            }
        }
        attention.state.store(AWAY, Release);
        // Others have their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// A future that is polled whenever its connection was, and needs nobody to wake it.
struct WithoutWaker<'a, F>(Pin<&'a mut F>);

impl<F: Future> Future for WithoutWaker<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<F::Output> {
        self.0
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
    }
}

/// Wakes a task that attends to a connection, unless it is just doing so: a call and its connection
/// wake one another several times for each call.
#[derive(Default)]
pub(super) struct Attention {
    state: AtomicU8,
    task: Mutex<Option<Waker>>,
}

/// The task does something else, or sleeps.
const AWAY: u8 = 0;
/// The task attends.
const ATTENDING: u8 = 1;
/// It attends, and something has happened that it may have missed.
const MISSED: u8 = 2;

impl Attention {
    fn remember(&self, waker: &Waker) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !task.as_ref().is_some_and(|task| task.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }

    /// The connection is about to be polled: whatever woke it until now it will see.
    fn begin(&self) {
        self.state.swap(ATTENDING, AcqRel);
    }

    /// Returns true if it was woken since [`Self::begin`].
    fn has_missed(&self) -> bool {
        self.state.load(Acquire) == MISSED
    }

    /// Ends attention with what a poll returns. If the connection was woken, so is the task.
    fn end<T>(&self, polled: Poll<T>) -> Poll<T> {
        if self.state.swap(AWAY, AcqRel) == MISSED && polled.is_pending() {
            Self::wake_task(&self.task);
        }
        polled
    }

    fn wake_task(task: &Mutex<Option<Waker>>) {
        let task = task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = &*task {
            task.wake_by_ref();
        }
    }
}

impl Wake for Attention {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let missed = self
            .state
            .compare_exchange(ATTENDING, MISSED, AcqRel, Acquire);
        if missed == Err(AWAY) {
            Attention::wake_task(&self.task);
        }
    }
}
