//! The stretch of an attack that counts: from [`WARM_UP`] after the last user has started until the
//! first of them stops. What comes before is warm-up, what comes after is fewer users than asked for.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{Progress, recorder::Recorder};
use crate::usage;

/// How long the users call before it counts, once all have started: caches fill, and the kernel
/// spreads the threads over the cores.
pub(super) const WARM_UP: Duration = Duration::from_secs(1);

/// Shared by the users of one attack.
pub(super) struct Window {
    users: usize,
    server: Vec<u32>,
    started: AtomicUsize,
    answers: AtomicU64,
    failures: AtomicU64,
    connections: AtomicU64,
    opened: OnceLock<Moment>,
    closed: OnceLock<Moment>,
    at_rest: Option<u64>,
    abandoned: AtomicBool,
    sink: Mutex<Recorder>,
}

/// A moment, and what the processes had taken of the machine until then.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Instant,
    pub(super) own_cpu: Duration,
    pub(super) server: Option<usage::Usage>,
}

impl Window {
    /// A window that opens when `users` have started.
    pub(super) fn new(users: usize, server: Vec<u32>) -> Self {
        Self {
            users,
            at_rest: usage::of_processes(&server).map(|usage| usage.memory),
            abandoned: AtomicBool::new(false),
            server,
            started: AtomicUsize::new(0),
            answers: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            opened: OnceLock::new(),
            closed: OnceLock::new(),
            sink: Mutex::new(Recorder::new()),
        }
    }

    /// One more user has started; after the last one and the warm-up the window opens.
    pub(super) fn user_started(self: &Arc<Self>) {
        if self.started.fetch_add(1, Relaxed) + 1 == self.users {
            let window = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(WARM_UP).await;
                window.open();
            });
        }
    }

    fn open(&self) {
        self.opened.get_or_init(|| self.now());
    }

    /// The calls that are open are about to be broken off, by this side: they count for nothing.
    pub(super) fn abandon(&self) {
        self.close();
        self.abandoned.store(true, Relaxed);
    }

    /// Whether what ends now still counts.
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Relaxed)
    }

    fn close(&self) {
        if self.opened.get().is_some() {
            self.closed.get_or_init(|| self.now());
        }
    }

    /// A user stops; the first one closes the window. What it recorded is taken over.
    pub(super) fn user_stopped(&self, recorder: &Recorder) {
        if self.opened.get().is_some() {
            self.closed.get_or_init(|| self.now());
        }
        self.sink
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(recorder);
    }

    /// Where in the window `now` lies, if it does.
    pub(super) fn position(&self, now: Instant) -> Option<Duration> {
        let opened = self.opened.get()?;
        match self.closed.get() {
            Some(closed) if now > closed.at => None,
            _ => now.checked_duration_since(opened.at),
        }
    }

    /// Counts an answer, for the progress.
    pub(super) fn count(&self, ok: bool) {
        self.answers.fetch_add(1, Relaxed);
        if !ok {
            self.failures.fetch_add(1, Relaxed);
        }
    }

    /// Counts a connection that was opened.
    pub(super) fn count_connection(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    /// How far the attack is.
    pub(super) fn progress(&self) -> Progress {
        Progress {
            measured: self
                .opened
                .get()
                .map(|opened| opened.at.elapsed().as_secs_f64()),
            users: self.started.load(Relaxed),
            answers: self.answers.load(Relaxed),
            failures: self.failures.load(Relaxed),
        }
    }

    /// When it opened and closed, if it did both.
    pub(super) fn bounds(&self) -> Option<(Moment, Moment)> {
        Some((*self.opened.get()?, *self.closed.get()?))
    }

    /// Connections opened so far.
    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    /// The server's processes, and their memory in bytes before the first call.
    pub(super) fn server_at_rest(&self) -> Option<(Vec<u32>, u64)> {
        Some((self.server.clone(), self.at_rest?))
    }

    /// Everything that the users recorded until they stopped.
    pub(super) fn recorded(&self) -> std::sync::MutexGuard<'_, Recorder> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        Moment {
            at: Instant::now(),
            own_cpu: usage::own_cpu(),
            server: usage::of_processes(&self.server),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_opens_a_moment_after_the_last_user_started_and_closes_with_the_first_that_stops() {
        let window = Arc::new(Window::new(2, Vec::new()));
        window.user_started();
        tokio::time::sleep(2 * WARM_UP).await;
        assert!(
            window.position(Instant::now()).is_none(),
            "one user is missing"
        );
        window.user_started();
        assert!(
            window.position(Instant::now()).is_none(),
            "it is warming up"
        );
        tokio::time::sleep(2 * WARM_UP).await;
        assert!(window.position(Instant::now()).is_some());
        window.user_stopped(&Recorder::new());
        let late = Instant::now() + Duration::from_secs(1);
        assert!(window.position(late).is_none());
        assert!(window.bounds().is_some());
    }

    #[test]
    fn a_user_that_stops_before_it_opened_leaves_no_bounds() {
        let window = Window::new(2, Vec::new());
        window.user_stopped(&Recorder::new());
        assert!(window.bounds().is_none());
    }
}
