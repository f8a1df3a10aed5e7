//! Facts that Linux tells of a process in its directory in /proc: memory, descriptors, processor time.

use std::time::Duration;

/// Resident, in KiB.
pub(super) fn memory(process: &str) -> usize {
    let status = std::fs::read_to_string(format!("{process}/status")).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.expect("the server should still live");
    let kib = resident.trim().trim_end_matches(" kB").parse();
    kib.expect("a number of KiB")
}

pub(super) fn descriptors(process: &str) -> usize {
    let open = std::fs::read_dir(format!("{process}/fd"));
    open.expect("the server should still live").count()
}

/// User and system time (proc(5): fields 14 and 15 of stat, in hundredths of a second).
pub(super) fn processor_time(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("{process}/stat"));
    let stat = stat.expect("the server should still live");
    let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
