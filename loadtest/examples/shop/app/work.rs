//! Work that each side does for a call besides the business, counted: what is measured from outside can be
//! held against it.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// So much CPU time for each call, and what it came to.
#[derive(Debug, Default)]
pub(crate) struct Work {
    per_call: Duration,
    calls: AtomicU64,
    nanoseconds: AtomicU64,
}

/// The work of one side.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Done {
    /// Calls, refused ones included.
    pub(crate) calls: u64,
    /// CPU time of the work, in seconds, all calls together.
    pub(crate) work_cpu_seconds: f64,
}

impl Work {
    /// Work of `per_call` CPU time; zero for none.
    pub(crate) fn new(per_call: Duration) -> Self {
        Self {
            per_call,
            ..Self::default()
        }
    }

    /// Does it once, on this thread: the thread's own clock stands still while another has the core.
    pub(crate) fn once(&self) {
        self.calls.fetch_add(1, Relaxed);
        if self.per_call.is_zero() {
            return;
        }
        let begun = own_cpu();
        let mut done = Duration::ZERO;
        while done < self.per_call {
            done = own_cpu().saturating_sub(begun);
        }
        let done = u64::try_from(done.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(done, Relaxed);
    }

    /// The work so far.
    pub(crate) fn done(&self) -> Done {
        Done {
            calls: self.calls.load(Relaxed),
            work_cpu_seconds: self.nanoseconds.load(Relaxed) as f64 / 1e9,
        }
    }
}

/// CPU time that this thread has taken.
fn own_cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
