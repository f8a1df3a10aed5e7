//! The figures of a run for the terminal: medians over valid blocks, an arm in each column. The
//! report has more.

use std::fmt::Write;

use crate::{
    original,
    record::{Arm, BlockRecord, Cell, Load, Purpose, Void},
    run::Finished,
    statistics, validity,
    verdict::{
        cells::{Cells, Measured},
        sentence,
    },
};

/// One line of a table: its name, and how it is read off a block.
type Row = (&'static str, fn(&BlockRecord) -> Option<f64>);

const ROWS: [Row; 6] = [
    ("requests/s", |block| Some(block.requests_per_second())),
    ("p50, µs", |block| percentile(block, 50.0)),
    ("p99, µs", |block| percentile(block, 99.0)),
    (
        "server CPU, µs each",
        BlockRecord::server_cpu_us_per_request,
    ),
    (
        "generator CPU, µs each",
        BlockRecord::generator_cpu_us_per_request,
    ),
    ("bytes each", |block| {
        let wire = block.wire?;
        Some(wire.sent_bytes_per_request + wire.received_bytes_per_request)
    }),
];

/// The figures of a run, and what should be known about them.
pub fn of(finished: &Finished) -> String {
    let mut text = String::new();
    for cell in Cells::of(&finished.recording).all() {
        let _ = writeln!(text, "\n{}", table(cell));
    }
    text.push('\n');
    for note in notes(finished) {
        let _ = writeln!(text, "{note}");
    }
    let steps = &finished.verdict.seed;
    if steps.is_empty() {
        let _ = writeln!(text, "\n{}", finished.verdict.sentence());
    }
    for step in steps {
        let _ = writeln!(text, "\n{}", sentence::of(step));
    }
    text
}

fn table(measured: &Measured<'_>) -> String {
    let arms = &measured.cell.arms;
    let width = |label: &str| label.chars().count().max(10);
    let mut text = title(measured.cell);
    let mut line = |name: &str, of: &dyn Fn(&(Arm, String)) -> String| {
        let _ = write!(text, "\n{name:<22}");
        for arm in arms {
            let _ = write!(text, " {:>1$}", of(arm), width(&arm.1));
        }
    };
    line("", &|arm| arm.1.clone());
    for (name, read) in ROWS {
        line(name, &|arm| figure(measured.mean(arm, read)));
    }
    if measured.cell.purpose == Purpose::Seed {
        line("p50, whole ms", &|arm| {
            let median = measured.mean(arm, |block| percentile(block, 50.0));
            figure(median.map(original::whole_milliseconds))
        });
    }
    line("valid blocks", &|arm| {
        measured.valid_blocks(arm).len().to_string()
    });
    text
}

fn title(cell: &Cell) -> String {
    let load = match cell.load {
        Load::Closed => "closed loop".to_owned(),
        Load::Open { per_second } => format!("open loop, {per_second} calls/s"),
    };
    let why = match cell.purpose {
        Purpose::Aa => "A/A, one arm under two names; ",
        Purpose::Seed => "the original's comparison; ",
        _ => "",
    };
    let greetings = match cell.batch {
        1 => String::new(),
        batch => format!(", {batch} greetings per call"),
    };
    format!(
        "{why}{load}, {} × {} in flight{greetings}",
        sentence::counted(cell.connections.into(), "connection"),
        cell.in_flight
    )
}

fn notes(finished: &Finished) -> Vec<String> {
    let (run, blocks) = (&finished.recording.run, &finished.recording.blocks);
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
    for block in blocks.iter().filter(|block| !block.is_valid()) {
        let reasons: Vec<_> = block.void.iter().map(ToString::to_string).collect();
        notes.push(format!(
            "VOID: block {}, {}: {}",
            block.number,
            block.arm.name(),
            reasons.join("; ")
        ));
    }
    if validity::too_many_void(blocks) {
        notes.push("Most blocks are VOID: the run gave up, and no more were measured.".to_owned());
        let has = |block: &BlockRecord, test: fn(&Void) -> bool| block.void.iter().any(test);
        let is_late = |void: &Void| matches!(void, Void::PacerLate { .. });
        // A generator at its limit is late by itself.
        let is_busy = |void: &Void| matches!(void, Void::GeneratorBusy { .. });
        let is_others = |void: &Void| matches!(void, Void::Others { .. });
        if blocks
            .iter()
            .any(|block| has(block, is_others) || has(block, is_late) && !has(block, is_busy))
        {
            let advice = "Something else used these cores: stop it, and run again.";
            notes.push(advice.to_owned());
        }
        let is_stolen = |void: &Void| matches!(void, Void::Steal { .. });
        if blocks.iter().any(|block| has(block, is_stolen)) {
            let advice =
                "The hypervisor gave these cores to other machines: run again at another time.";
            notes.push(advice.to_owned());
        }
    }
    for found in &run.capacity {
        let rate = |rate: Option<f64>| rate.map_or("none".to_owned(), |rate| format!("{rate}/s"));
        notes.push(format!(
            "Capacity of {}: {} met the objective, {} missed it{}",
            found.arm.name(),
            rate(found.met_per_second),
            rate(found.missed_per_second),
            match (found.disturbed, found.generator_bound) {
                (true, _) => "; the search ended where blocks told nothing",
                (_, true) => "; the generator can give no more",
                _ => "",
            }
        ));
    }
    notes.extend(
        run.thresholds_missed
            .iter()
            .map(|missed| format!("Threshold missed: {missed}")),
    );
    notes
}

/// A percentile, from the intended start where there is one, with enough samples beyond it.
fn percentile(block: &BlockRecord, percentile: f64) -> Option<f64> {
    let latency = &block.latency;
    let times = latency.corrected.as_ref().unwrap_or(&latency.uncorrected);
    statistics::percentile_us(times, percentile)
}

/// A number with as many digits as mean something.
fn figure(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.fract() != 0.0 && value < 100.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}
