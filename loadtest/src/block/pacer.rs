//! The pacer of an open loop: calls begin at a fixed rate, whether or not earlier ones have ended.
//!
//! Call number k (from 0) is due k intervals after the first, and stays due then: a late call moves no later
//! one. Users that are free wait for the next call to fall due. Where all are busy, calls fall due
//! without a user, and the next free one takes the oldest. Its latency counts from the moment it was
//! due, so that a server which stalls cannot hide the calls it kept waiting (coordinated omission:
//! Gil Tene, "How NOT to Measure Latency").

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::{sync::Semaphore, task::yield_now, time::timeout};

use super::recorder::times;
use crate::{alarm::Alarm, usage};

/// A round of the runtime shorter than this found nothing to do: polling the kernel for events
/// takes a microsecond or two, a call reads or writes and takes more.
const EMPTY_ROUND: Duration = Duration::from_micros(4);

/// How long a user waits for a call before goose is asked whether it should stop.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// The most calls that are let go at once after the pacer was held up, so that others get a turn
/// between.
const MOST_AT_ONCE: usize = 10_000;

/// When calls fall due, for all users of one attack.
pub(super) struct Pacer {
    interval: Duration,
    due: Semaphore,
    taken: AtomicU64,
    begun: OnceLock<Instant>,
    /// From when each call was due to when it was let go, in nanoseconds.
    lateness: Mutex<Histogram<u64>>,
    /// How long each thread was kept from sleeping while nothing was to be done.
    spun: Mutex<BTreeMap<i32, Duration>>,
}

impl Pacer {
    /// A pacer of `rate` calls per second, which must be above zero. It rests until [`Self::run`].
    pub(super) fn new(rate: f64) -> Self {
        Self {
            interval: Duration::from_secs_f64(1.0 / rate),
            due: Semaphore::new(0),
            taken: AtomicU64::new(0),
            begun: OnceLock::new(),
            lateness: Mutex::new(times()),
            spun: Mutex::default(),
        }
    }

    /// Lets calls fall due, the first one now, until it is dropped.
    ///
    /// # Errors
    /// When the system gives no timer.
    pub(super) async fn run(&self) -> std::io::Result<()> {
        let mut alarm = Alarm::new()?;
        let begun = *self.begun.get_or_init(Instant::now);
        let mut released = 0_u64;
        loop {
            self.wait_until(&mut alarm, begun + self.after(released))
                .await?;
            let now = begun.elapsed();
            let mut more = 0;
            while self.after(released) <= now && more < MOST_AT_ONCE {
                let late = now - self.after(released);
                let nanos = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
                lock(&self.lateness).saturating_record(nanos);
                released += 1;
                more += 1;
            }
            self.due.add_permits(more);
            if self.after(released) <= begun.elapsed() {
                // Behind: whoever shares this thread must get its turn all the same.
                yield_now().await;
            }
        }
    }

    /// Waits until a call is due, takes the oldest, and says when it was due; none if there was no
    /// call for a while.
    pub(super) async fn turn(&self) -> Option<Instant> {
        match self.due.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(_) => timeout(LONGEST_WAIT, self.due.acquire())
                .await
                .ok()?
                .ok()?
                .forget(),
        }
        let number = self.taken.fetch_add(1, Relaxed);
        Some(*self.begun.get()? + self.after(number))
    }

    /// Calls per second.
    pub(super) fn rate(&self) -> f64 {
        1.0 / self.interval.as_secs_f64()
    }

    /// How many calls were due by now.
    pub(super) fn due(&self) -> u64 {
        let Some(begun) = self.begun.get() else {
            return 0;
        };
        let intervals = begun.elapsed().as_nanos() / self.interval.as_nanos().max(1);
        u64::try_from(intervals).map_or(u64::MAX, |intervals| intervals.saturating_add(1))
    }

    /// Forgets how late calls were until now.
    pub(super) fn forget_lateness(&self) {
        lock(&self.lateness).reset();
    }

    /// How late calls were let go, in nanoseconds.
    pub(super) fn lateness(&self) -> Histogram<u64> {
        lock(&self.lateness).clone()
    }

    /// How long each thread was awake only to wait, by its id.
    pub(super) fn spun(&self) -> BTreeMap<i32, Duration> {
        lock(&self.spun).clone()
    }

    /// When call `number` is due, after the first.
    fn after(&self, number: u64) -> Duration {
        let nanos = self.interval.as_nanos() * u128::from(number);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Sleeps as far as a sleep is accurate, and lets others work for the rest.
    async fn wait_until(&self, alarm: &mut Alarm, due: Instant) -> std::io::Result<()> {
        let early = due.saturating_duration_since(Instant::now());
        if early > Alarm::ACCURACY {
            alarm.sleep(early - Alarm::ACCURACY).await?;
        }
        let (mut now, mut spun) = (Instant::now(), Duration::ZERO);
        while now < due {
            yield_now().await;
            let round = now.elapsed();
            now += round;
            if round < EMPTY_ROUND {
                spun += round;
            }
        }
        *lock(&self.spun).entry(usage::this_thread()).or_default() += spun;
        Ok(())
    }
}

/// What the lock guards is whole even where a holder has panicked.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn started(rate: f64) -> Arc<Pacer> {
        let pacer = Arc::new(Pacer::new(rate));
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
    async fn lateness_is_kept_for_each_call() {
        let pacer = started(1_000.0);
        for _ in 0..20 {
            next(&pacer).await;
        }
        assert!(pacer.lateness().len() >= 20);
        pacer.forget_lateness();
        assert!(pacer.lateness().len() < 20);
    }
}
