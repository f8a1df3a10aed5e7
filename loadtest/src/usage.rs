//! What processes take of this machine: CPU time and memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

use crate::record::CpuSource;

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

/// The most memory in KiB that was ever resident of this process, where the system tells.
#[cfg(target_os = "linux")]
pub fn own_peak_memory_kib() -> Option<u64> {
    procfs::process::Process::myself()
        .ok()?
        .status()
        .ok()?
        .vmhwm
}

/// How much more the kernel's ticks may tell than its threads before threads are missing: two ticks, as both
/// ends are rounded, and a part for what runs while one is read after the other.
const TICKS_AHEAD: Duration = Duration::from_millis(20);
const PART_AHEAD: f64 = 0.02;

/// Time of some cores, in the kernel's ticks of 10 ms.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taken {
    /// All of it.
    pub all: u64,
    /// What programs had, without interrupts: some kernels charge them to the program that runs, and some to
    /// none.
    pub busy: u64,
    /// What the hypervisor took.
    pub stolen: u64,
}

/// The use that processes make of the machine at one moment.
#[derive(Clone, Debug)]
pub struct Usage {
    /// CPU time since they began, all threads together. The kernel counts in ticks of 10 ms.
    ticks: Duration,
    /// CPU time of each thread that lives, to the nanosecond, where the kernel tells.
    threads: BTreeMap<i32, Duration>,
    /// Resident memory in KiB.
    pub memory_kib: u64,
}

