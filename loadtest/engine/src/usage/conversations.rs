//! Connections that a server opened itself, and whether it uses them: one that asks another service for each
//! call is not all that a call costs.
//!
//! The kernel tells the bytes of each TCP connection over `NETLINK_SOCK_DIAG` (sock_diag(7)). Sockets of
//! other kinds, such as Unix sockets, are not seen.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use procfs::{net::TcpState, process::FDTarget};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

/// Connections of some processes at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Conversations {
    /// Connections that they opened, by the inodes of their sockets: who is asked, and bytes received.
    opened: HashMap<u64, (SocketAddr, u64)>,
    /// Connections that anybody on this machine has opened so far.
    active_opens: u64,
}

/// The difference between two moments.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Talk {
    /// Bytes received over connections that the server opened.
    pub(crate) received: u64,
    /// From whom, whoever sent most first.
    pub(crate) peers: Vec<SocketAddr>,
    /// Connections that were opened on this machine.
    pub(crate) active_opens: u64,
}

impl Conversations {
    /// Those of `processes`; none if there are none, or the system does not tell.
    pub(crate) fn of(processes: &[u32]) -> Option<Self> {
        let own = sockets_of(processes);
        if own.is_empty() {
            return None;
        }
        let listening: HashSet<u16> = procfs::net::tcp()
            .into_iter()
            .chain(procfs::net::tcp6())
            .flatten()
            .filter(|entry| entry.state == TcpState::Listen && own.contains(&entry.inode))
            .map(|entry| entry.local_address.port())
            .collect();
        let established = [AddressFamily::INET, AddressFamily::INET6].map(established);
        let [v4, v6] = established;
        // A machine without IPv6 has none of these.
        let all = v4.ok()?.into_iter().chain(v6.unwrap_or_default());
        let opened = all.filter_map(|socket| {
            let is_own = own.contains(&socket.inode);
            let is_accepted = listening.contains(&socket.local.port());
            let is_to_itself =
                socket.peer.ip() == socket.local.ip() && listening.contains(&socket.peer.port());
            match (is_own, is_accepted) {
                (true, false) if !is_to_itself => {
                    Some((socket.inode, (socket.peer, socket.received)))
                }
                // Handed to a process that does not count. Without an inode nobody has taken it yet.
                (false, true) if socket.inode != 0 => {
                    Some((socket.inode, (socket.local, socket.received)))
                }
                _ => None,
            }
        });
        Some(Self {
            opened: opened.collect(),
            active_opens: procfs::net::snmp().ok()?.tcp_active_opens,
        })
    }

    /// The conversations since `before`.
    pub(crate) fn since(&self, before: &Self) -> Talk {
        let mut by_peer: HashMap<SocketAddr, u64> = HashMap::new();
        for (inode, (peer, received)) in &self.opened {
            let then = before.opened.get(inode).map_or(0, |(_, then)| *then);
            let more = received.saturating_sub(then);
            if more > 0 {
                *by_peer.entry(*peer).or_default() += more;
            }
        }
        let mut peers: Vec<_> = by_peer.into_iter().collect();
        peers.sort_unstable_by_key(|(peer, received)| (std::cmp::Reverse(*received), *peer));
        Talk {
            received: peers.iter().map(|(_, received)| received).sum(),
            peers: peers.into_iter().map(|(peer, _)| peer).collect(),
            active_opens: self.active_opens.saturating_sub(before.active_opens),
        }
    }
}

/// The inodes of the sockets that `processes` hold.
fn sockets_of(processes: &[u32]) -> HashSet<u64> {
    let processes = processes.iter().filter_map(|pid| i32::try_from(*pid).ok());
    processes
        .filter_map(|pid| procfs::process::Process::new(pid).ok()?.fd().ok())
        .flatten()
        .flatten()
        .filter_map(|fd| match fd.target {
            FDTarget::Socket(inode) => Some(inode),
            _ => None,
        })
        .collect()
}

/// A connection that is established.
struct Socket {
    local: SocketAddr,
    peer: SocketAddr,
    inode: u64,
    received: u64,
}

