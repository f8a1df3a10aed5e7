//! The bounds of the figures: validity, the noise floor, and the generator's own limit.

use maud::{Markup, html};

use super::capacity;
use crate::{
    numbers::{self, thousands},
    record::{Disturbance, Recording, Scenario, Trial},
    report::{capital, table::table},
    validity::{COLUMNS, TABLE},
    verdict::{Verdict, claim::Claim, sentence::conditions},
};

pub(super) fn section(recording: &Recording, verdict: &Verdict) -> Markup {
    html! {
        (rules(recording))
        @if let Some(twins) = twins(verdict) { (twins) }
        @if let Some(ceiling) = capacity::ceiling(recording) { (ceiling) }
    }
}

/// Renders the table of disturbances: the measures that each voids, and the number of trials in
/// which it occurred.
fn rules(recording: &Recording) -> Markup {
    let touched = |index: usize| {
        let by_it = |trial: &&Trial| {
            let mut rows = trial.disturbances.iter().map(row);
            rows.any(|row| row == index)
        };
        recording.trials.iter().filter(by_it).count() as u64
    };
    let rows = TABLE.iter().enumerate().map(|(index, (name, rules))| {
        let words = rules.iter().map(|rule| rule.words());
        let head = [capital(name), thousands(touched(index))];
        head.into_iter().chain(words).collect()
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let nouns = COLUMNS.map(|metric| capital(metric.noun()));
    let all = format!("Trials, of {}", thousands(recording.trials.len() as u64));
    let mut columns = vec!["", all.as_str()];
    columns.extend(nouns.iter().map(String::as_str));
    html! {
        h3 { "Validity" }
        p.lead { "A disturbance voids the measures that it falsifies, and no others. Noise that only widens an interval voids nothing: the twin measures it." }
        (table("What each disturbance does to each measure, and how many trials of this run it touched", &columns, &rows))
    }
}

/// The row of [`TABLE`] that `disturbance` belongs to.
fn row(disturbance: &Disturbance) -> usize {
    match disturbance {
        falsified if falsified.falsifies() => 0,
        Disturbance::GeneratorLimit { .. } => 1,
        Disturbance::LateDispatch { .. } => 2,
        Disturbance::Steal { .. } => 3,
        Disturbance::AsksOthers { .. } => 5,
        _ => 4,
    }
}

/// The A/A floor of each scenario by each measure.
fn twins(verdict: &Verdict) -> Option<Markup> {
    let mut scenarios: Vec<&Scenario> = Vec::new();
    for claim in &verdict.aa {
        if !scenarios.contains(&&claim.scenario) {
            scenarios.push(&claim.scenario);
        }
    }
    let floor = |claim: &Claim| claim.floor.map(|floor| numbers::floor(floor.part));
    let rows = scenarios.iter().map(|scenario| {
        let of = |metric| {
            let mut claims = verdict.aa.iter();
            claims.find(|claim| claim.metric == metric && claim.scenario == **scenario)
        };
        let floors = COLUMNS.map(|metric| of(metric).and_then(floor).unwrap_or("—".into()));
        [conditions(scenario)].into_iter().chain(floors).collect()
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let nouns = COLUMNS.map(|metric| capital(metric.noun()));
    let mut columns = vec![""];
    columns.extend(nouns.iter().map(String::as_str));
    (!rows.is_empty()).then(|| {
        html! {
            h3 { "A/A: the baseline and its twin" }
            p.lead { "The twin is the baseline once more, in the same rounds. How far the two differ is the noise of that hour and that load: the further end of the 95% interval of their ratio is the floor, and a difference has to be further from 1 than theirs, beyond the error of both." }
            (table("A/A floor of each scenario", &columns, &rows))
        }
    })
}
