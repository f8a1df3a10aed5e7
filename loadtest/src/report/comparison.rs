//! The side-by-side table.

use maud::{Markup, html};

use super::{
    Sides,
    figures::{self, Figure},
};
use crate::result::{Arm, Protocol, Run, ServerUse};

const UNKNOWN: &str = "—";
const NOT_MEASURED: &str = "not measured";

struct Line {
    label: String,
    cells: [Result<Figure, &'static str>; 2],
    ratio: Option<String>,
}

/// REST, gRPC, and gRPC divided by REST, line by line.
pub(super) fn table(run: &Run) -> Markup {
    let sides = Sides::of(run);
    let groups = [
        ("Rate", "more is better", rate(run, sides)),
        ("Latency of good answers", "less is better", latency(sides)),
        ("Server", "what the answers cost it", server(sides)),
        ("Load generator", "what asking cost", generator(run, sides)),
    ];
    html! {
        div.scroll role="region" aria-label="REST and gRPC side by side" tabindex="0" {
            table.comparison {
                thead { tr {
                    td {}
                    (column(Protocol::Rest, sides.rest)) (column(Protocol::Grpc, sides.grpc))
                    th scope="col" { "Ratio" small { "gRPC / REST" } }
                } }
                @for (name, hint, lines) in groups {
                    tbody {
                        tr.group { th colspan="4" scope="rowgroup" { (name) " " small { (hint) } } }
                        @for line in lines { (row(&line)) }
                    }
                }
            }
        }
        (notes(run, sides))
    }
}

fn column(protocol: Protocol, arm: Option<&Arm>) -> Markup {
    html! {
        th scope="col" {
            span class={ "name " (protocol.slug()) } { (protocol.name()) }
            small { @if arm.is_some() { (protocol.wire()) } @else { (NOT_MEASURED) } }
        }
    }
}

fn row(line: &Line) -> Markup {
    html! {
        tr {
            th scope="row" { (line.label) }
            @for cell in &line.cells {
                @match cell {
                    Ok(figure) => td {
                        (figure.text)
                        @if !figure.unit.is_empty() { " " span.unit { (figure.unit) } }
                    },
                    Err(why) => td.unknown { (why) },
                }
            }
            td.ratio { @if let Some(ratio) = &line.ratio { (ratio) } }
        }
    }
}

/// A line whose ratio says something.
fn compared(label: &str, values: [Option<f64>; 2], cells: figures::Row) -> Line {
    let ratio = match values {
        [Some(rest), Some(grpc)] => figures::ratio(rest, grpc),
        _ => None,
    };
    Line {
        ratio,
        ..plain(label, cells)
    }
}

/// A line whose ratio would say nothing: a count, a single sample, a rate with refusals in it.
fn plain(label: &str, cells: figures::Row) -> Line {
    Line {
        label: label.to_owned(),
        cells: cells.map(|cell| cell.ok_or(UNKNOWN)),
        ratio: None,
    }
}

fn rate(run: &Run, sides: Sides) -> Vec<Line> {
    let per_second = sides.map(|arm| arm.requests_per_second);
    let written = figures::amounts(per_second, "/s");
    vec![
        if run.is_comparable() {
            compared("Requests per second", per_second, written)
        } else {
            plain("Requests per second", written)
        },
        plain("Requests", figures::counts(sides.map(|arm| arm.requests))),
        plain("Failures", figures::counts(sides.map(|arm| arm.failures))),
        plain(
            "Measured for",
            figures::amounts(sides.map(|arm| arm.seconds), "s"),
        ),
    ]
}

fn latency(sides: Sides) -> Vec<Line> {
    let times = |label: &str, values| compared(label, values, figures::times(values));
    let mut lines: Vec<Line> = percentiles(sides)
        .into_iter()
        .map(|p| {
            let micros = sides.map(|arm| {
                let known = arm.latency.percentiles.iter();
                known.filter(|q| q.percentile == p).find_map(|q| q.micros)
            });
            times(&format!("p{p}"), micros.map(Option::flatten))
        })
        .collect();
    let timed = |get: fn(&Arm) -> f64| {
        sides
            .map(|arm| (arm.latency.count > 0).then(|| get(arm)))
            .map(Option::flatten)
    };
    lines.push(times("Mean", timed(|arm| arm.latency.mean)));
    lines.push(plain("Max", figures::times(timed(|arm| arm.latency.max))));
    lines
}

/// Those that either arm names, rising.
fn percentiles(sides: Sides) -> Vec<f64> {
    let named = sides.present().flat_map(|arm| &arm.latency.percentiles);
    let mut all: Vec<f64> = named.map(|p| p.percentile).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all
}

fn server(sides: Sides) -> Vec<Line> {
    let known = |get: fn(&ServerUse) -> f64| {
        sides
            .map(|arm| arm.server.as_ref().map(get))
            .map(Option::flatten)
    };
    let memory = |get: fn(&ServerUse) -> f64| {
        figures::memory(known(get).map(|bytes| bytes.map(|b| b as u64)))
    };
    let cpu = known(|server| server.cpu_micros_per_request);
    let cores = known(|server| server.cores_busy);
    let at_rest = |server: &ServerUse| server.memory_at_rest as f64;
    let under_load = |server: &ServerUse| server.memory_under_load as f64;
    let mut lines = vec![
        compared("CPU per request", cpu, figures::times(cpu)),
        compared("Cores busy", cores, figures::amounts(cores, "")),
        compared("Memory at rest", known(at_rest), memory(at_rest)),
        compared("Memory under load", known(under_load), memory(under_load)),
    ];
    let local = sides.map(|arm| arm.server.is_some());
    for line in &mut lines {
        for (cell, local) in line.cells.iter_mut().zip(local) {
            if local == Some(false) {
                *cell = Err(NOT_MEASURED);
            }
        }
    }
    lines
}

fn generator(run: &Run, sides: Sides) -> Vec<Line> {
    let cpu = sides.map(|arm| arm.generator.cpu_micros_per_request);
    let cores = sides.map(|arm| arm.generator.cores_busy);
    let shape = sides.map(|_| Figure {
        text: format!(
            "{} × {}",
            run.load.connections, run.load.in_flight_per_connection
        ),
        unit: "",
    });
    vec![
        compared("CPU per request", cpu, figures::times(cpu)),
        compared("Cores busy", cores, figures::amounts(cores, "")),
        plain("Connections × calls in flight", shape),
        plain(
            "Connections opened",
            figures::counts(sides.map(|arm| arm.connections_opened)),
        ),
    ]
}

fn notes(run: &Run, sides: Sides) -> Markup {
    let too_few = |arm: &Arm| arm.latency.percentiles.iter().any(|p| p.micros.is_none());
    html! {
        ul.notes {
            @if sides.present().any(too_few) {
                li { (UNKNOWN) " at a percentile: fewer than 100 samples beyond it, too few to print." }
            }
            @if sides.present().any(|arm| arm.server.is_none()) {
                li { "Server not measured: the server is not a process on this machine." }
            }
            @for arm in sides.present().filter(|arm| arm.connections_opened > run.load.connections as u64) {
                li {
                    (arm.protocol.name()) " opened " (figures::thousands(arm.connections_opened))
                    " connections for " (figures::thousands(run.load.connections as u64)) " users: some broke on the way."
                }
            }
            @for arm in sides.present() {
                @if let Some(used) = crowded(run, arm) {
                    li {
                        "During " (arm.protocol.name()) ", server and generator kept " (format!("{used:.2}"))
                        " of " (run.machine.cores) " cores busy between them. They competed for the machine, and the rate is theirs together."
                    }
                }
            }
        }
    }
}

/// Cores that server and generator kept busy together, where that is nearly all there are.
fn crowded(run: &Run, arm: &Arm) -> Option<f64> {
    let used = arm.server.as_ref()?.cores_busy + arm.generator.cores_busy;
    (used > 0.85 * run.machine.cores as f64).then_some(used)
}
