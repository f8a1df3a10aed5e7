//! What processes take of this machine: CPU time and memory.

use std::{net::SocketAddr, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// The CPU time that this process has taken, all threads together.
pub fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// The use that processes make of the machine at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// CPU time since they began, all threads together. The kernel counts in ticks of 10 ms.
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub memory: u64,
}

/// The use of all of `pids` together, or none where there are none, one of them is gone, or the
/// system does not tell.
#[cfg(target_os = "linux")]
pub fn of_processes(pids: &[u32]) -> Option<Usage> {
    let mut sum = Usage {
        cpu: Duration::ZERO,
        memory: 0,
    };
    for pid in pids {
        let stat = procfs::process::Process::new(i32::try_from(*pid).ok()?)
            .ok()?
            .stat()
            .ok()?;
        if matches!(stat.state, 'Z' | 'X') {
            return None;
        }
        let ticks = stat.utime + stat.stime;
        sum.cpu += Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64);
        sum.memory += stat.rss * procfs::page_size();
    }
    (!pids.is_empty()).then_some(sum)
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
        assert_eq!(listening_processes(address), [std::process::id()]);
        let other = SocketAddr::new("127.0.0.2".parse().unwrap(), address.port());
        assert!(listening_processes(other).is_empty());
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
}
