//! The sentence, what it means, and both sides of each claim of the headline.

use maud::{Markup, html};

use super::provenance::extent;
use crate::{
    numbers::{self, counted, ratio, with_unit},
    record::{Recording, Run},
    report::capital,
    verdict::{
        Verdict,
        claim::Claim,
        sentence::{self, conditions},
    },
};

/// The top of the page.
pub(super) fn header(recording: &Recording, verdict: &Verdict) -> Markup {
    let sentence = verdict.sentence();
    let (plainly, rest) = match sentence.split_once(" (") {
        Some((plainly, rest)) => (plainly, Some(rest)),
        None => (sentence.as_str(), None),
    };
    let [of_rest, of_grpc] = match verdict.headline.first() {
        Some(claim) => [claim.baseline.name.as_str(), claim.candidate.name.as_str()],
        None => recording.run.service.names(),
    };
    html! {
        p.eyebrow { (of_rest) " and " (of_grpc) ", compared" }
        h1 { (plainly) @if let Some(rest) = rest { " " span { "(" (rest) } } }
        ul.meaning { @for line in verdict.meaning() { li { (line) } } }
        div.claims { @for claim in &verdict.headline { (both_sides(claim)) } }
        p.notes { (extent(recording)) ". CI: confidence interval, over rounds. A/A floor: by how much " (of_rest) " differs from its twin, which is " (of_rest) " once more in the same rounds." }
        (banners(&recording.run))
    }
}

/// Both values side by side, and what the ratio of them is worth.
pub(super) fn both_sides(claim: &Claim) -> Markup {
    let largest = claim
        .values
        .iter()
        .flatten()
        .fold(0.0, |a: f64, b| a.max(*b));
    let sides = [&claim.baseline, &claim.candidate]
        .into_iter()
        .zip(claim.values);
    html! {
        article class={ "claim" @if !claim.grade.is_conclusive() { " inconclusive" } } {
            h2 { (capital(claim.metric.noun())) }
            small { (capital(&conditions(&claim.scenario))) }
            span.grade { (claim.grade.word()) }
            dl.sides {
                @for (variant, value) in sides {
                    div class=(variant.protocol.slug()) {
                        dt { (variant.name) }
                        dd {
                            (value.map_or("—".into(), |value| with_unit(value, claim.metric)))
                            @if let Some(value) = value { span.bar style=(format!("width:{:.1}%", value / largest * 100.0)) {} }
                        }
                    }
                }
            }
            @if let Some(estimate) = &claim.estimate {
                p.ratio { (ratio(estimate.ratio)) "× " small { "95% CI " (sentence::interval(estimate)) } }
            } @else {
                p.ratio { "no estimate" }
            }
            small { (stands_on(claim)) }
            @if let Some(reason) = sentence::reason(claim) { small { (capital(&reason)) } }
        }
    }
}

/// Such as `A/A floor ±2%; 8 rounds of 10`.
fn stands_on(claim: &Claim) -> String {
    let floor = claim.floor.map_or("no A/A floor".to_owned(), |floor| {
        format!("A/A floor {}", numbers::floor(floor.part))
    });
    let rounds = counted(claim.rounds as u64, "round");
    if claim.rounds == claim.rounds_run {
        format!("{floor}; {rounds}")
    } else {
        format!("{floor}; {rounds} of {}", claim.rounds_run)
    }
}

/// Renders the banners that qualify every figure below, the gravest first.
fn banners(run: &Run) -> Markup {
    html! {
        @if !run.tool.release {
            (banner("bad", "Debug build: its figures say nothing.", "Build with --release and run again."))
        }
        @if let Some(reason) = &run.cut_short {
            (banner("warn", &format!("Cut short: {}.", reason.trim_end_matches('.')), "The figures cover what was measured until then."))
        }
        @if !run.thresholds_missed.is_empty() {
            (banner("warn", "Thresholds missed:", &run.thresholds_missed.join("; ")))
        }
    }
}

fn banner(kind: &str, title: &str, text: &str) -> Markup {
    html! { div class={ "banner " (kind) } role="note" { strong { (title) } p { (text) } } }
}
