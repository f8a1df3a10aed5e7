//! The pacer of an open loop: calls fall due at a fixed rate, whether or not earlier ones have ended.
//!
//! Call number k (from 0) is due k intervals after the first, and stays due then: a late call moves no later
//! one. Users that are free wait for the next call to fall due. Where all are busy, calls fall due
//! without a user, and the next free one takes the oldest. Its latency counts from the moment it was
//! due, so that a server which stalls cannot hide the calls it kept waiting (coordinated omission:
//! Gil Tene, "How NOT to Measure Latency").
//!
//! A pacer that was paused lets none fall due until it goes on; the next call is then due at once.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::{
    sync::{Notify, Semaphore, TryAcquireError},
    task::yield_now,
    time::{sleep, timeout},
};

use crate::{alarm::Alarm, recorder::times, usage};

/// A round of the runtime shorter than this found nothing to do: polling the kernel for events
/// takes a microsecond or two, a call reads or writes and takes more.
const EMPTY_ROUND: Duration = Duration::from_micros(4);

/// Longest wait of a user for a call before goose is asked whether it should stop.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// The most calls that are let go at once after the pacer was held up, so that others get a turn
/// between.
const MOST_AT_ONCE: u64 = 10_000;

/// When calls fall due, for all users of one attack.
pub(crate) struct Pacer {
    interval: Duration,
    due: Semaphore,
    /// True if a user waits so long for a call that goose must be asked in between.
    is_slow: bool,
    /// Calls that users have taken.
    taken: AtomicU64,
    /// Calls that were let go.
    released: AtomicU64,
    created: Instant,
    /// The time at which call number `first` is due, in nanoseconds since it was created; 0 before the first of all.
    begun: AtomicU64,
    first: AtomicU64,
    is_paused: AtomicBool,
    resumed: Notify,
    /// From when each call was due to when it was let go, in nanoseconds.
    delay: Mutex<Histogram<u64>>,
    /// Time that each thread was kept from sleeping while nothing was to be done.
    spun: Mutex<BTreeMap<i32, Duration>>,
}

impl Pacer {
    /// A pacer of `rate` calls per second, which must be above zero, for so many users. It rests until
    /// [`Self::resume`].
    pub(crate) fn new(rate: f64, users: usize) -> Self {
        let interval = Duration::from_secs_f64(1.0 / rate);
        Self {
            interval,
            due: Semaphore::new(0),
            is_slow: interval.mul_f64(users as f64) > LONGEST_WAIT,
            taken: AtomicU64::new(0),
            released: AtomicU64::new(0),
            created: Instant::now(),
            begun: AtomicU64::new(0),
            first: AtomicU64::new(0),
            is_paused: AtomicBool::new(true),
            resumed: Notify::new(),
            delay: Mutex::new(times()),
            spun: Mutex::default(),
        }
    }

    /// Lets calls fall due while it is not paused, until it is dropped.
    ///
    /// # Errors
    /// When the system gives no timer. No call falls due any more.
    pub(crate) async fn run(&self) -> std::io::Result<()> {
        let mut alarm = Alarm::new()?;
        loop {
            while self.is_paused() {
                self.resumed.notified().await;
            }
            let next = self.released.load(SeqCst);
            if self.wait_for(&mut alarm, next).await? {
                self.release();
                if self.due_at(self.released.load(SeqCst)) <= Instant::now() {
                    // Behind: whoever shares this thread must get its turn all the same.
                    yield_now().await;
                }
            }
        }
    }

    /// Goes on: the next call is due now. Every earlier one must have been taken.
    pub(crate) fn resume(&self) {
        let _released = lock(&self.delay);
        self.first.store(self.released.load(SeqCst), SeqCst);
        self.begun
            .store(nanos(self.created.elapsed()).max(1), SeqCst);
        self.is_paused.store(false, SeqCst);
        self.resumed.notify_one();
    }

    /// Lets no call fall due until it goes on.
    pub(crate) fn pause(&self) {
        // None is let go while this is held, nor after it.
        let _released = lock(&self.delay);
        self.is_paused.store(true, SeqCst);
    }

    /// Returns true if every call that was let go has been taken.
    pub(crate) fn is_taken(&self) -> bool {
        self.taken.load(SeqCst) >= self.released.load(SeqCst)
    }