impl Usage {
    /// The CPU time that was taken since `before`, and who counted it; none where it is not of the
    /// same processes.
    pub fn cpu_since(&self, before: &Self) -> Option<(Duration, CpuSource)> {
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

/// The use of all of `pids` together, or none where there are none, one of them is gone, or the
/// system does not tell.
#[cfg(target_os = "linux")]
pub fn of_processes(pids: &[u32]) -> Option<Usage> {
    let mut sum = Usage {
        ticks: Duration::ZERO,
        threads: BTreeMap::new(),
        memory_kib: 0,
    };
    for pid in pids {
        let process = procfs::process::Process::new(i32::try_from(*pid).ok()?).ok()?;
        let stat = process.stat().ok()?;
        if matches!(stat.state, 'Z' | 'X') {
            return None;
        }
        let ticks = stat.utime + stat.stime;
        sum.ticks += Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64);
        sum.memory_kib += stat.rss * procfs::page_size() / 1024;
        // A thread that ends meanwhile, or a kernel that does not tell: ticks must do.
        for task in process.tasks().into_iter().flatten().flatten() {
            if let Ok(scheduled) = task.schedstat() {
                let time = Duration::from_nanos(scheduled.sum_exec_runtime);
                sum.threads.insert(task.tid, time);
            }
        }
    }
    (!pids.is_empty()).then_some(sum)
}

/// The id of the calling thread, as [`Usage::threads_since`] names it.
#[cfg(target_os = "linux")]
pub fn this_thread() -> i32 {
    thread_local! {
        static ID: i32 = rustix::thread::gettid().as_raw_nonzero().get();
    }
    ID.with(|id| *id)
}

/// What was taken of `cores` since the system began; none where the system does not tell.
#[cfg(target_os = "linux")]
pub fn taken(cores: &BTreeSet<usize>) -> Option<Taken> {
    // procfs keeps no numbers of cores, which have gaps where one is offline.
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let mut taken = Taken::default();
    for line in stat.lines() {
        // A core's line is cpu with its number, then user, nice, system, idle, iowait, irq, softirq, steal,
        // and what user has already (proc_stat(5)).
        let Some((core, times)) = line
            .strip_prefix("cpu")
            .and_then(|line| line.split_once(' '))
        else {
            continue;
        };
        if core.parse().is_ok_and(|core| cores.contains(&core)) {
            let times = times
                .split_whitespace()
                .take(8)
                .map(|time| time.parse().ok());
            let times: Vec<u64> = times.collect::<Option<_>>()?;
            let [user, nice, system, _, _, _, _, stolen] = times[..] else {
                return None;
            };
            let all: u64 = times.iter().sum();
            taken.all += all;
            taken.stolen += stolen;
            taken.busy += user + nice + system;
        }
    }
    (taken.all > 0).then_some(taken)
}

/// The cores that any of `pids` may run on.
#[cfg(target_os = "linux")]
pub fn cores_of(pids: &[u32]) -> BTreeSet<usize> {
    let pids = pids.iter().filter_map(|pid| i32::try_from(*pid).ok());
    pids.filter_map(rustix::process::Pid::from_raw)
        .flat_map(|pid| allowed(Some(pid)))
        .collect()
}

/// Keeps this process, with the threads it starts from now on, on `cores`; none stands for all.
///
/// # Errors
/// When the system refuses.
#[cfg(target_os = "linux")]
pub fn pin(cores: &[usize]) -> std::io::Result<()> {
    use rustix::thread::{CpuSet, sched_setaffinity};
    if cores.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for core in cores.iter().filter(|core| **core < CpuSet::MAX_CPU) {
        set.set(*core);
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// The cores that this process may run on.
#[cfg(target_os = "linux")]
pub fn cores() -> Vec<usize> {
    allowed(None)
}

/// The cores that a process may run on, or this one; none where the system does not tell.
#[cfg(target_os = "linux")]
fn allowed(pid: Option<rustix::process::Pid>) -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let set = sched_getaffinity(pid).unwrap_or_default();
    (0..CpuSet::MAX_CPU)
        .filter(|core| set.is_set(*core))
        .collect()
}

/// The processes that hold the socket which listens at `address`, where that is on this machine and
/// the system tells. There may be several: a parent that opened it and the children that serve it.
#[cfg(target_os = "linux")]
pub fn listening_processes(address: SocketAddr) -> Vec<u32> {
    use procfs::{net::TcpState, process::FDTarget};

    if !address.ip().is_loopback() && !is_own(address) {
        return Vec::new();
    }
    let listening: Vec<_> = procfs::net::tcp()
        .into_iter()
        .chain(procfs::net::tcp6())
        .flatten()
        .filter(|socket| socket.state == TcpState::Listen)
        .filter(|socket| socket.local_address.port() == address.port())
        .collect();
    // A socket bound to the address itself gets its connections before one bound to all.
    let exact = listening
        .iter()
        .any(|socket| socket.local_address == address);
    let inodes: Vec<u64> = listening
        .iter()
        .filter(|socket| match exact {
            true => socket.local_address == address,
            false => socket.local_address.ip().is_unspecified(),
        })
        .map(|socket| socket.inode)
        .collect();
    let holds = |process: &procfs::process::Process| {
        process.fd().is_ok_and(|fds| {
            fds.flatten()
                .any(|fd| matches!(fd.target, FDTarget::Socket(inode) if inodes.contains(&inode)))
        })
    };
    let processes = procfs::process::all_processes()
        .into_iter()
        .flatten()
        .flatten();
    processes
        .filter(holds)
        .filter_map(|process| process.pid.try_into().ok())
        .collect()
}

/// The name and the number of a process, such as `dual-mode (4711)`, while it runs.
#[cfg(target_os = "linux")]
pub fn name_of(pid: u32) -> Option<String> {
    let process = procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?;
    Some(format!("{} ({pid})", process.stat().ok()?.comm))
}

/// Whether `address` belongs to this machine: only then can a socket be bound to it.
#[cfg(target_os = "linux")]
fn is_own(address: SocketAddr) -> bool {
    std::net::TcpListener::bind(SocketAddr::new(address.ip(), 0)).is_ok()
}

/// The use of `pids`: not known on this system.
#[cfg(not(target_os = "linux"))]
pub fn of_processes(_pids: &[u32]) -> Option<Usage> {
    None
}

/// The peak of this process's memory: not known on this system.
#[cfg(not(target_os = "linux"))]
pub fn own_peak_memory_kib() -> Option<u64> {
    None
}

/// The id of the calling thread: not asked for on this system.
#[cfg(not(target_os = "linux"))]
pub fn this_thread() -> i32 {
    0
}

/// What was taken of cores: not known on this system.
#[cfg(not(target_os = "linux"))]
pub fn taken(_cores: &BTreeSet<usize>) -> Option<Taken> {
    None
}

/// The cores that `pids` may run on: not known on this system.
#[cfg(not(target_os = "linux"))]
pub fn cores_of(_pids: &[u32]) -> BTreeSet<usize> {
    BTreeSet::new()
}

/// Keeps this process on `cores`: not done on this system.
///
/// # Errors
/// Never.
#[cfg(not(target_os = "linux"))]
pub fn pin(_cores: &[usize]) -> std::io::Result<()> {
    Ok(())
}

/// The cores that this process may be kept on: none on this system.
#[cfg(not(target_os = "linux"))]
pub fn cores() -> Vec<usize> {
    Vec::new()
}

/// The name of a process: not asked for on this system.
#[cfg(not(target_os = "linux"))]
pub fn name_of(_pid: u32) -> Option<String> {
    None
}

/// The processes that listen at `address`: not known on this system.
#[cfg(not(target_os = "linux"))]
pub fn listening_processes(_address: SocketAddr) -> Vec<u32> {
    Vec::new()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_listening_process_is_found_by_the_address_and_not_by_the_port_alone() {
        let own = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = own.local_addr().unwrap();
        // A child that is being started by another test may hold it too for a moment.
        assert!(listening_processes(address).contains(&std::process::id()));
        let other = SocketAddr::new("127.0.0.2".parse().unwrap(), address.port());
        assert!(listening_processes(other).is_empty());
    }

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
    fn the_scheduler_is_asked_as_long_as_it_tells_of_every_thread() {
        let usage = |ticks, threads: &[(i32, u64)]| Usage {
            ticks: Duration::from_millis(ticks),
            threads: threads
                .iter()
                .map(|(id, nanos)| (*id, Duration::from_nanos(*nanos)))
                .collect(),
            memory_kib: 0,
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
