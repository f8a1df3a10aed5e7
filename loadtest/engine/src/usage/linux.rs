//! Processes and cores as Linux tells of them, in `/proc`.

use std::{collections::BTreeSet, time::Duration};

use super::{Taken, Usage};

/// The most memory in KiB that was ever resident of this process, where the system tells.
pub fn own_peak_memory_kib() -> Option<u64> {
    procfs::process::Process::myself()
        .ok()?
        .status()
        .ok()?
        .vmhwm
}

/// The use of all of `pids` together, or none where there are none, one of them is gone, or the
/// system does not tell.
pub fn of_processes(pids: &[u32]) -> Option<Usage> {
    let mut sum = Usage::default();
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

/// Process `root` with its children, and the children of these, as far as the system tells; none if it is
/// gone.
pub fn family(root: u32) -> Vec<u32> {
    let processes = procfs::process::all_processes().into_iter().flatten();
    let parents: Vec<(u32, u32)> = processes
        .flatten()
        .filter_map(|process| process.stat().ok())
        .filter(|stat| !matches!(stat.state, 'Z' | 'X'))
        .filter_map(|stat| {
            Some((
                u32::try_from(stat.pid).ok()?,
                u32::try_from(stat.ppid).ok()?,
            ))
        })
        .collect();
    let mut members = Vec::new();
    let mut found: Vec<u32> = parents
        .iter()
        .map(|(pid, _)| *pid)
        .filter(|pid| *pid == root)
        .collect();
    while let Some(pid) = found.pop() {
        let is_child = |(child, parent): &&(u32, u32)| *parent == pid && *child != pid;
        found.extend(parents.iter().filter(is_child).map(|(child, _)| *child));
        members.push(pid);
    }
    members
}

/// CPU time of the children of `pid` that have ended and were waited for, in ticks.
pub(super) fn of_ended_children(pid: u32) -> Option<Duration> {
    let process = procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?;
    let stat = process.stat().ok()?;
    let ticks = u64::try_from(stat.cutime + stat.cstime).ok()?;
    Some(Duration::from_secs_f64(
        ticks as f64 / procfs::ticks_per_second() as f64,
    ))
}

/// The id of the calling thread, as [`Usage::threads_since`] names it.
pub fn this_thread() -> i32 {
    thread_local! {
        static ID: i32 = rustix::thread::gettid().as_raw_nonzero().get();
    }
    ID.with(|id| *id)
}

/// Time taken of `cores` since the system began; none if the system does not tell.
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
pub fn cores() -> Vec<usize> {
    allowed(None)
}

/// The cores that a process may run on, or this one; none where the system does not tell.
fn allowed(pid: Option<rustix::process::Pid>) -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let set = sched_getaffinity(pid).unwrap_or_default();
    (0..CpuSet::MAX_CPU)
        .filter(|core| set.is_set(*core))
        .collect()
}

/// The name and the number of a process, such as `dual-mode (4711)`, while it runs.
pub fn name_of(pid: u32) -> Option<String> {
    let process = procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?;
    Some(format!("{} ({pid})", process.stat().ok()?.comm))
}