    fn is_paused(&self) -> bool {
        self.is_paused.load(SeqCst)
    }

    /// Lets the calls go that are due by now.
    fn release(&self) {
        let mut delay = lock(&self.delay);
        if self.is_paused() {
            return;
        }
        let (now, released) = (Instant::now(), self.released.load(SeqCst));
        let mut next = released;
        while self.due_at(next) <= now && next - released < MOST_AT_ONCE {
            delay.saturating_record(nanos(now - self.due_at(next)));
            next += 1;
        }
        self.released.store(next, SeqCst);
        self.due
            .add_permits(usize::try_from(next - released).unwrap_or(usize::MAX));
    }

    /// Waits until a call is due, takes the oldest, and says when it was due; none if there was no
    /// call for a while, or there will be none any more.
    pub(crate) async fn turn(&self) -> Option<Instant> {
        match self.due.try_acquire() {
            Ok(permit) => permit.forget(),
            // A timer of the runtime for each call would cost as much as the wait.
            Err(TryAcquireError::NoPermits) if !self.is_slow => {
                self.due.acquire().await.ok()?.forget();
            }
            Err(TryAcquireError::NoPermits) => timeout(LONGEST_WAIT, self.due.acquire())
                .await
                .ok()?
                .ok()?
                .forget(),
            Err(TryAcquireError::Closed) => {
                sleep(LONGEST_WAIT).await;
                return None;
            }
        }
        let number = self.taken.fetch_add(1, Relaxed);
        Some(self.due_at(number))
    }

    /// Lets no call fall due any more, so that users that wait for one can stop.
    pub(crate) fn stop(&self) {
        self.due.close();
    }

    /// Number of calls that were due before `end`, which lies in no earlier turn.
    pub(crate) fn due_before(&self, end: Instant) -> u64 {
        let first = self.first.load(SeqCst);
        let begun = self.begun.load(SeqCst);
        if begun == 0 {
            return 0;
        }
        let begun = self.created + Duration::from_nanos(begun);
        let Some(time) = end.checked_duration_since(begun) else {
            return first;
        };
        let intervals = time.as_nanos().div_ceil(self.interval.as_nanos().max(1));
        first.saturating_add(u64::try_from(intervals).unwrap_or(u64::MAX))
    }

    /// Forgets the dispatch delays until now.
    pub(crate) fn forget_delays(&self) {
        lock(&self.delay).reset();
    }

    /// The dispatch delays, in nanoseconds.
    pub(crate) fn delays(&self) -> Histogram<u64> {
        lock(&self.delay).clone()
    }

    /// Time that each thread was awake only to wait, by its id.
    pub(crate) fn spun(&self) -> BTreeMap<i32, Duration> {
        lock(&self.spun).clone()
    }

    /// The time at which call `number` is due.
    fn due_at(&self, number: u64) -> Instant {
        let after = number.saturating_sub(self.first.load(SeqCst));
        let nanos = self.interval.as_nanos() * u128::from(after);
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        self.created + Duration::from_nanos(self.begun.load(SeqCst).saturating_add(nanos))
    }

    /// Waits until call `number` is due: sleeps as far as a sleep is accurate, and lets others work for the rest.
    /// Returns false if it was paused, or went on, meanwhile.
    async fn wait_for(&self, alarm: &mut Alarm, number: u64) -> std::io::Result<bool> {
        // In this order: who goes on between the two is noticed.
        let begun = self.begun.load(SeqCst);
        let due = self.due_at(number);
        loop {
            let early = due.saturating_duration_since(Instant::now());
            let Some(early) = early
                .checked_sub(Alarm::ACCURACY)
                .filter(|early| !early.is_zero())
            else {
                break;
            };
            tokio::select! {
                slept = alarm.sleep(early.min(LONGEST_WAIT)) => slept?,
                () = self.resumed.notified() => {}
            }
            if self.is_paused() || self.begun.load(SeqCst) != begun {
                return Ok(false);
            }
        }
        let mut now = Instant::now();
        while now < due {
            let thread = usage::this_thread();
            yield_now().await;
            let round = now.elapsed();
            now += round;
            self.credit(thread, usage::this_thread(), round);
        }
        Ok(true)
    }

