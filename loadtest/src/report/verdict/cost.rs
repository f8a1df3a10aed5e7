//! The cost of one request on each variant: CPU, bytes, memory.

use maud::{Markup, html};
use stats::trimmed_geometric_mean;

use crate::{
    metric::Metric,
    numbers::decimals,
    record::{Purpose, Trial, Variant},
    report::{capital, table::table},
    verdict::{
        scenarios::{Measured, Scenarios},
        sentence::conditions,
    },
};

/// A column: its name, the measure that says which trials count for it, how it is read off a trial, and
/// its decimals.
type Column = (&'static str, Metric, fn(&Trial) -> Option<f64>, usize);

const COLUMNS: [Column; 7] = [
    (
        "Requests/s",
        Metric::Bytes,
        |trial| Metric::Rate.of(&trial.measurement),
        0,
    ),
    (
        "Server CPU, µs",
        Metric::ServerCpu,
        |trial| trial.measurement.server_cpu_us_per_request(),
        1,
    ),
    (
        "Client CPU, µs",
        Metric::GeneratorCpu,
        |trial| trial.measurement.generator_cpu_us_per_request(),
        1,
    ),
    (
        "Sent, bytes",
        Metric::Bytes,
        |trial| Some(trial.measurement.wire?.sent_bytes_per_request),
        0,
    ),
    (
        "Received, bytes",
        Metric::Bytes,
        |trial| Some(trial.measurement.wire?.received_bytes_per_request),
        0,
    ),
    (
        "Server memory before the load, MiB",
        Metric::Bytes,
        |trial| Some(mib(trial.measurement.server?.memory_at_rest_kib)),
        1,
    ),
    (
        "under load, MiB",
        Metric::Bytes,
        |trial| Some(mib(trial.measurement.server?.memory_under_load_kib)),
        1,
    ),
];

/// At the same offered rate: CPU per request falls as a rate grows, so it is not compared across rates.
pub(super) fn section(scenarios: &Scenarios) -> Option<Markup> {
    let measured = scenarios.first(Purpose::Open)?;
    let rows = measured
        .scenario
        .variants
        .iter()
        .map(|variant| row(measured, variant));
    let rows: Vec<Vec<String>> = rows.collect();
    let mut columns = vec!["Variant"];
    columns.extend(COLUMNS.map(|(name, ..)| name));
    let place = capital(&conditions(measured.scenario));
    (!measured.trials.is_empty()).then(|| {
        html! {
            p.lead { "For each request: typical values of the trials that count. Bytes are those on the wire, headers included." }
            (table(&place, &columns, &rows))
        }
    })
}

fn row(measured: &Measured, variant: &Variant) -> Vec<String> {
    let cells = COLUMNS.map(|(_, metric, read, places)| {
        let trials = measured.counting(variant, metric);
        let values: Vec<f64> = trials.into_iter().filter_map(read).collect();
        trimmed_geometric_mean(&values).map_or("—".into(), |value| decimals(value, places))
    });
    [variant.name.clone()].into_iter().chain(cells).collect()
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
