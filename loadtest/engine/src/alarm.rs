//! A sleep that is more accurate than tokio's, which counts whole milliseconds.

use std::{io, time::Duration};

#[cfg(target_os = "linux")]
pub use linux::Alarm;
#[cfg(not(target_os = "linux"))]
pub use portable::Alarm;

/// Linux has timers that are files: the runtime sleeps on them together with its sockets.
#[cfg(target_os = "linux")]
mod linux {
    use rustix::{
        fd::OwnedFd,
        fs::Timespec,
        time::{
            Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create,
            timerfd_settime,
        },
    };
    use tokio::io::{Interest, unix::AsyncFd};

    use super::{Duration, io};

    /// A timer of the system.
    pub struct Alarm(AsyncFd<OwnedFd>);

    impl Alarm {
        /// Longest time by which a sleep may end late: the time that it takes to wake a sleeping core. On a
        /// shared virtual machine one wake-up in a hundred took longer than 100 µs, which voided half of all
        /// trials with calls 300 µs apart.
        pub const ACCURACY: Duration = Duration::from_millis(1);

        /// A timer of the system.
        pub fn new() -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            #[expect(
                deprecated,
                reason = "its successor is unsafe to call; an OwnedFd keeps what that asks for"
            )]
            let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
            Ok(Self(timer))
        }

        /// Sleeps for `time`, which must be above zero.
        pub async fn sleep(&mut self, time: Duration) -> io::Result<()> {
            let once = Itimerspec {
                it_interval: Timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                },
                it_value: Timespec {
                    tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
                    tv_nsec: time.subsec_nanos().into(),
                },
            };
            timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
            // Setting it again takes back what it had to say, so that it need not be read.
            self.0.readable().await?.clear_ready();
            Ok(())
        }
    }
}

/// Elsewhere tokio's sleep must do, and the pacer is awake for the rest.
#[cfg(not(target_os = "linux"))]
mod portable {
    use super::{Duration, io};

    /// A timer of the runtime.
    pub struct Alarm;

    impl Alarm {
        /// Longest time by which a sleep may end late: tokio rounds up to the next millisecond.
        pub const ACCURACY: Duration = Duration::from_millis(2);

        /// A timer of the runtime.
        pub fn new() -> io::Result<Self> {
            Ok(Self)
        }

        /// Sleeps for `time`.
        pub async fn sleep(&mut self, time: Duration) -> io::Result<()> {
            tokio::time::sleep(time).await;
            Ok(())
        }
    }
}
