//! The window of a trial, which its users and its timekeeper share.
//!
//! Latency is of the calls that were due within the window, or began in it in a closed loop: a stall
//! that begins at its end still shows. Rate, CPU and bytes are of the replies that came within it,
//! between two snapshots.
//!
//! A window of several parts is opened and closed as often. Between two parts, while other trials have their
//! turn, the users rest; the rate is of the calls that were due then, and CPU and bytes of all those between two moments
//! without calls.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{
            AtomicBool, AtomicU8, AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    thread,
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::timeout};

use crate::{
    outcome::Outcome,
    pacer::Pacer,
    recorder::Times,
    slot::{FIRST, Slot, Stamp},
    spec::{Load, TrialSpec},
    tally::Tally,
    trial::Progress,
    wire,
};

/// Longest rest of a user before goose is asked whether it should stop.
const LONGEST_REST: Duration = Duration::from_millis(100);

/// Shared by the users of one trial.
pub(crate) struct Window {
    epoch: Instant,
    users: usize,
    /// In an open loop, when calls fall due.
    pub(crate) pacer: Option<Pacer>,
    /// Bytes on the connections.
    pub(crate) bytes: Arc<wire::Bytes>,
    /// One for each user.
    pub(crate) slots: Box<[Slot]>,
    started: AtomicUsize,
    /// Replies, and calls that count.
    pub(crate) tally: Tally,
    opened: AtomicU64,
    closed: AtomicU64,
    /// Nanoseconds that it was open, without the part that is.
    measured: AtomicU64,
    /// True while users may begin calls.
    turn: watch::Sender<bool>,
    /// The opposite of `turn`, to be read before each call.
    is_resting: AtomicBool,
    /// True from when the parent was told that the trial rests until it says go.
    is_between_turns: AtomicBool,
    on_rest: OnceLock<Box<dyn Fn() + Send + Sync>>,
    end: AtomicU8,
    is_ending: AtomicBool,
    is_told_to_end: AtomicBool,
    is_over: AtomicBool,
    timekeeper: Mutex<Option<thread::Thread>>,
}

/// A call whose reply has come, or that was given up.
pub(crate) struct Call {
    pub(crate) outcome: Outcome,
    /// When it was due; none in a closed loop.
    pub(crate) due: Option<Instant>,
    /// When its user turned to it, in a closed loop.
    pub(crate) from: Instant,
    /// Just before its first byte.
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
}

/// State of the wait for replies.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum End {
    /// It goes on.
    NotYet,
    /// It was long enough: calls that count and are still open count as bad replies.
    Waited,
    /// It ended because the trial was cut short: calls that are open count for nothing.
    CutShort,
}

impl Window {
    /// The window of the trial that `spec` describes, whose users run on so many threads.
    pub(crate) fn new(spec: &TrialSpec, threads: usize) -> Self {
        let users = spec.shape.users();
        let rests = spec.timing.parts > 1;
        let pacer = match spec.load {
            Load::Closed => None,
            Load::Open { per_second } => Some(Pacer::new(per_second, users)),
        };
        Self {
            epoch: Instant::now(),
            users,
            bytes: Arc::default(),
            slots: (0..users).map(|_| Slot::default()).collect(),
            started: AtomicUsize::new(0),
            tally: Tally::new(pacer.is_some(), threads),
            opened: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            measured: AtomicU64::new(0),
            turn: watch::Sender::new(!rests),
            is_resting: AtomicBool::new(rests),
            is_between_turns: AtomicBool::new(false),
            on_rest: OnceLock::new(),
            end: AtomicU8::new(End::NotYet as u8),
            is_ending: AtomicBool::new(false),
            is_told_to_end: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            timekeeper: Mutex::default(),
            pacer,
        }
    }

    /// `at` as a stamp.
    pub(crate) fn stamp(&self, at: Instant) -> Stamp {
        let since = at.saturating_duration_since(self.epoch).as_nanos();
        u64::try_from(since).unwrap_or(u64::MAX).max(FIRST)
    }

