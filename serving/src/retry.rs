//! Trying again: only where the server is unavailable or asks for it, a bounded number of times, and not all
//! callers at once.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    client::{CallError, LONGEST_TIMEOUT},
    jitter::jittered,
};

/// Number of retries of a call, and the pause after each failed attempt.
///
/// The pause doubles from attempt to attempt, give or take a fifth, as gRPC's retry design has it
/// (gRFC A6). A call is tried again only if it fails with UNAVAILABLE, a broken connection included, or if
/// the server itself says that it may be (`google.rpc.RetryInfo`), and then not before the time that it
/// says. So use it for calls that may be done twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts after the first.
    pub retries: u32,
    /// Before the first of them.
    pub first_pause: Duration,
    /// Before any of them, the jitter aside.
    pub longest_pause: Duration,
}

impl Default for Retry {
    /// Three within about 0.7 s: enough for a connection that was just told to go away, too little
    /// to make a person wait for a server that does not run.
    fn default() -> Self {
        Self {
            retries: 3,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(1),
        }
    }
}

/// Largest deviation of a pause from its mean, as a share of it: callers that were turned away together do
/// not come back together.
const JITTER: f64 = 0.2;

impl Retry {
    /// The default, with another number of retries.
    pub fn times(retries: u32) -> Self {
        Self {
            retries,
            ..Self::default()
        }
    }

    /// Runs `attempt` until it succeeds, fails for another reason than that the server is
    /// unavailable, or was tried often enough: all attempts and pauses together for `deadline`.
    ///
    /// # Errors
    /// The error of the last attempt; [`CallError::Deadline`] if the deadline cut it off.
    pub async fn run<T, F>(
        self,
        deadline: Duration,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let end = Instant::now() + deadline.min(LONGEST_TIMEOUT);
        let mut pause = self.first_pause.min(self.longest_pause);
        let mut retried = 0;
        loop {
            let result = timeout_at(end, attempt()).await;
            let result = result.unwrap_or(Err(CallError::Deadline { deadline }));
            let result =
                result.map_err(
                    |error| match error.may_be_a_cut() && Instant::now() >= end {
                        true => CallError::Deadline { deadline },
                        false => error,
                    },
                );
            let error = match result {
                Err(error) if retried < self.retries => error,
                result => return result,
            };
            let next = match error.retry_after() {
                Some(asked) => Instant::now().checked_add(asked),
                None if error.is_unavailable() => Some(Instant::now()),
                None => return Err(error),
            };
            // Nobody comes before the time that the server asked for.
            let spread = jittered(pause, JITTER);
            let next = next.and_then(|next| next.checked_add(spread));
            match next.filter(|next| *next < end) {
                Some(next) => sleep_until(next).await,
                // Where the pause does not fit, what happened says more than that the time is over.
                None => return Err(error),
            }
            retried += 1;
            pause = (pause * 2).min(self.longest_pause);
        }
    }
}
