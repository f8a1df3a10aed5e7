//! Control groups of version 2 (Linux, Documentation/admin-guide/cgroup-v2.rst).

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// The folders of groups, on systems with version 2 alone and on those with both.
const ROOTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// The use of a group, with all groups in it.
pub(super) struct Used {
    pub(super) cpu: Duration,
    pub(super) memory_kib: u64,
}

/// The folder of the group called `path`: a folder, or a name as `/proc/PID/cgroup` has it. None if there is
/// no account of CPU time.
pub fn find(path: &Path) -> Option<PathBuf> {
    let below = path.strip_prefix("/").unwrap_or(path);
    let named = ROOTS.iter().map(|root| Path::new(root).join(below));
    let mut candidates = std::iter::once(path.to_owned()).chain(named);
    let found = candidates.find(|folder| read(folder).is_some())?;
    // One path of each, so that two can be told from one.
    fs::canonicalize(found).ok()
}

/// Returns true if process `pid` is in the group of `folder`, or in one within it.
pub fn holds(folder: &Path, pid: u32) -> bool {
    let Ok(groups) = fs::read_to_string(format!("/proc/{pid}/cgroup")) else {
        return false;
    };
    // Version 2's line has no number and no controllers (cgroups(7)).
    let Some(name) = groups.lines().find_map(|line| line.strip_prefix("0::/")) else {
        return false;
    };
    ROOTS
        .iter()
        .any(|root| Path::new(root).join(name).starts_with(folder))
}

/// The use of the group of `folder`; none if the system does not tell.
pub(super) fn read(folder: &Path) -> Option<Used> {
    let stat = fs::read_to_string(folder.join("cpu.stat")).ok()?;
    let micros = stat
        .lines()
        .find_map(|line| line.strip_prefix("usage_usec "))?;
    // Groups without the controller of memory, and the one at the root, have no such file.
    let memory = fs::read_to_string(folder.join("memory.current")).ok();
    let memory: Option<u64> = memory.and_then(|bytes| bytes.trim().parse().ok());
    Some(Used {
        cpu: Duration::from_micros(micros.trim().parse().ok()?),
        memory_kib: memory.unwrap_or_default() / 1024,
    })
}

/// The processes in the group of `folder`, and in those within it.
pub(super) fn members(folder: &Path) -> Vec<u32> {
    let own = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let mut members: Vec<u32> = own.lines().filter_map(|pid| pid.parse().ok()).collect();
    let within = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in within {
        // Links are followed by nobody: there are none in such a folder.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            members.extend(self::members(&entry.path()));
        }
    }
    members
}
