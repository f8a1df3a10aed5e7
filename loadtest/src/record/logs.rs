//! HdrHistogram interval logs of the trials that nothing falsified, which `HistogramLogProcessor`, the log
//! analyzers and `hdr-plot` open: one log for each variant of each scenario, one interval for each trial.

use std::{
    collections::BTreeMap,
    time::{Duration, UNIX_EPOCH},
};

use anyhow::Context;
use engine::Load;
use hdrhistogram::{
    Histogram,
    serialization::{V2DeflateSerializer, interval_log::IntervalLogWriterBuilder},
};

use super::Trial;

/// The tools show the largest value of an interval in milliseconds if it was recorded in ns.
const NANOS_PER_MILLI: f64 = 1e6;

/// Returns true if the times of `trial` are in a log.
pub(super) fn is_logged(trial: &Trial) -> bool {
    trial.is_sound() && trial.measurement.service_time.count() > 0
}

/// Each log's file name and its bytes.
///
/// # Errors
/// When a histogram cannot be written.
pub(super) fn of(trials: &[Trial]) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut logs: BTreeMap<String, Vec<(&Trial, &Histogram<u64>)>> = BTreeMap::new();
    for trial in trials.iter().filter(|trial| is_logged(trial)) {
        let measurement = &trial.measurement;
        let kinds = [
            ("service-time", Some(&measurement.service_time)),
            ("response-time", measurement.response_time.as_ref()),
        ];
        for (kind, times) in kinds {
            if let Some(times) = times {
                let name = format!("{}-{kind}.hlog", name(trial));
                logs.entry(name).or_default().push((trial, &times.0));
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

/// Such as `open-32x1-1-open5000-json_http1-REST`.
fn name(trial: &Trial) -> String {
    let purpose = serde_json::to_value(trial.purpose).unwrap_or_default();
    let load = match trial.load {
        Load::Closed => "closed".to_owned(),
        Load::Open { per_second } => format!("open{per_second:.0}"),
    };
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let variant: String = trial.variant.name.chars().map(plain).collect();
    format!(
        "{}-{}x{}-{}-{load}-{}-{variant}",
        purpose.as_str().unwrap_or_default(),
        trial.shape.connections,
        trial.shape.in_flight,
        trial.batch,
        trial.variant.protocol.slug()
    )
}

fn log(intervals: &[(&Trial, &Histogram<u64>)]) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    builder
        .add_comment("times of good replies in nanoseconds, the largest value in milliseconds")
        .with_max_value_divisor(NANOS_PER_MILLI);
    if let Some((first, _)) = intervals.first() {
        let opened = Duration::from_micros(first.measurement.opened_unix_us);
        builder.with_start_time(UNIX_EPOCH + opened);
    }
    let mut writer = builder.begin_log_with(&mut bytes, &mut serializer)?;
    for (trial, times) in intervals {
        writer
            .write_histogram(
                times,
                Duration::from_micros(trial.measurement.opened_unix_us),
                Duration::from_micros(trial.measurement.window_us),
                None,
            )
            .map_err(|error| anyhow::anyhow!("trial {}: {error}", trial.number))?;
    }
    Ok(bytes)
}
