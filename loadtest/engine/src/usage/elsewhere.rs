//! Other systems, where none of this is known.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use super::{Taken, Usage};

/// The use of `pids`: not known on this system.
pub fn of_processes(_pids: &[u32]) -> Option<Usage> {
    None
}

/// The peak of this process's memory: not known on this system.
pub fn own_peak_memory_kib() -> Option<u64> {
    None
}

/// The id of the calling thread: not asked for on this system.
pub fn this_thread() -> i32 {
    0
}

/// Time taken of cores: not known on this system.
pub fn taken(_cores: &BTreeSet<usize>) -> Option<Taken> {
    None
}

/// The cores that `pids` may run on: not known on this system.
pub fn cores_of(_pids: &[u32]) -> BTreeSet<usize> {
    BTreeSet::new()
}

/// Keeps this process on `cores`: not done on this system.
///
/// # Errors
/// Never.
pub fn pin(_cores: &[usize]) -> std::io::Result<()> {
    Ok(())
}

/// The cores that this process may be kept on: none on this system.
pub fn cores() -> Vec<usize> {
    Vec::new()
}

/// The name of a process: not asked for on this system.
pub fn name_of(_pid: u32) -> Option<String> {
    None
}

/// The processes that listen at `address`: not known on this system.
pub fn listening_processes(_address: SocketAddr) -> Vec<u32> {
    Vec::new()
}

/// Children of a process: not known on this system.
pub fn family(_root: u32) -> Vec<u32> {
    Vec::new()
}

/// CPU time of children that ended: not known on this system.
pub(super) fn of_ended_children(_pid: u32) -> Option<Duration> {
    None
}

/// Connections that processes opened: not known on this system.
#[derive(Clone, Debug)]
pub(crate) struct Conversations;

/// The conversations over them: never known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Talk {
    pub(crate) received: u64,
    pub(crate) peers: Vec<SocketAddr>,
    pub(crate) active_opens: u64,
}

impl Conversations {
    pub(crate) fn of(_processes: &[u32]) -> Option<Self> {
        None
    }

    pub(crate) fn since(&self, _before: &Self) -> Talk {
        Talk::default()
    }
}
