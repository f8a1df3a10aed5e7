//! HdrHistogram interval logs of the valid blocks, which `HistogramLogProcessor`, the log analyzers
//! and `hdr-plot` open: one log for each arm of each cell, one interval for each block.

use std::{
    collections::BTreeMap,
    time::{Duration, UNIX_EPOCH},
};

use anyhow::Context;
use hdrhistogram::{
    Histogram,
    serialization::{V2DeflateSerializer, interval_log::IntervalLogWriterBuilder},
};

use super::{BlockRecord, Load};

/// The tools show the largest value of an interval in milliseconds where it was recorded in ns.
const NANOS_PER_MILLI: f64 = 1e6;

/// Each log's file name and its bytes.
///
/// # Errors
/// When a histogram cannot be written.
pub(super) fn of(blocks: &[BlockRecord]) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut logs: BTreeMap<String, Vec<(&BlockRecord, &Histogram<u64>)>> = BTreeMap::new();
    for block in blocks.iter().filter(|block| block.is_valid()) {
        let latency = &block.latency;
        let kinds = [
            ("uncorrected", Some(&latency.uncorrected)),
            ("corrected", latency.corrected.as_ref()),
        ];
        for (kind, times) in kinds {
            if let Some(times) = times {
                let name = format!("{}-{kind}.hlog", name(block));
                logs.entry(name).or_default().push((block, &times.0));
            }
        }
    }
    logs.into_iter()
        .map(|(name, intervals)| {
            let log = log(&intervals).with_context(|| format!("{name} cannot be made"))?;
            Ok((name, log))
        })
        .collect()
}

/// Such as `primary-32x1-1-closed-A-json_http1`.
fn name(block: &BlockRecord) -> String {
    let purpose = serde_json::to_value(block.purpose).unwrap_or_default();
    let load = match block.load {
        Load::Closed => "closed".to_owned(),
        Load::Open { per_second } => format!("open{per_second:.0}"),
    };
    let label: String = block
        .label
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    format!(
        "{}-{}x{}-{}-{load}-{label}-{}",
        purpose.as_str().unwrap_or_default(),
        block.connections,
        block.in_flight,
        block.batch,
        block.arm.slug()
    )
}

fn log(intervals: &[(&BlockRecord, &Histogram<u64>)]) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    builder
        .add_comment("latency of good answers in nanoseconds, the largest value in milliseconds")
        .with_max_value_divisor(NANOS_PER_MILLI);
    if let Some((first, _)) = intervals.first() {
        builder.with_start_time(UNIX_EPOCH + Duration::from_micros(first.opened_unix_us));
    }
    let mut writer = builder.begin_log_with(&mut bytes, &mut serializer)?;
    for (block, times) in intervals {
        writer
            .write_histogram(
                times,
                Duration::from_micros(block.opened_unix_us),
                Duration::from_micros(block.window_us),
                None,
            )
            .map_err(|error| anyhow::anyhow!("block {}: {error}", block.number))?;
    }
    Ok(bytes)
}
