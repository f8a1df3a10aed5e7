//! The verdict for the terminal, and in Markdown to be pasted. The report has more.

use std::fmt::Write;

use crate::{
    numbers::{self, counted, ratio, with_unit},
    record::{Purpose, Recording, Trial},
    verdict::{
        Verdict,
        claim::Claim,
        sentence::{self, conditions, interval},
    },
};

/// Columns of both tables.
const COLUMNS: [&str; 7] = [
    "",
    "baseline",
    "candidate",
    "ratio",
    "95% CI",
    "A/A floor",
    "grade",
];

/// The terminal summary: every claim that is no place of the map, what should be known about them, and the
/// verdict with what it means.
pub fn of(recording: &Recording, verdict: &Verdict) -> String {
    let mut text = String::new();
    for claims in by_scenario(verdict) {
        let _ = writeln!(text, "\n{}", conditions(&claims[0].scenario));
        text += &aligned(&claims);
    }
    text.push('\n');
    for note in notes(recording) {
        let _ = writeln!(text, "{note}");
    }
    for answer in &verdict.requirements {
        let _ = writeln!(text, "{answer}");
    }
    let _ = writeln!(text, "\n{}", verdict.sentence());
    for line in verdict.meaning() {
        let _ = writeln!(text, "  {line}");
    }
    let more = verdict
        .headline
        .iter()
        .skip(1)
        .chain(verdict.original.iter().skip(1));
    for claim in more {
        let _ = writeln!(text, "{}", sentence::of(claim));
    }
    text
}

/// The summary in Markdown: sentences, claims, and how they came about.
pub fn markdown(recording: &Recording, verdict: &Verdict) -> String {
    let run = &recording.run;
    let mut text = format!("**{}**\n", verdict.sentence());
    for line in verdict.meaning() {
        let _ = write!(text, "\n{line}");
    }
    if !verdict.requirements.is_empty() {
        text += "\n";
    }
    for answer in &verdict.requirements {
        let _ = write!(text, "\n- {answer}");
    }
    for claims in by_scenario(verdict) {
        let _ = write!(text, "\n\nAt {}:\n", conditions(&claims[0].scenario));
        for cells in std::iter::once(header(claims[0]))
            .chain([rule()])
            .chain(claims.iter().map(|claim| row(claim)))
        {
            let _ = write!(
                text,
                "\n| {} |",
                cells.map(|cell| cell.replace('|', "\\|")).join(" | ")
            );
        }
    }
    let machines = run.machines.iter().map(|machine| {
        let cpu = machine.cpu.as_deref().unwrap_or("processor not known");
        format!(
            "{cpu}, {}, {}",
            counted(machine.cores.into(), "core"),
            machine.kernel
        )
    });
    let rounds = verdict
        .claims()
        .map(|claim| claim.rounds_run)
        .max()
        .unwrap_or_default();
    let _ = write!(
        text,
        "\n\n{}, {}, started {}; loadtest {} ({}). A/A floor: by how much the baseline differs from its twin in the \
         same rounds.\n",
        machines.collect::<Vec<_>>().join("; "),
        counted(rounds as u64, "round"),
        run.started_at,
        run.tool.version,
        run.tool.commit.as_deref().unwrap_or("commit not known"),
    );
    for note in notes(recording) {
        let _ = write!(text, "\n{note}");
    }
    let _ = write!(text, "\n```sh\n{}\n```\n", run.command);
    text
}

/// The claims that are no places of the map, those of each scenario together.
fn by_scenario(verdict: &Verdict) -> Vec<Vec<&Claim>> {
    let claims = verdict
        .headline
        .iter()
        .chain(&verdict.others)
        .chain(&verdict.original);
    let mut groups: Vec<Vec<&Claim>> = Vec::new();
    for claim in claims {
        let like = |group: &&mut Vec<&Claim>| {
            group[0].scenario == claim.scenario && group[0].candidate == claim.candidate
        };
        match groups.iter_mut().find(like) {
            Some(group) => group.push(claim),
            None => groups.push(vec![claim]),
        }
    }
    groups
}

fn header(claim: &Claim) -> [String; 7] {
    let mut header = COLUMNS.map(str::to_owned);
    header[1].clone_from(&claim.baseline.name);
    header[2].clone_from(&claim.candidate.name);
    header
}

fn rule() -> [String; 7] {
    ["---", "--:", "--:", "--:", "--:", "--:", "---"].map(str::to_owned)
}

fn row(claim: &Claim) -> [String; 7] {
    let dash = || "-".to_owned();
    let [baseline, candidate] = claim
        .values
        .map(|value| value.map_or_else(dash, |value| with_unit(value, claim.metric)));
    let estimate = claim.estimate.as_ref();
    [
        claim.metric.noun().to_owned(),
        baseline,
        candidate,
        estimate.map_or_else(dash, |estimate| format!("{}×", ratio(estimate.ratio))),
        estimate.map_or_else(dash, interval),
        claim
            .floor
            .map_or_else(dash, |floor| numbers::floor(floor.part)),
        sentence::grade(&claim.grade),
    ]
}

fn aligned(claims: &[&Claim]) -> String {
    let rows: Vec<[String; 7]> = std::iter::once(header(claims[0]))
        .chain(claims.iter().map(|claim| row(claim)))
        .collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = width(column);
            let _ = match column {
                0 | 6 => write!(line, "{cell:<width$}  "),
                _ => write!(line, "{cell:>width$}  "),
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// Returns the notes that a reader of the figures should know, the gravest first.
fn notes(recording: &Recording) -> Vec<String> {
    let run = &recording.run;
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
    // A search for capacity goes beyond what can be done.
    let is_lost = |trial: &&Trial| !trial.is_sound() && trial.purpose != Purpose::Capacity;
    let lost: Vec<&Trial> = recording.trials.iter().filter(is_lost).collect();
    notes.extend(lost.iter().map(|trial| {
        let reasons: Vec<_> = trial.disturbances.iter().map(ToString::to_string).collect();
        format!(
            "Void: trial {}, {}: {}",
            trial.number,
            trial.variant.name,
            reasons.join("; ")
        )
    }));
    for found in &run.capacity {
        let rate =
            |rate: Option<f64>| rate.map_or("none".to_owned(), |rate| format!("{rate} requests/s"));
        notes.push(format!(
            "Capacity of {}: {} met the objective, {} missed it{}",
            found.name(),
            rate(found.met_per_second),
            rate(found.missed_per_second),
            match (found.disturbed, found.generator_bound) {
                (true, _) => "; inconclusive: the machine was disturbed, and the search ended",
                (_, true) => "; inconclusive: the generator can give no more",
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