    /// Credits a round to the thread that spun. A round that began on another thread than it ended on
    /// was spent on neither for sure.
    fn credit(&self, began_on: i32, ended_on: i32, round: Duration) {
        if round < EMPTY_ROUND && began_on == ended_on {
            *lock(&self.spun).entry(ended_on).or_default() += round;
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Locks `mutex`, whose value is whole even if a holder has panicked.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn started(rate: f64) -> Arc<Pacer> {
        let pacer = Arc::new(Pacer::new(rate, 1));
        pacer.resume();
        let running = Arc::clone(&pacer);
        tokio::spawn(async move { running.run().await });
        pacer
    }

    /// The next call that is due, however long the machine takes to say so.
    async fn next(pacer: &Pacer) -> Instant {
        loop {
            if let Some(due) = pacer.turn().await {
                return due;
            }
        }
    }

    #[tokio::test]
    async fn calls_are_due_at_even_distances_and_never_let_go_before() {
        let pacer = started(2_000.0);
        let mut last = None;
        for _ in 0..100 {
            let due = next(&pacer).await;
            assert!(due <= Instant::now(), "before its time");
            if let Some(last) = last.replace(due) {
                assert_eq!(due - last, Duration::from_micros(500));
            }
        }
    }

    #[tokio::test]
    async fn a_user_that_comes_late_gets_the_calls_it_missed_with_the_times_they_were_due() {
        let pacer = started(1_000.0);
        let first = next(&pacer).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        for number in 1..=50 {
            let due = next(&pacer).await;
            assert_eq!(due - first, Duration::from_millis(number));
        }
    }

    #[tokio::test]
    async fn where_no_call_is_due_for_long_the_user_may_look_around() {
        let pacer = started(0.01);
        next(&pacer).await; // The first one is due at once.
        assert!(pacer.turn().await.is_none());
    }

    #[tokio::test]
    async fn dispatch_delay_is_kept_for_each_call() {
        let pacer = started(1_000.0);
        for _ in 0..20 {
            next(&pacer).await;
        }
        assert!(pacer.delays().len() >= 20);
        pacer.forget_delays();
        assert!(pacer.delays().len() < 20);
    }

    #[tokio::test]
    async fn a_call_that_is_due_at_the_end_is_due_after_it() {
        let pacer = started(1_000.0);
        let first = next(&pacer).await;
        for (micros, due) in [(0, 0), (1, 1), (1_000, 1), (1_001, 2), (10_000, 10)] {
            let end = first + Duration::from_micros(micros);
            assert_eq!(pacer.due_before(end), due, "{micros} µs");
        }
        assert_eq!(pacer.due_before(first - Duration::from_micros(1)), 0);
    }

    #[tokio::test]
    async fn while_it_is_paused_no_call_falls_due_and_the_next_one_is_due_when_it_goes_on() {
        let pacer = started(1_000.0);
        let first = next(&pacer).await;
        pacer.pause();
        let mut taken = 1;
        while !pacer.is_taken() {
            next(&pacer).await;
            taken += 1;
        }
        let paused = Instant::now();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(pacer.due.try_acquire().is_err(), "a call fell due");
        let resumed = Instant::now();
        pacer.resume();
        let due = next(&pacer).await;
        assert!(due >= resumed && resumed > paused && paused >= first);
        assert_eq!(next(&pacer).await - due, Duration::from_millis(1));
        assert_eq!(pacer.due_before(due), taken);
        assert_eq!(
            pacer.due_before(due + Duration::from_micros(1_500)),
            taken + 2
        );
    }

    #[tokio::test]
    async fn a_pacer_that_was_stopped_lets_its_users_go() {
        let pacer = Pacer::new(1_000.0, 1);
        let (waiting, ()) = tokio::join!(pacer.turn(), async { pacer.stop() });
        assert!(waiting.is_none());
        assert!(pacer.turn().await.is_none());
    }

    #[test]
    fn a_round_of_spinning_counts_for_the_thread_that_spun() {
        let pacer = Pacer::new(1.0, 1);
        let micros = Duration::from_micros;
        pacer.credit(1, 1, micros(2));
        pacer.credit(1, 1, micros(1));
        pacer.credit(2, 2, micros(3));
        // It went on elsewhere, or did something in between.
        pacer.credit(1, 2, micros(2));
        pacer.credit(2, 2, micros(100));
        assert_eq!(
            pacer.spun(),
            BTreeMap::from([(1, micros(3)), (2, micros(3))])
        );
    }
}