/// `SOCK_DIAG_BY_FAMILY` and the flags `NLM_F_REQUEST | NLM_F_DUMP` (linux/sock_diag.h, linux/netlink.h).
const BY_FAMILY: u16 = 20;
const DUMP: u16 = 0x301;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `INET_DIAG_INFO`, the attribute that holds a `tcp_info` (linux/inet_diag.h).
const INFO: u16 = 2;
/// `IPPROTO_TCP`, and the bit of the state that is established.
const TCP: u8 = 6;
const ESTABLISHED: u32 = 1 << 1;
/// Lengths of `nlmsghdr`, of `inet_diag_req_v2`, and of `inet_diag_msg`.
const HEADER: usize = 16;
const REQUEST: usize = 56;
const MESSAGE: usize = 72;
/// The offset of the bytes received in `tcp_info` (linux/tcp.h).
const BYTES_RECEIVED: usize = 128;
/// A part of a dump is at most 32 KiB.
const BUFFER: usize = 64 * 1024;

/// All established TCP connections of `family` in this network namespace.
fn established(family: AddressFamily) -> io::Result<Vec<Socket>> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    let mut request = [0_u8; HEADER + REQUEST];
    request[0..4].copy_from_slice(&((HEADER + REQUEST) as u32).to_ne_bytes());
    request[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
    request[6..8].copy_from_slice(&DUMP.to_ne_bytes());
    request[HEADER] = u8::try_from(family.as_raw()).unwrap_or_default();
    request[HEADER + 1] = TCP;
    request[HEADER + 2] = 1 << (INFO - 1);
    request[HEADER + 4..HEADER + 8].copy_from_slice(&ESTABLISHED.to_ne_bytes());
    // A netlink socket that is not connected sends to the kernel.
    send(&socket, &request, SendFlags::empty())?;

    let mut sockets = Vec::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        let (read, _) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?;
        let mut rest = &buffer[..read];
        if rest.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while let Some((kind, message, after)) = next_message(rest) {
            match kind {
                DONE => return Ok(sockets),
                ERROR => return Err(io::ErrorKind::Unsupported.into()),
                _ => sockets.extend(parse(message)),
            }
            rest = after;
        }
    }
}

/// The type of the first netlink message of `bytes`, what it holds, and what comes after it.
fn next_message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32_at(bytes, 0)? as usize;
    let kind = u16_at(bytes, 4)?;
    let message = bytes.get(HEADER..length)?;
    let after = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, message, after))
}

/// An `inet_diag_msg` with its attributes.
fn parse(message: &[u8]) -> Option<Socket> {
    let is_v4 = AddressFamily::from_raw(message.first().copied()?.into()) == AddressFamily::INET;
    let address = |port: usize, ip: usize| -> Option<SocketAddr> {
        let port = u16::from_be_bytes(message.get(port..port + 2)?.try_into().ok()?);
        let octets: [u8; 16] = message.get(ip..ip + 16)?.try_into().ok()?;
        let ip = match is_v4 {
            true => IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3])),
            false => IpAddr::V6(Ipv6Addr::from(octets)).to_canonical(),
        };
        Some(SocketAddr::new(ip, port))
    };
    Some(Socket {
        local: address(4, 8)?,
        peer: address(6, 24)?,
        inode: u32_at(message, MESSAGE - 4)?.into(),
        received: received(message.get(MESSAGE..)?)?,
    })
}

/// The bytes received, from the attributes of a message.
fn received(mut attributes: &[u8]) -> Option<u64> {
    loop {
        let length = usize::from(u16_at(attributes, 0)?);
        let kind = u16_at(attributes, 2)?;
        let value = attributes.get(4..length)?;
        if kind == INFO {
            let bytes = value.get(BYTES_RECEIVED..BYTES_RECEIVED + 8)?;
            return Some(u64::from_ne_bytes(bytes.try_into().ok()?));
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[test]
    fn bytes_that_came_over_a_connection_that_was_opened_are_seen_and_those_of_one_that_was_accepted_are_not()
     {
        // This process is both ends: while it listens, what it opens goes to itself.
        let own = [std::process::id()];
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut opened = TcpStream::connect(address).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        let before = Conversations::of(&own).unwrap();
        accepted.write_all(&[1; 1000]).unwrap();
        opened.read_exact(&mut [0; 1000]).unwrap();
        let itself = Conversations::of(&own).unwrap().since(&before);
        assert!(!itself.peers.contains(&address), "{itself:?}");
        // Where nobody listens any more it is a connection to somebody.
        drop(listener);
        let after = Conversations::of(&own).unwrap().since(&before);
        assert!(after.peers.contains(&address), "{after:?}");
        assert!(after.received >= 1000, "{after:?}");
        assert!(Conversations::of(&[]).is_none());
    }
}
