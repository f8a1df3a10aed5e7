//! The stretch of an attack that counts: from the moment every user has started until the first of
//! them stops. What comes before is warm-up, what comes after is fewer users than asked for.

use std::{
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{Progress, recorder::Recorder};
use crate::usage;

/// Shared by the users of one attack.
pub(super) struct Window {
    users: usize,
    server: Option<u32>,
    started: AtomicUsize,
    answers: AtomicU64,
    failures: AtomicU64,
    connections: AtomicU64,
    opened: OnceLock<Moment>,
    closed: OnceLock<Moment>,
    at_rest: Option<u64>,
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
    pub(super) fn new(users: usize, server: Option<u32>) -> Self {
        Self {
            users,
            server,
            started: AtomicUsize::new(0),
            answers: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            opened: OnceLock::new(),
            closed: OnceLock::new(),
            at_rest: server.and_then(usage::of_process).map(|usage| usage.memory),
            sink: Mutex::new(Recorder::new()),
        }
    }

    /// One more user has started; the last one opens the window.
    pub(super) fn user_started(&self) {
        if self.started.fetch_add(1, Relaxed) + 1 == self.users {
            self.opened.get_or_init(|| self.now());
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

    /// The server's process, and its memory in bytes before the first call.
    pub(super) fn server_at_rest(&self) -> Option<(u32, u64)> {
        Some((self.server?, self.at_rest?))
    }

    /// Everything that the users recorded until they stopped.
    pub(super) fn recorded(&self) -> std::sync::MutexGuard<'_, Recorder> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        Moment {
            at: Instant::now(),
            own_cpu: usage::own_cpu(),
            server: self.server.and_then(usage::of_process),
        }
    }
}
