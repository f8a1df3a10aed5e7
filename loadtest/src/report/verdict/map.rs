//! The break-even map: size of a call by how many are in flight.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{head::written, provenance::lengths, steps::capital, table::table};
use crate::{
    record::Mode,
    statistics::Finding,
    verdict::{
        MAP, Verdict,
        claim::Claim,
        metric::Metric,
        sentence::{self, counted, interval, name, percent, ratio, reason},
    },
};

/// The maps, where more than one cell was measured.
pub(super) fn figures(verdict: &Verdict, mode: Mode) -> Option<Markup> {
    verdict.map.first()?;
    let maps: Vec<Markup> = MAP
        .into_iter()
        .filter_map(|metric| figure(metric, verdict))
        .collect();
    if maps.is_empty() {
        return (mode == Mode::Quick).then(|| {
            html! { p.lead { "The map over greetings in a call and calls in flight takes " code { "--thorough" } "." } }
        });
    }
    Some(html! {
        @for map in maps { (map) }
        p.notes { "Findings are corrected for the number of cells of both maps (Holm). " (shorter(&verdict.map)) }
    })
}

/// Which cells have shorter blocks than others.
fn shorter(claims: &[Claim]) -> String {
    let longest = claims.iter().map(|claim| claim.cell.window_us).max();
    let short = claims
        .iter()
        .find(|claim| Some(claim.cell.window_us) < longest);
    short.map_or(String::new(), |claim| {
        let alike = |other: &&Claim| {
            other.metric == claim.metric && other.cell.window_us == claim.cell.window_us
        };
        let number = claims.iter().filter(alike).count();
        format!(
            "Of {} that only the map needs, blocks are shorter: {}.",
            counted(number as u64, "cell"),
            lengths(&claim.cell)
        )
    })
}

fn figure(metric: Metric, verdict: &Verdict) -> Option<Markup> {
    let claims: Vec<&Claim> = verdict
        .map
        .iter()
        .filter(|claim| claim.metric == metric)
        .collect();
    let first = claims.first().filter(|_| claims.len() > 1)?;
    let (base, candidate) = (name(&first.base), name(&first.candidate));
    let (squares, shared): (Vec<&Claim>, Vec<&Claim>) =
        claims.iter().partition(|claim| claim.cell.in_flight == 1);
    let shapes: BTreeSet<(u32, u32)> = squares.iter().map(|claim| shape(claim)).collect();
    let batches: BTreeSet<u32> = squares.iter().map(|claim| claim.cell.batch).collect();
    let find = |batch: u32, shape: (u32, u32)| {
        claims
            .iter()
            .copied()
            .find(|claim| claim.cell.batch == batch && self::shape(claim) == shape)
    };
    let noun = metric.noun();
    Some(html! {
        h3 { (capital(noun)) }
        p.lead {
            (candidate) "'s " (noun) " divided by " (base) "'s, with its 95% interval, in a closed loop. Below 1, " (candidate) " takes less."
        }
        figure {
            div.scroll role="region" aria-label={ "Break-even map, " (noun) } tabindex="0" {
                table.map {
                    caption { "Greetings in a call, down; connections × calls in flight on each, across" }
                    thead { tr {
                        td {}
                        @for (connections, in_flight) in &shapes {
                            th scope="col" { (across((*connections, *in_flight))) }
                        }
                    } }
                    tbody {
                        @for batch in &batches {
                            tr {
                                th scope="row" { (counted((*batch).into(), "greeting")) }
                                @for shape in &shapes { (square(find(*batch, *shape))) }
                            }
                        }
                    }
                }
            }
            ul.legend {
                li { span.key.candidate {} (candidate) " takes less" }
                li { span.key.base {} (base) " takes less" }
                li { span.key.neither {} "neither: within ±5%, or they can't be told apart" }
                li { span.key.unknown {} "can't tell: too little was valid" }
            }
            details { summary { "The figures" } (all(metric, &claims)) }
        }
        @for claim in shared {
            p.notes { "On one connection HTTP/1.1 has one call at a time, HTTP/2 many. " (sentence::of(claim)) }
        }
        (unsaid(&claims))
    })
}

/// Which of four kinds of cell it is.
fn kind(claim: &Claim) -> &'static str {
    let below = claim.estimate.as_ref().is_some_and(|e| e.ratio < 1.0);
    match &claim.finding {
        Finding::Difference if below => "candidate",
        Finding::Difference => "base",
        finding if finding.is_without_ground() => "unknown",
        Finding::NoDifference | Finding::CantTell(_) => "neither",
    }
}

fn square(claim: Option<&Claim>) -> Markup {
    let Some(claim) = claim else {
        return html! { td.empty { "not measured" } };
    };
    let kind = kind(claim);
    let word = match kind {
        "candidate" => name(&claim.candidate),
        "base" => name(&claim.base),
        "neither" => "neither".into(),
        _ => "can't tell".into(),
    };
    html! {
        td class=(kind) {
            strong { (word) }
            @if let Some(estimate) = &claim.estimate {
                span { (ratio(estimate.ratio)) "×" }
                small { (interval(estimate)) }
            }
        }
    }
}

/// Connections, and calls in flight on each.
fn shape(claim: &Claim) -> (u32, u32) {
    (claim.cell.connections, claim.cell.in_flight)
}

/// A shape as a column names it, such as `32 × 1`.
fn across((connections, in_flight): (u32, u32)) -> String {
    format!("{connections} × {in_flight}")
}

/// The cell in words, such as `32 × 1, 100 greetings`.
fn place(claim: &Claim) -> String {
    let greetings = counted(claim.cell.batch.into(), "greeting");
    format!("{}, {greetings}", across(shape(claim)))
}

fn all(metric: Metric, claims: &[&Claim]) -> Markup {
    let Some(first) = claims.first() else {
        return html! {};
    };
    let (base, candidate) = (name(&first.base), name(&first.candidate));
    let dash = || "—".to_owned();
    let row = |claim: &&Claim| {
        let value = |index: usize| claim.values[index].map_or_else(dash, |v| written(v, metric));
        let estimate = claim.estimate.as_ref();
        let against = if claim.base == first.base {
            String::new()
        } else {
            format!(", against {}", name(&claim.base))
        };
        vec![
            place(claim) + &against,
            value(0),
            value(1),
            estimate.map_or_else(dash, |e| format!("{}×", ratio(e.ratio))),
            estimate.map_or_else(dash, interval),
            claim
                .floor
                .map_or_else(dash, |floor| format!("±{}", percent(floor.part))),
            claim.adjusted_p.map_or_else(dash, chance),
            claim.pairs.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = claims.iter().map(row).collect();
    let columns = [
        "Cell",
        &base,
        &candidate,
        "Ratio",
        "95% CI",
        "A/A floor",
        "Holm's p",
        "Pairs",
    ];
    table(
        &format!("The figures of the map, {}", metric.noun()),
        &columns,
        &rows,
    )
}

/// A p to three places.
fn chance(p: f64) -> String {
    if p < 0.001 {
        "<0.001".to_owned()
    } else {
        format!("{p:.3}")
    }
}

/// Why cells have no answer.
fn unsaid(claims: &[&Claim]) -> Markup {
    let unsaid: Vec<&&Claim> = claims
        .iter()
        .filter(|claim| !claim.finding.is_told())
        .collect();
    html! {
        @if !unsaid.is_empty() {
            details {
                summary { "Why " (counted(unsaid.len() as u64, "cell")) " can't be told" }
                ul.notes {
                    @for claim in unsaid { li { (place(claim)) ": " (reason(&claim.finding, claim)) "." } }
                }
            }
        }
    }
}
