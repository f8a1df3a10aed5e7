//! What processes take of this machine: CPU time and memory.

use std::{net::SocketAddr, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// The CPU time that this process has taken, all threads together.
pub fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// A process's use of the machine at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// CPU time since it began, all threads together. The kernel counts in ticks of 10 ms.
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub memory: u64,
}

/// The use of process `pid`, or none where it is gone or the system does not tell.
#[cfg(target_os = "linux")]
pub fn of_process(pid: u32) -> Option<Usage> {
    let stat = procfs::process::Process::new(pid.try_into().ok()?)
        .ok()?
        .stat()
        .ok()?;
    let ticks = stat.utime + stat.stime;
    Some(Usage {
        cpu: Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64),
        memory: stat.rss * procfs::page_size(),
    })
}

/// The process that listens at `address`, where that is on this machine and the system tells.
#[cfg(target_os = "linux")]
pub fn listening_process(address: SocketAddr) -> Option<u32> {
    use procfs::{net::TcpState, process::FDTarget};

    if !address.ip().is_loopback() && !is_own(address) {
        return None;
    }
    let inodes: Vec<u64> = procfs::net::tcp()
        .into_iter()
        .chain(procfs::net::tcp6())
        .flatten()
        .filter(|socket| socket.state == TcpState::Listen)
        .filter(|socket| socket.local_address.port() == address.port())
        .map(|socket| socket.inode)
        .collect();
    let holds = |process: &procfs::process::Process| {
        process.fd().is_ok_and(|fds| {
            fds.flatten()
                .any(|fd| matches!(fd.target, FDTarget::Socket(inode) if inodes.contains(&inode)))
        })
    };
    let process = procfs::process::all_processes()
        .ok()?
        .flatten()
        .find(holds)?;
    process.pid.try_into().ok()
}

/// Whether `address` belongs to this machine: only then can a socket be bound to it.
#[cfg(target_os = "linux")]
fn is_own(address: SocketAddr) -> bool {
    std::net::TcpListener::bind(SocketAddr::new(address.ip(), 0)).is_ok()
}

/// The use of process `pid`: not known on this system.
#[cfg(not(target_os = "linux"))]
pub fn of_process(_pid: u32) -> Option<Usage> {
    None
}

/// The process that listens at `address`: not known on this system.
#[cfg(not(target_os = "linux"))]
pub fn listening_process(_address: SocketAddr) -> Option<u32> {
    None
}
