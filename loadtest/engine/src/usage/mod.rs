//! Use of this machine by processes: CPU time and memory.

mod accounts;
pub mod control_group;
#[cfg(target_os = "linux")]
mod conversations;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod sockets;

use std::{collections::BTreeMap, time::Duration};

use rustix::time::{ClockId, clock_gettime};

use crate::measurement::CpuSource;

pub use accounts::Accounts;
#[cfg(target_os = "linux")]
pub(crate) use conversations::{Conversations, Talk};
#[cfg(not(target_os = "linux"))]
pub use elsewhere::*;
#[cfg(target_os = "linux")]
use linux::of_ended_children;
#[cfg(target_os = "linux")]
pub use linux::{
    cores, cores_of, family, name_of, of_processes, own_peak_memory_kib, pin, taken, this_thread,
};
#[cfg(target_os = "linux")]
pub use sockets::listening_processes;

/// The CPU time that this process has taken, all threads together.
pub fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// The CPU time that the calling thread has taken.
pub fn own_cpu_of_this_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Lets this process open as many files as it may: each user holds a connection, and common soft limits
/// are as low as 256.
pub fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it is refused, users that get no connection say so.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Time that the kernel's ticks may tell beyond its threads before threads are missing: two ticks, as both
/// ends are rounded, and a part for what runs while one is read after the other.
const TICKS_AHEAD: Duration = Duration::from_millis(20);
const PART_AHEAD: f64 = 0.02;

/// Time of some cores, in the kernel's ticks of 10 ms.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taken {
    /// All of it.
    pub all: u64,
    /// Time of programs, without interrupts: some kernels charge them to the program that runs, and some to
    /// none.
    pub busy: u64,
    /// Time that the hypervisor took.
    pub stolen: u64,
}

/// The use that processes and control groups make of the machine at one moment.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// CPU time since they began, all threads together. The kernel counts in ticks of 10 ms.
    ticks: Duration,
    /// CPU time of each thread that lives, to the nanosecond, where the kernel tells.
    threads: BTreeMap<i32, Duration>,
    /// CPU time of control groups, which the kernel counts in microseconds; none without any.
    counted: Option<Duration>,
    /// Resident memory in KiB.
    pub memory_kib: u64,
}

impl Usage {
    /// The CPU time that was taken since `before`, and who counted it; none where it is not of the
    /// same processes.
    pub fn cpu_since(&self, before: &Self) -> Option<(Duration, CpuSource)> {
        let counted = match (self.counted, before.counted) {
            (Some(after), Some(before)) => Some(after.checked_sub(before)?),
            _ => None,
        };
        let is_of_groups_alone = self.ticks.is_zero() && self.threads.is_empty();
        match (counted, self.cpu_of_processes_since(before)?) {
            (Some(counted), _) if is_of_groups_alone => Some((counted, CpuSource::ControlGroup)),
            (Some(counted), (cpu, source)) => {
                Some((counted + cpu, source.max(CpuSource::ControlGroup)))
            }
            (None, processes) => Some(processes),
        }
    }

    fn cpu_of_processes_since(&self, before: &Self) -> Option<(Duration, CpuSource)> {
        // Ticks count threads that have ended too.
        let ticks = self.ticks.checked_sub(before.ticks)?;
        let told = self.threads.values().any(|time| !time.is_zero());
        let live_on = |id: &i32| self.threads.contains_key(id);
        let threads: Duration = self.threads_since(before).values().sum();
        // Those that began and ended in between are seen by neither end.
        let all = ticks <= threads + TICKS_AHEAD + threads.mul_f64(PART_AHEAD);
        if told && all && before.threads.keys().all(live_on) {
            return Some((threads, CpuSource::Scheduler));
        }
        Some((ticks, CpuSource::Ticks))
    }

