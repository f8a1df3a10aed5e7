//! The map: size of a call by how many are in flight, each cell at a rate that both variants bear.

use std::collections::BTreeSet;

use engine::Shape;
use maud::{Markup, html};

use super::measures::claims_table;
use crate::{
    metric::Metric,
    numbers::{counted, ratio, thousands},
    record::{Mode, Run, Service},
    report::capital,
    verdict::{
        MAP, Verdict,
        claim::{Claim, Grade},
        sentence::{self, grade_and_reason, interval, load},
    },
};

/// The maps of a run that has more than one cell.
pub(super) fn section(verdict: &Verdict, run: &Run) -> Option<Markup> {
    let maps: Vec<Markup> = MAP
        .into_iter()
        .filter_map(|metric| figure(metric, verdict))
        .collect();
    if maps.is_empty() {
        let over = match run.service {
            // A row is a call.
            Service::Foreign { .. } => "connections",
            _ => "payload",
        };
        return (run.mode == Mode::Quick).then(|| {
            html! { p.lead { "The map over " (over) " and calls in flight takes " code { "--thorough" } "." } }
        });
    }
    Some(html! {
        @for map in maps { (map) }
    })
}

fn figure(metric: Metric, verdict: &Verdict) -> Option<Markup> {
    let of_metric = verdict.map.iter().filter(|claim| claim.metric == metric);
    let claims: Vec<&Claim> = of_metric.collect();
    let first = claims.first().filter(|_| claims.len() > 1)?;
    let (baseline, candidate) = (&first.baseline.name, &first.candidate.name);
    let (squares, shared): (Vec<&Claim>, Vec<&Claim>) = claims
        .iter()
        .partition(|claim| claim.baseline == first.baseline);
    let shapes: BTreeSet<Shape> = squares.iter().map(|claim| claim.scenario.shape).collect();
    let batches: BTreeSet<u32> = squares.iter().map(|claim| claim.scenario.batch).collect();
    let find = |batch: u32, shape: Shape| {
        let mut found = squares.iter();
        found
            .find(|claim| (claim.scenario.batch, claim.scenario.shape) == (batch, shape))
            .copied()
    };
    let noun = metric.noun();
    Some(html! {
        h3 { (capital(noun)) }
        p.lead { (candidate) "'s " (noun) " divided by " (baseline) "'s, with its 95% interval, at the rate that stands in the cell. Below 1, " (candidate) " takes less." }
        figure {
            div.scroll role="region" aria-label={ "Map, " (noun) } tabindex="0" {
                table.map style=(format!("min-width:{:.1}em", 4.0 + 5.8 * shapes.len() as f64)) {
                    caption { span { "Items in a call, down; connections × calls in flight on each, across" } }
                    thead { tr {
                        td {}
                        @for shape in &shapes { th scope="col" { (across(*shape)) } }
                    } }
                    tbody {
                        @for batch in &batches {
                            tr {
                                th scope="row" { (thousands((*batch).into())) }
                                @for shape in &shapes { (square(find(*batch, *shape))) }
                            }
                        }
                    }
                }
            }
            ul.legend {
                li { span.key.candidate {} (candidate) " takes less" }
                li { span.key.baseline {} (baseline) " takes less" }
                li { span.key.neither {} "no difference" }
                li { span.key.hatched {} "inconclusive" }
            }
            details { summary { "The figures" } (claims_table(&format!("The map, {noun}"), &claims, place)) }
        }
        @for claim in shared { p.notes { (sentence::of(claim)) " Compared with " (claim.baseline.name) "." } }
    })
}

fn square(claim: Option<&Claim>) -> Markup {
    let Some(claim) = claim else {
        return html! { td.empty { "not measured" } };
    };
    let below = claim.estimate.as_ref().is_some_and(|e| e.ratio < 1.0);
    let (class, word) = match claim.grade {
        Grade::Difference if below => ("candidate", claim.candidate.name.clone()),
        Grade::Difference => ("baseline", claim.baseline.name.clone()),
        Grade::NoDifference => ("neither", "neither".into()),
        Grade::Inconclusive(_) => ("hatched", grade_and_reason(claim)),
    };
    let (word, why) = word.split_once(": ").unwrap_or((&word, ""));
    html! {
        td class=(class) {
            strong { (word) }
            @if let Some(estimate) = &claim.estimate {
                span { (ratio(estimate.ratio)) "×" }
                small { (interval(estimate)) }
            }
            small.long { (load(claim.scenario.load)) }
            @if !why.is_empty() { small.long { (why) } }
        }
    }
}

/// A shape as a column names it, such as `32 × 1`.
fn across(shape: Shape) -> String {
    format!("{} × {}", shape.connections, shape.in_flight)
}

/// The cell in words, such as `32 × 1, 100 items, 5,000 requests/s`.
fn place(claim: &Claim) -> String {
    let scenario = &claim.scenario;
    format!(
        "{}, {}, {}",
        across(scenario.shape),
        counted(scenario.batch.into(), "item"),
        load(scenario.load)
    )
}
