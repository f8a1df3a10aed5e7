//! The processes behind a listening socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use procfs::{
    net::TcpState,
    process::{FDTarget, Process},
};

/// The processes that hold the socket which listens at `address`, if that is on this machine and the
/// system tells. There may be several: a parent that opened it and the children that serve it.
pub fn listening_processes(address: SocketAddr) -> Vec<u32> {
    let address = canonical(address);
    if !address.ip().is_loopback() && !is_own(address) {
        return Vec::new();
    }
    let listening: Vec<_> = procfs::net::tcp()
        .into_iter()
        .chain(procfs::net::tcp6())
        .flatten()
        .filter(|socket| socket.state == TcpState::Listen)
        .map(|socket| (socket.local_address, socket.inode))
        .collect();
    let inodes = matching(&listening, address);
    let holds = |process: &Process| {
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

/// An IPv4 address that is written as IPv6, such as `::ffff:127.0.0.1`, is IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The inodes of the sockets that get the connections to `wanted`, which is canonical. One bound to the
/// address itself comes before one bound to all addresses of its family, and that before one bound to
/// all of IPv6, which takes IPv4 too unless it was told not to.
fn matching(listening: &[(SocketAddr, u64)], wanted: SocketAddr) -> Vec<u64> {
    let all: &[IpAddr] = match wanted {
        SocketAddr::V4(_) => &[
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ],
        SocketAddr::V6(_) => &[IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
    };
    let bound_to = |ip: IpAddr| -> Vec<u64> {
        let sockets = listening
            .iter()
            .map(|(local, inode)| (canonical(*local), *inode));
        sockets
            .filter(|(local, _)| *local == SocketAddr::new(ip, wanted.port()))
            .map(|(_, inode)| inode)
            .collect()
    };
    std::iter::once(wanted.ip())
        .chain(all.iter().copied())
        .map(bound_to)
        .find(|inodes| !inodes.is_empty())
        .unwrap_or_default()
}

/// Returns true if `address` belongs to this machine: only then can a socket be bound to it.
fn is_own(address: SocketAddr) -> bool {
    TcpListener::bind(SocketAddr::new(address.ip(), 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

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
    fn a_server_is_found_however_its_address_is_written() {
        // As grpcio and many JVMs listen: IPv4 on a socket of IPv6.
        let mapped = TcpListener::bind("[::ffff:127.0.0.1]:0").unwrap();
        let port = mapped.local_addr().unwrap().port();
        for ip in ["127.0.0.1", "::ffff:127.0.0.1"] {
            let address = SocketAddr::new(ip.parse().unwrap(), port);
            assert!(
                listening_processes(address).contains(&std::process::id()),
                "{ip}"
            );
        }
        let dual = TcpListener::bind("[::]:0").unwrap();
        let port = dual.local_addr().unwrap().port();
        for ip in ["127.0.0.1", "::ffff:127.0.0.1", "::1"] {
            let address = SocketAddr::new(ip.parse().unwrap(), port);
            assert!(
                listening_processes(address).contains(&std::process::id()),
                "{ip}"
            );
        }
    }

    #[test]
    fn a_child_that_holds_the_socket_counts_too() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let held = std::os::fd::OwnedFd::from(socket.try_clone().unwrap());
        let mut child = Command::new("sleep")
            .arg("600")
            .stdin(Stdio::from(held))
            .spawn()
            .unwrap();
        let found = listening_processes(address);
        child.kill().unwrap();
        child.wait().unwrap();
        for pid in [std::process::id(), child.id()] {
            assert!(found.contains(&pid), "{pid} is not among {found:?}");
        }
    }

    #[test]
    fn the_most_exact_socket_gets_the_connections() {
        let at = |address: &str| address.parse::<SocketAddr>().unwrap();
        let listening = [
            (at("[::]:1"), 1),
            (at("0.0.0.0:1"), 2),
            (at("127.0.0.1:1"), 3),
            (at("[::ffff:127.0.0.1]:2"), 4),
            (at("[::]:2"), 5),
            (at("[::]:3"), 6),
            (at("[::]:3"), 7),
        ];
        for (wanted, inodes) in [
            ("127.0.0.1:1", &[3][..]),
            ("127.0.0.2:1", &[2]),
            ("[::1]:1", &[1]),
            ("127.0.0.1:2", &[4]),
            ("127.0.0.2:2", &[5]),
            ("127.0.0.1:3", &[6, 7]),
            ("127.0.0.1:4", &[]),
        ] {
            assert_eq!(matching(&listening, at(wanted)), inodes, "{wanted}");
        }
    }
}
