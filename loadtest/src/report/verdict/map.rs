//! The break-even map: size of a call by how many are in flight.

use std::collections::BTreeSet;

use maud::{Markup, html};

use crate::{
    statistics::Finding,
    verdict::{
        Verdict,
        claim::Claim,
        sentence::{counted, interval, name, ratio, reason},
    },
};

/// The map, where more than one cell was measured.
pub(super) fn figure(verdict: &Verdict) -> Option<Markup> {
    let claims = &verdict.map;
    let first = claims.first().filter(|_| claims.len() > 1)?;
    let (base, candidate) = (name(&first.base), name(&first.candidate));
    let shapes: BTreeSet<(u32, u32)> = claims
        .iter()
        .map(|claim| (claim.cell.connections, claim.cell.in_flight))
        .collect();
    let batches: BTreeSet<u32> = claims.iter().map(|claim| claim.cell.batch).collect();
    let find = |batch: u32, shape: (u32, u32)| {
        claims.iter().find(|claim| {
            claim.cell.batch == batch && (claim.cell.connections, claim.cell.in_flight) == shape
        })
    };
    Some(html! {
        p.lead {
            (candidate) "'s median latency divided by " (base) "'s, with its 95% interval, in a closed loop. Below 1, " (candidate) " is quicker."
        }
        figure {
            div.scroll role="region" aria-label="Break-even map" tabindex="0" {
                table.map {
                    caption { "Greetings in a call, down; connections × calls in flight, across" }
                    thead { tr {
                        td {}
                        @for (connections, in_flight) in &shapes {
                            th scope="col" { (connections) " × " (in_flight) }
                        }
                    } }
                    tbody {
                        @for batch in &batches {
                            tr {
                                th scope="row" { (counted((*batch).into(), "greeting")) }
                                @for shape in &shapes { (square(find(*batch, *shape), &base, &candidate)) }
                            }
                        }
                    }
                }
            }
            ul.legend {
                li { span.key.candidate {} (candidate) " quicker" }
                li { span.key.base {} (base) " quicker" }
                li { span.key.neither {} "neither: within ±5%" }
                li { span.key.unknown {} "can't tell" }
            }
        }
        (unsaid(claims))
    })
}

fn square(claim: Option<&Claim>, base: &str, candidate: &str) -> Markup {
    let Some(claim) = claim else {
        return html! { td.empty { "not measured" } };
    };
    let below = claim.estimate.as_ref().is_some_and(|e| e.ratio < 1.0);
    let (class, word) = match &claim.finding {
        Finding::Difference if below => ("candidate", candidate),
        Finding::Difference => ("base", base),
        Finding::NoDifference => ("neither", "neither"),
        Finding::CantTell(_) => ("unknown", "can't tell"),
    };
    html! {
        td class=(class) {
            strong { (word) }
            @if let Some(estimate) = &claim.estimate {
                span { (ratio(estimate.ratio)) "×" }
                small { (interval(estimate)) }
            }
        }
    }
}

/// Why cells have no answer.
fn unsaid(claims: &[Claim]) -> Markup {
    let unsaid: Vec<&Claim> = claims
        .iter()
        .filter(|claim| matches!(claim.finding, Finding::CantTell(_)))
        .collect();
    html! {
        @if !unsaid.is_empty() {
            details {
                summary { "Why " (counted(unsaid.len() as u64, "cell")) " can't tell" }
                ul.notes {
                    @for claim in unsaid {
                        li {
                            (claim.cell.connections) " × " (claim.cell.in_flight) ", "
                            (counted(claim.cell.batch.into(), "greeting")) ": " (reason(&claim.finding, claim)) "."
                        }
                    }
                }
            }
        }
    }
}
