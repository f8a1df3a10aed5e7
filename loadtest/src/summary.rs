//! The result of a run for the terminal. The report has more.

use std::fmt::Write;

use crate::result::{Arm, Protocol, Run};

/// One line of the table: its name, and how it is read off an arm.
type Row = (&'static str, fn(&Arm) -> Option<f64>);

const ROWS: [Row; 7] = [
    ("requests/s", |arm| Some(arm.requests_per_second)),
    ("p50, µs", |arm| percentile(arm, 50.0)),
    ("p99, µs", |arm| percentile(arm, 99.0)),
    ("p99.9, µs", |arm| percentile(arm, 99.9)),
    ("server CPU, µs each", |arm| {
        Some(arm.server?.cpu_micros_per_request)
    }),
    ("generator CPU, µs each", |arm| {
        Some(arm.generator.cpu_micros_per_request)
    }),
    ("bad answers", |arm| Some(arm.failures as f64)),
];

/// The figures of `run` side by side, and what should be known about them.
pub fn of(run: &Run) -> String {
    let arm = |protocol| run.arms.iter().find(|arm| arm.protocol == protocol);
    let (rest, grpc) = (arm(Protocol::Rest), arm(Protocol::Grpc));
    let mut text = format!(
        "\n{:<22} {:>10} {:>10} {:>10}\n",
        "", "REST", "gRPC", "gRPC/REST"
    );
    for (name, read) in ROWS {
        let (rest, grpc) = (rest.and_then(read), grpc.and_then(read));
        let ratio = rest
            .zip(grpc)
            .filter(|(rest, _)| *rest > 0.0)
            .map(|(rest, grpc)| grpc / rest);
        let ratio = ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
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
    for arm in &run.arms {
        let name = arm.protocol.name();
        for status in arm.statuses.iter().filter(|status| !status.ok) {
            notes.push(format!("{name}: {} × {}", status.count, status.status));
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
        Some(value) if value != 0.0 && value < 100.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}
