//! What one request costs on each arm: CPU, bytes, memory.

use maud::{Markup, html};

use super::{
    head::written,
    range::Range,
    rows::{Mark, Row, Rows},
    steps::capital,
    table::table,
};
use crate::{
    record::{Arm, BlockRecord, Purpose},
    report::figures::decimals,
    verdict::{
        cells::{Cells, Measured},
        metric::Metric,
        sentence::conditions,
    },
};

/// At the same offered rate where there was one: CPU per request falls as queues grow, so it is not
/// compared across rates.
pub(super) fn figures(cells: &Cells) -> Option<Markup> {
    let open = cells.first(Purpose::Open);
    let measured = open.or_else(|| cells.first(Purpose::Primary))?;
    let arms = measured.cell.arms.iter();
    let arms: Vec<&(Arm, String)> = arms
        .filter(|arm| !measured.valid_blocks(arm).is_empty())
        .collect();
    let metrics = [Metric::ServerCpu, Metric::GeneratorCpu, Metric::Bytes];
    let charts: Vec<Markup> = metrics
        .into_iter()
        .filter_map(|metric| bars(measured, metric, &arms))
        .collect();
    (!charts.is_empty()).then(|| {
        html! {
            p.lead {
                "At " (conditions(measured.cell)) ". Geometric means over the valid blocks; bytes are those on the wire, headers included, both ways."
                @if open.is_none() { " The rates differ between arms, and CPU per request falls as a rate grows." }
            }
            div.pair { @for chart in charts { (chart) } }
            h3 { "All of it" }
            (all(measured, &arms))
        }
    })
}

fn bars(measured: &Measured, metric: Metric, arms: &[&(Arm, String)]) -> Option<Markup> {
    let values: Vec<(&(Arm, String), f64)> = arms
        .iter()
        .filter_map(|arm| Some((*arm, measured.mean(arm, |block| metric.of(block))?)))
        .collect();
    if values.is_empty() {
        return None;
    }
    let rows: Vec<Row> = values
        .iter()
        .map(|(arm, value)| Row {
            name: arm.0.name().into(),
            value: written(*value, metric),
            class: format!("arm-{}", arm.0.letter()),
            marks: vec![Mark::Bar {
                from: 0.0,
                to: *value,
            }],
        })
        .collect();
    let noun = metric.noun();
    let chart = Rows {
        id: format!("cost-{}", noun.replace(' ', "-")),
        title: noun.into(),
        description: rows
            .iter()
            .map(|row| format!("{}: {}.", row.name, row.value))
            .collect::<Vec<_>>()
            .join(" "),
        range: Range::holding(values.iter().map(|(_, value)| *value).chain([0.0])),
        axis: format!("{noun}, {}", metric.unit()),
        line: None,
        band: None,
        rows,
    };
    let cells: Vec<Vec<String>> = values
        .iter()
        .map(|(arm, value)| vec![arm.0.name().into(), written(*value, metric)])
        .collect();
    let caption = html! { (capital(noun)) };
    Some(html! { div { (chart.figure(&caption, &table(noun, &["Arm", &capital(noun)], &cells))) } })
}

fn all(measured: &Measured, arms: &[&(Arm, String)]) -> Markup {
    let mib = |kib: u64| kib as f64 / 1024.0;
    let rows: Vec<Vec<String>> = arms
        .iter()
        .map(|arm| {
            let of = |get: &dyn Fn(&BlockRecord) -> Option<f64>, places| {
                let mean = measured.mean(arm, get);
                mean.map_or("—".into(), |mean| decimals(mean, places))
            };
            vec![
                format!("{} ({})", arm.0.name(), arm.1),
                of(&|b| Some(b.requests_per_second()), 0),
                of(&BlockRecord::server_cpu_us_per_request, 1),
                of(&BlockRecord::generator_cpu_us_per_request, 1),
                of(&|b| Some(b.wire?.sent_bytes_per_request), 0),
                of(&|b| Some(b.wire?.received_bytes_per_request), 0),
                of(&|b| Some(mib(b.server?.memory_at_rest_kib)), 1),
                of(&|b| Some(mib(b.server?.memory_under_load_kib)), 1),
            ]
        })
        .collect();
    let columns = [
        "Arm",
        "Requests/s",
        "Server CPU, µs each",
        "Client CPU, µs each",
        "Sent, bytes each",
        "Received, bytes each",
        "Server memory before the load, MiB",
        "under load, MiB",
    ];
    html! { (table(&format!("What a request costs at {}", conditions(measured.cell)), &columns, &rows)) }
}
