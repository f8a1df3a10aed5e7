//! The result of a run for the terminal. The report has more.

use std::fmt::Write;

use crate::result::{Arm, Protocol, Run};

/// One line of the table: its name, how it is read off an arm, and whether a ratio says anything
/// where answers were bad or an arm was cut short.
type Row = (&'static str, fn(&Arm) -> Option<f64>, Ratio);

#[derive(Clone, Copy, PartialEq)]
enum Ratio {
    Always,
    OfGoodRuns,
    Never,
}

const ROWS: [Row; 7] = [
    (
        "requests/s",
        |arm| Some(arm.requests_per_second),
        Ratio::OfGoodRuns,
    ),
    ("p50, µs", |arm| percentile(arm, 50.0), Ratio::Always),
    ("p99, µs", |arm| percentile(arm, 99.0), Ratio::Always),
    ("p99.9, µs", |arm| percentile(arm, 99.9), Ratio::Always),
    (
        "server CPU, µs each",
        |arm| Some(arm.server.as_ref()?.cpu_micros_per_request),
        Ratio::OfGoodRuns,
    ),
    (
        "generator CPU, µs each",
        |arm| Some(arm.generator.cpu_micros_per_request),
        Ratio::OfGoodRuns,
    ),
    ("bad answers", |arm| Some(arm.failures as f64), Ratio::Never),
];

/// The figures of `run` side by side, and what should be known about them.
pub fn of(run: &Run) -> String {
    let arm = |protocol| run.arms.iter().find(|arm| arm.protocol == protocol);
    let (rest, grpc) = (arm(Protocol::Rest), arm(Protocol::Grpc));
    let mut text = format!(
        "\n{:<22} {:>10} {:>10} {:>10}\n",
        "", "REST", "gRPC", "gRPC/REST"
    );
    for (name, read, ratio) in ROWS {
        let (rest, grpc) = (rest.and_then(read), grpc.and_then(read));
        let says = ratio == Ratio::Always || ratio == Ratio::OfGoodRuns && run.is_comparable();
        let ratio = rest.zip(grpc).filter(|(rest, _)| says && *rest > 0.0);
        let ratio = ratio.map_or("-".to_owned(), |(rest, grpc)| format!("{:.2}", grpc / rest));
        let _ = writeln!(
            text,
            "{name:<22} {:>10} {:>10} {ratio:>10}",
            figure(rest),
            figure(grpc)
        );
    }
    text.push('\n');
    for note in notes(run) {
        let _ = writeln!(text, "{note}");
    }
    text
}

fn notes(run: &Run) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(reason) = &run.cut_short {
        notes.push(format!(
            "Cut short: {reason}. The figures cover what was measured until then."
        ));
    }
    if !run.tool.release {
        notes.push(
            "A debug build was measured: these figures say nothing. Use cargo run --release."
                .to_owned(),
        );
    }
    let unknown = |arm: &Arm| arm.latency.count > 0 && percentile(arm, 99.9).is_none();
    if run.arms.iter().any(unknown) {
        notes.push(
            "-: fewer than 100 samples lie beyond that percentile; measure longer.".to_owned(),
        );
    }
    for arm in &run.arms {
        let name = arm.protocol.name();
        for status in arm.statuses.iter().filter(|status| !status.ok) {
            notes.push(format!(
                "{name}: {} × {}, warm-up included",
                status.count, status.status
            ));
        }
        for missed in &arm.thresholds_missed {
            notes.push(format!("{name}: threshold missed: {missed}"));
        }
    }
    notes
}

fn percentile(arm: &Arm, percentile: f64) -> Option<f64> {
    let found = arm
        .latency
        .percentiles
        .iter()
        .find(|p| p.percentile == percentile)?;
    found.micros
}

/// A number with as many digits as mean something.
fn figure(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.fract() != 0.0 && value < 100.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}