    /// One more user has started. With the last one the warm-up begins, or the trial rests until its turn.
    pub(crate) fn user_started(self: &Arc<Self>) {
        if self.started.fetch_add(1, SeqCst) + 1 < self.users {
            return;
        }
        if self.pacer.is_some() {
            let window = Arc::clone(self);
            tokio::spawn(async move {
                if let Some(pacer) = &window.pacer
                    && let Err(error) = pacer.run().await
                {
                    // The trial ends as one that fell behind.
                    eprintln!("warning: the system gives no timer: {error}");
                }
            });
        }
        self.wake_timekeeper();
    }

    /// Returns true if all users have started.
    pub(crate) fn has_all_users(&self) -> bool {
        self.started.load(SeqCst) >= self.users
    }

    /// Lets users begin calls.
    pub(crate) fn begin_turn(&self) {
        self.is_resting.store(false, SeqCst);
        if let Some(pacer) = &self.pacer {
            pacer.resume();
        }
        self.turn.send_replace(true);
    }

    /// Lets users begin no call until the next turn.
    pub(crate) fn end_turn(&self) {
        self.turn.send_replace(false);
        if let Some(pacer) = &self.pacer {
            pacer.pause();
        }
        self.is_resting.store(true, SeqCst);
    }

    /// Returns true if no call is open, and no more are to begin in this turn.
    pub(crate) fn is_quiet(&self) -> bool {
        let is_taken = self.pacer.as_ref().is_none_or(Pacer::is_taken);
        is_taken && !self.slots.iter().any(|slot| slot.is_busy_before(u64::MAX))
    }

    /// Returns true while users begin no calls.
    pub(crate) fn is_resting(&self) -> bool {
        self.is_resting.load(Relaxed)
    }

    /// Returns true while all users rest and the parent, who was told, has not said go.
    pub(crate) fn is_between_turns(&self) -> bool {
        self.is_between_turns.load(SeqCst)
    }

    /// `tell` is called whenever the trial rests.
    pub(crate) fn on_rest(&self, tell: impl Fn() + Send + Sync + 'static) {
        // There is one parent.
        let _ = self.on_rest.set(Box::new(tell));
    }

    /// Says that the trial rests.
    pub(crate) fn say_resting(&self) {
        self.is_between_turns.store(true, SeqCst);
        if let Some(tell) = self.on_rest.get() {
            tell();
        }
    }

    /// Waits for the turn of this trial. None if that takes long.
    pub(crate) async fn turn(&self) -> Option<()> {
        let mut turn = self.turn.subscribe();
        let turn = turn.wait_for(|has_turn| *has_turn);
        timeout(LONGEST_REST, turn).await.ok()?.ok().map(drop)
    }

    /// The parent says that it is this trial's turn.
    pub(crate) fn tell_to_go(&self) {
        self.is_between_turns.store(false, SeqCst);
        self.wake_timekeeper();
    }

    /// Opens at this moment.
    pub(crate) fn open(&self, at: Instant) {
        // While both are set none counts that began after an earlier part was closed.
        self.opened.store(self.stamp(at), SeqCst);
        self.closed.store(0, SeqCst);
    }

    /// Closes at this moment. Calls that count are waited for.
    pub(crate) fn close(&self, at: Instant) {
        let closed = self.stamp(at);
        self.closed.store(closed, SeqCst);
        self.measured
            .fetch_add(closed - self.opened.load(SeqCst), SeqCst);
    }

    /// Ends the trial as soon as possible.
    pub(crate) fn end_early(&self) {
        self.is_ending.store(true, SeqCst);
        self.wake_timekeeper();
    }

