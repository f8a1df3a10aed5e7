//! The stretch of an attack that counts: it opens when all users have started and warmed up, and
//! closes after its length, or earlier where a user stops.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use serving::CancellationToken;

use super::{Progress, Spec, pacer::Pacer, recorder::Recorder, wire};
use crate::{record::Load, usage};

/// Shared by the users of one attack.
pub(super) struct Window {
    users: usize,
    warm_up: Duration,
    length: Duration,
    server: Vec<u32>,
    /// Those that the server and the generator run on.
    pub(super) cores: BTreeSet<usize>,
    /// In an open loop, when calls fall due.
    pub(super) pacer: Option<Pacer>,
    /// What goes over the connections.
    pub(super) bytes: Arc<wire::Bytes>,
    started: AtomicUsize,
    answers: AtomicU64,
    failures: AtomicU64,
    opened: OnceLock<Moment>,
    closed: OnceLock<Moment>,
    at_rest_kib: Option<u64>,
    abandoned: AtomicBool,
    /// Cancelled when it has been open for its whole length.
    over: CancellationToken,
    sink: Mutex<Recorder>,
}

/// A moment, and what had been taken of the machine until then.
#[derive(Clone)]
pub(super) struct Moment {
    pub(super) at: Instant,
    pub(super) since_1970: Duration,
    pub(super) own_cpu: Duration,
    pub(super) own: Option<usage::Usage>,
    pub(super) server: Option<usage::Usage>,
    /// What was taken of those cores.
    pub(super) taken: Option<usage::Taken>,
    /// Bytes sent and received.
    pub(super) bytes: (u64, u64),
    /// How long each thread was awake only to wait.
    pub(super) spun: BTreeMap<i32, Duration>,
    /// How late calls were let go since the window opened, in nanoseconds: the 99th percentile.
    pub(super) lateness_p99: Option<u64>,
    /// Calls that were due, and whose answers had not come; none in a closed loop.
    pub(super) unanswered: Option<u64>,
}

impl Window {
    /// The window of the block that `spec` asks for.
    pub(super) fn new(spec: &Spec) -> Self {
        let pacer = match spec.planned.load {
            Load::Closed => None,
            Load::Open { per_second } => Some(Pacer::new(per_second)),
        };
        Self {
            users: spec.planned.users(),
            warm_up: Duration::from_micros(spec.warm_up_us),
            length: Duration::from_micros(spec.window_us),
            at_rest_kib: usage::of_processes(&spec.server).map(|usage| usage.memory_kib),
            abandoned: AtomicBool::new(false),
            over: CancellationToken::new(),
            server: spec.server.clone(),
            cores: usage::cores_of(&[&spec.server[..], &[std::process::id()]].concat()),
            bytes: Arc::default(),
            started: AtomicUsize::new(0),
            answers: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            opened: OnceLock::new(),
            closed: OnceLock::new(),
            sink: Mutex::new(Recorder::new(pacer.is_some())),
            pacer,
        }
    }

    /// One more user has started. With the last one the warm-up begins.
    pub(super) fn user_started(self: &Arc<Self>) {
        if self.started.fetch_add(1, Relaxed) + 1 < self.users {
            return;
        }
        let window = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(window.warm_up).await;
            window.open();
            tokio::time::sleep(window.length).await;
            window.close();
            window.over.cancel();
        });
        if self.pacer.is_some() {
            let window = Arc::clone(self);
            tokio::spawn(async move {
                if let Some(pacer) = &window.pacer
                    && let Err(error) = pacer.run().await
                {
                    // No call falls due any more, and the block ends as one that fell behind.
                    eprintln!("warning: the system gives no timer: {error}");
                }
            });
        }
    }

    fn open(&self) {
        if let Some(pacer) = &self.pacer {
            pacer.forget_lateness();
        }
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

    /// A user stops; the first one closes the window at the latest. What it recorded is taken over.
    pub(super) fn user_stopped(&self, recorder: &Recorder) {
        self.close();
        self.sink
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(recorder);
    }

    /// Whether `now` lies in it.
    pub(super) fn contains(&self, now: Instant) -> bool {
        let opened = self.opened.get().is_some_and(|opened| now >= opened.at);
        opened && self.closed.get().is_none_or(|closed| now <= closed.at)
    }

    /// Counts an answer, for the progress.
    pub(super) fn count(&self, ok: bool) {
        self.answers.fetch_add(1, Relaxed);
        if !ok {
            self.failures.fetch_add(1, Relaxed);
        }
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
    pub(super) fn bounds(&self) -> Option<(&Moment, &Moment)> {
        Some((self.opened.get()?, self.closed.get()?))
    }

    /// Whether it was open for its whole length.
    pub(super) fn is_whole(&self) -> bool {
        self.bounds()
            .is_some_and(|(opened, closed)| closed.at - opened.at >= self.length)
    }

    /// Ends when it has been open for its whole length.
    pub(super) async fn over(&self) {
        self.over.cancelled().await;
    }

    /// The memory of the server in KiB before the first call.
    pub(super) fn server_at_rest_kib(&self) -> Option<u64> {
        self.at_rest_kib
    }

    /// Everything that the users recorded until they stopped.
    pub(super) fn recorded(&self) -> std::sync::MutexGuard<'_, Recorder> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        let own_cpu = usage::own_cpu();
        Moment {
            own: usage::of_processes(&[std::process::id()]),
            server: usage::of_processes(&self.server),
            own_cpu,
            taken: usage::taken(&self.cores),
            bytes: self.bytes.now(),
            spun: self.pacer.as_ref().map(Pacer::spun).unwrap_or_default(),
            lateness_p99: self
                .pacer
                .as_ref()
                .map(|pacer| pacer.lateness().value_at_quantile(0.99)),
            since_1970: SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default(),
            unanswered: self
                .pacer
                .as_ref()
                .map(|pacer| pacer.due().saturating_sub(self.answers.load(Relaxed))),
            at: Instant::now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> Arc<Window> {
        Arc::new(Window::new(&Spec {
            warm_up_us: 1_000_000,
            window_us: 5_000_000,
            ..Spec::example(2)
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_when_the_last_user_has_warmed_up_and_closes_with_the_first_that_stops() {
        let window = window();
        window.user_started();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(!window.contains(Instant::now()), "one user is missing");
        window.user_started();
        assert!(!window.contains(Instant::now()), "it is warming up");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(window.contains(Instant::now()));
        window.user_stopped(&Recorder::new(false));
        let late = Instant::now() + Duration::from_secs(1);
        assert!(!window.contains(late));
        assert!(window.bounds().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn it_closes_after_its_length() {
        let window = window();
        window.user_started();
        window.user_started();
        tokio::time::sleep(Duration::from_secs(7)).await;
        assert!(window.bounds().is_some());
    }

    #[test]
    fn a_user_that_stops_before_it_opened_leaves_no_bounds() {
        let window = window();
        window.user_stopped(&Recorder::new(false));
        assert!(window.bounds().is_none());
    }
}
