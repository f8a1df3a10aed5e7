//! Work that is added to every call on purpose, and counted: what the load test says of the server's
//! CPU can be held against it.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use engine::usage::own_cpu_of_this_thread;

/// So much CPU time for each call, and what it came to.
#[derive(Debug, Default)]
pub(crate) struct Work {
    per_call: Duration,
    calls: AtomicU64,
    cpu_ns: AtomicU64,
}

impl Work {
    /// Work of `cpu_ns` for each call. The clock is read even if that is 0, so that a server without
    /// the work differs from one with it in nothing else.
    pub(crate) fn new(cpu_ns: u64) -> Self {
        Self {
            per_call: Duration::from_nanos(cpu_ns),
            ..Self::default()
        }
    }

    /// Does it once. The thread's own CPU clock says how much was done: time in which the thread did
    /// not run is not counted, as it is not counted in the server's CPU.
    pub(crate) fn add(&self) {
        let begun = own_cpu_of_this_thread();
        let mut done = own_cpu_of_this_thread() - begun;
        while done < self.per_call {
            done = own_cpu_of_this_thread() - begun;
        }
        self.calls.fetch_add(1, Relaxed);
        let done = u64::try_from(done.as_nanos()).unwrap_or(u64::MAX);
        self.cpu_ns.fetch_add(done, Relaxed);
    }

    /// Calls, and the CPU time in nanoseconds that was added to all of them together.
    pub(crate) fn done(&self) -> (u64, u64) {
        (self.calls.load(Relaxed), self.cpu_ns.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_what_the_thread_took() {
        let work = Work::new(1_000_000);
        let begun = own_cpu_of_this_thread();
        for _ in 0..20 {
            work.add();
        }
        let took = (own_cpu_of_this_thread() - begun).as_nanos();
        let (calls, counted) = work.done();
        assert_eq!(calls, 20);
        // Between two calls there is nothing but the counting.
        assert!(
            (20_000_000..=took).contains(&u128::from(counted)),
            "{counted} of {took}"
        );
        assert!(counted as f64 >= 0.9 * took as f64, "{counted} of {took}");
    }

    #[test]
    fn no_work_is_next_to_none_and_the_calls_are_counted() {
        let work = Work::new(0);
        work.add();
        let (calls, counted) = work.done();
        assert_eq!(calls, 1);
        assert!(counted < 1_000_000, "{counted}");
    }
}