    /// The CPU time that each thread took since `before`.
    pub fn threads_since(&self, before: &Self) -> BTreeMap<i32, Duration> {
        let since = |(id, now): (&i32, &Duration)| {
            let then = before.threads.get(id).copied().unwrap_or_default();
            (*id, now.saturating_sub(then))
        };
        self.threads.iter().map(since).collect()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_was_taken_is_told_of_the_cores_that_are_asked_for() {
        let own = cores_of(&[std::process::id()]);
        assert_eq!(own, cores().into_iter().collect());
        // Time goes on between the two.
        let one = taken(&own.first().copied().into_iter().collect()).unwrap();
        let all = taken(&own).unwrap();
        assert!(
            one.all <= all.all && (own.len() < 2 || one.all < all.all),
            "{one:?} of {all:?}"
        );
        assert!(one.stolen <= all.stolen && one.busy <= all.busy);
        assert!(all.stolen + all.busy <= all.all);
        assert!(taken(&BTreeSet::new()).is_none());
    }

    #[test]
    fn a_process_that_has_ended_has_no_use() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        assert!(of_processes(&[std::process::id()]).is_some());
        assert!(of_processes(&[]).is_none());
        child.wait().unwrap();
        assert!(of_processes(&[std::process::id(), pid]).is_none());
    }

    #[test]
    fn the_cpu_time_of_a_busy_thread_is_seen_as_its_own() {
        let own = [std::process::id()];
        let before = of_processes(&own).unwrap();
        let begun = std::time::Instant::now();
        while own_cpu_of_this_thread() < Duration::from_millis(100) {
            assert!(begun.elapsed() < Duration::from_secs(30));
        }
        let after = of_processes(&own).unwrap();
        let mine = after.threads_since(&before)[&this_thread()];
        assert!(mine >= Duration::from_millis(50), "{mine:?}");
    }

    #[test]
    fn a_family_is_a_process_with_what_it_started_and_none_that_it_did_not() {
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .unwrap();
        let own = std::process::id();
        let members = family(own);
        let accounts = Accounts {
            families: vec![child.id()],
            ..Accounts::default()
        };
        let (of_child, used) = (accounts.members(), accounts.read());
        let child_id = child.id();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(members.contains(&own) && members.contains(&child_id));
        assert_eq!(of_child, [child_id]);
        assert!(used.is_some() && accounts.read().is_none());
    }

    #[test]
    fn a_control_group_is_found_by_its_name_and_counts_for_itself() {
        assert!(control_group::find("/no/such/group".as_ref()).is_none());
        let Some(root) = control_group::find("/".as_ref()) else {
            // No version 2 here.
            return;
        };
        let accounts = Accounts {
            control_groups: vec![root],
            ..Accounts::default()
        };
        let before = accounts.read().unwrap();
        let (_, source) = accounts.read().unwrap().cpu_since(&before).unwrap();
        assert_eq!(source, CpuSource::ControlGroup);
    }

    #[test]
    fn the_scheduler_is_asked_as_long_as_it_tells_of_every_thread() {
        let usage = |ticks, threads: &[(i32, u64)]| Usage {
            ticks: Duration::from_millis(ticks),
            threads: threads
                .iter()
                .map(|(id, nanos)| (*id, Duration::from_nanos(*nanos)))
                .collect(),
            ..Usage::default()
        };
        let before = usage(10, &[(1, 5), (2, 7)]);
        let scheduler = |nanos| Some((Duration::from_nanos(nanos), CpuSource::Scheduler));
        let begun = usage(20, &[(1, 6), (2, 9), (3, 4)]);
        assert_eq!(begun.cpu_since(&before), scheduler(7));
        // Another thread came, took 40 ms, and went.
        let unseen = usage(50, &[(1, 6), (2, 9)]);
        let ticks = Some((Duration::from_millis(40), CpuSource::Ticks));
        assert_eq!(unseen.cpu_since(&before), ticks);
        let ended = usage(20, &[(1, 6)]);
        let ticks = Some((Duration::from_millis(10), CpuSource::Ticks));
        assert_eq!(ended.cpu_since(&before), ticks);
        let untold = usage(20, &[(1, 0), (2, 0)]);
        assert_eq!(untold.cpu_since(&usage(10, &[(1, 0), (2, 0)])), ticks);
    }
}