    /// Returns true if the trial is to end as soon as possible.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(SeqCst)
    }

    /// The parent wants the trial to end as soon as possible.
    pub(crate) fn tell_to_end(&self) {
        self.is_told_to_end.store(true, SeqCst);
        self.end_early();
    }

    /// Returns true if the parent wants the trial to end.
    pub(crate) fn is_told_to_end(&self) -> bool {
        self.is_told_to_end.load(SeqCst)
    }

    /// goose has stopped.
    pub(crate) fn set_over(&self) {
        self.is_over.store(true, SeqCst);
        self.end_early();
    }

    /// Returns true if goose has stopped.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(SeqCst)
    }

    /// Names the thread that keeps the time, which sleeps most of it.
    pub(crate) fn set_timekeeper(&self, thread: thread::Thread) {
        *lock(&self.timekeeper) = Some(thread);
    }

    /// Wakes it.
    pub(crate) fn wake_timekeeper(&self) {
        if let Some(thread) = &*lock(&self.timekeeper) {
            thread.unpark();
        }
    }

    /// Waits for no reply any more.
    pub(crate) fn stop_waiting(&self, end: End) {
        self.end.store(end as u8, SeqCst);
        if let Some(pacer) = &self.pacer {
            pacer.stop();
        }
    }

    /// Returns the state of the wait for replies.
    pub(crate) fn end(&self) -> End {
        match self.end.load(Relaxed) {
            0 => End::NotYet,
            1 => End::Waited,
            _ => End::CutShort,
        }
    }

    /// Returns true if a call counts that was due, or began, at `from`.
    fn counts(&self, from: Stamp) -> bool {
        // In this order: of a part that opens meanwhile nothing that was before it counts.
        let closed = self.closed.load(SeqCst);
        let opened = self.opened.load(SeqCst);
        opened != 0 && from >= opened && (closed == 0 || from < closed)
    }

    /// Records a call that has ended, and returns its latency: goose's figures and thresholds stand on
    /// that.
    pub(crate) fn record(&self, call: &Call) -> Duration {
        let times = Times {
            service: call.ended - call.begun,
            response: call.due.map(|due| call.ended - due),
        };
        let counts = self.counts(self.stamp(call.due.unwrap_or(call.from)));
        match self.end() {
            End::NotYet => self.tally.record(call.outcome, times, counts),
            // An open loop knows how many were due.
            End::Waited if counts && self.pacer.is_none() => self.tally.record_unanswered(),
            End::Waited | End::CutShort => {}
        }
        times.latency()
    }

    /// Calls that were due while the window was open; none in a closed loop.
    pub(crate) fn offered(&self, opened: Instant, closed: Instant) -> Option<u64> {
        let pacer = self.pacer.as_ref()?;
        Some(pacer.due_before(closed) - pacer.due_before(opened))
    }

    /// Returns true if each call that counts has its reply. `offered` is the number of calls that were due
    /// while the window was open, if that is known.
    pub(crate) fn is_answered(&self, offered: Option<u64>) -> bool {
        offered.map_or_else(|| self.is_idle(), |offered| self.tally.counted() >= offered)
    }

    /// Returns true if no user has a call open that was due, or began, before the window closed.
    pub(crate) fn is_idle(&self) -> bool {
        let closed = self.closed.load(SeqCst);
        !self.slots.iter().any(|slot| slot.is_busy_before(closed))
    }

    /// Progress of the trial.
    pub(crate) fn progress(&self) -> Progress {
        let opened = self.opened.load(SeqCst);
        let is_open = self.closed.load(SeqCst) == 0;
        let open = match is_open {
            true => self.stamp(Instant::now()).saturating_sub(opened),
            false => 0,
        };
        let measured = Duration::from_nanos(self.measured.load(SeqCst) + open);
        Progress {
            measured_s: (opened != 0).then_some(measured.as_secs_f64()),
            users: self.started.load(Relaxed),
            replies: self.tally.replies().0,
            failures: self.tally.failures(),
        }
    }
}

/// Locks `mutex`, whose value is whole even if a holder has panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
