//! The process itself, under the names that every Prometheus client library uses.

use std::{fmt, fs};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Unit,
};
use rustix::time::{ClockId, clock_gettime};

/// `process_cpu_seconds_total`, and where the system tells `process_resident_memory_bytes`, read at each
/// scrape.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "CPU time of the process, of user and system together";
        let unit = Some(&Unit::Seconds);
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let seconds = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
        to.encode_descriptor("process_cpu", help, unit, MetricType::Counter)?
            .encode_counter::<NoLabelSet, f64, f64>(&seconds, None)?;
        let Some(bytes) = resident_bytes() else {
            return Ok(());
        };
        let help = "Memory of the process that is resident";
        let unit = Some(&Unit::Bytes);
        to.encode_descriptor("process_resident_memory", help, unit, MetricType::Gauge)?
            .encode_gauge(&bytes)
    }
}

/// Linux tells it in pages (proc_pid_statm(5)).
fn resident_bytes() -> Option<i64> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = pages.split(' ').nth(1)?.parse().ok()?;
    Some(pages * i64::try_from(rustix::param::page_size()).ok()?)
}
