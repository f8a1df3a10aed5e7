//! File descriptors of a process: as many as the system lets it have, shared out among its listeners, with
//! a reserve for what has to be answered when all connections are taken.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::Limits;

/// Descriptors that are kept for the admin listener, with all of its connections, and for files, such as
/// those of TLS, and connections of the process's own.
const RESERVE: usize = 64;

/// Descriptors of a process that has hardly begun, where they cannot be counted.
const FIRST: usize = 32;

/// Raises the soft limit of descriptors to the hard one: 1,024 is a default for programs that use select(2).
/// Returns what holds now; none if there is no limit.
pub(crate) fn raise() -> Option<usize> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: maximum,
        maximum,
    };
    // Some systems take no soft limit as high as the hard one they show.
    if current != maximum && setrlimit(Resource::Nofile, wanted).is_err() {
        tracing::debug!(?current, ?maximum, "the limit of descriptors stays");
    }
    let now = getrlimit(Resource::Nofile).current;
    now.map(|now| usize::try_from(now).unwrap_or(usize::MAX))
}

/// Fits the connections of each of `listeners` into `most` descriptors, and says so if there are fewer than
/// were asked for.
pub(crate) fn fit(limits: &mut Limits, listeners: usize, most: Option<usize>) {
    let Some(most) = most else { return };
    let room = connections(most, open(), listeners);
    if room < limits.connections {
        tracing::warn!(
            asked = limits.connections,
            taken = room,
            descriptors = most,
            "each listener takes fewer connections than it may, as the process may open too few files; \
             raise the hard limit (ulimit -Hn, LimitNOFILE), or lower --max-connections"
        );
        limits.connections = room;
    }
}

/// Descriptors that are open.
fn open() -> usize {
    fs::read_dir("/dev/fd").map_or(FIRST, Iterator::count)
}

/// The connections that each of `listeners` may have, of `most` descriptors, of which some are `open`.
fn connections(most: usize, open: usize, listeners: usize) -> usize {
    // Where there are hardly any, what is kept is at least a half.
    let kept = (open + listeners + RESERVE).min(most / 2);
    ((most - kept) / listeners.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::connections;

    #[test]
    fn listeners_share_what_is_not_kept() {
        for (most, open, listeners, each) in [
            (1024, 20, 2, 469),
            (1024, 20, 1, 939),
            (20_000, 20, 2, 9957),
            (64, 20, 2, 16),
            (64, 20, 1, 32),
            (3, 20, 2, 1),
            (0, 0, 0, 1),
        ] {
            assert_eq!(connections(most, open, listeners), each, "{most}");
        }
    }
}
