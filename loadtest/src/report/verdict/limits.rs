//! What bounds the figures: the rates that met the objective, the generator's own limit, and A/A.

use maud::{Markup, html};

use super::{
    head::written,
    range::Range,
    rows::{Mark, Row, Rows},
    steps::capital,
    table::table,
};
use crate::{
    record::{BlockRecord, Ceiling, Cell, Load, Purpose, Recording},
    report::figures::{decimals, share},
    statistics::Floor,
    verdict::{
        Verdict,
        claim::Claim,
        sentence::{conditions, counted, interval, name, percent, ratio},
    },
};

/// The highest rate of each arm that met the objective.
pub(super) fn capacity(recording: &Recording) -> Option<Markup> {
    let run = &recording.run;
    let objective = run.objective.filter(|_| !run.capacity.is_empty())?;
    let rate =
        |rate: Option<f64>| rate.map_or("—".into(), |rate| format!("{}/s", decimals(rate, 0)));
    let rows: Vec<Vec<String>> = run
        .capacity
        .iter()
        .map(|found| {
            let limit = match (found.generator_bound, found.met_per_second) {
                _ if found.disturbed => "not known: blocks told nothing, and the search ended",
                (true, _) => "the generator: this arm can do at least this",
                (false, Some(_)) => "the objective",
                (false, None) => "no rate that was tried met it",
            };
            vec![
                format!(
                    "{}, {} × {}",
                    found.arm.name(),
                    counted(found.connections.into(), "connection"),
                    found.in_flight
                ),
                rate(found.met_per_second),
                rate(found.missed_per_second),
                limit.into(),
            ]
        })
        .collect();
    let below = decimals(
        objective.below_us as f64 / 1e3,
        if objective.below_us.is_multiple_of(1000) {
            0
        } else {
            3
        },
    );
    Some(html! {
        p.lead {
            "The highest rate of an open loop at which p" (objective.percentile) " stays below " (below) " ms, found by search. One search for each arm: no interval."
        }
        (table("Capacity", &["Arm", "Met at", "Missed at", "Bounded by"], &rows))
    })
}

/// The generator's own limit, and by how much one arm differs from itself.
pub(super) fn instrument(recording: &Recording, verdict: &Verdict) -> Option<Markup> {
    let (ceiling, aa) = (ceiling(recording), aa(verdict));
    (ceiling.is_some() || aa.is_some())
        .then(|| html! { (ceiling.unwrap_or_default()) (aa.unwrap_or_default()) })
}

fn ceiling(recording: &Recording) -> Option<Markup> {
    // Of the same shape: a ceiling says nothing about another.
    let highest = |ceiling: &Ceiling| {
        let alike = |block: &&BlockRecord| {
            block.purpose != Purpose::Ceiling
                && block.is_valid()
                && (block.arm, block.connections, block.in_flight, block.batch)
                    == (ceiling.arm, ceiling.connections, ceiling.in_flight, 1)
        };
        let rates = recording.blocks.iter().filter(alike);
        rates.map(BlockRecord::requests_per_second).reduce(f64::max)
    };
    let rows: Vec<Vec<String>> = recording
        .run
        .ceiling
        .iter()
        .map(|ceiling| {
            let limit = ceiling.requests_per_second;
            let reached = highest(ceiling);
            vec![
                format!(
                    "{}, {} × {}",
                    ceiling.arm.name(),
                    counted(ceiling.connections.into(), "connection"),
                    ceiling.in_flight
                ),
                format!("{}/s", decimals(limit, 0)),
                format!("{} µs", decimals(ceiling.generator_cpu_us_per_request, 1)),
                reached.map_or("—".into(), |rate| format!("{}/s", decimals(rate, 0))),
                reached.map_or("—".into(), |rate| share(rate as u64, limit as u64)),
            ]
        })
        .collect();
    (!rows.is_empty()).then(|| {
        html! {
            h3 { "The generator's own ceiling" }
            p.lead { "Against a server that answers with fixed bytes. A rate near it is the generator's, not the service's. It is measured once for each arm, in one block: where a share is above 100% it was no ceiling, and says nothing." }
            (table("The generator's own ceiling", &["Arm", "Ceiling", "Client CPU each", "Highest rate of this run", "Share"], &rows))
        }
    })
}

/// A chart for each A/A cell.
fn aa(verdict: &Verdict) -> Option<Markup> {
    let mut cells: Vec<&Cell> = Vec::new();
    for claim in &verdict.aa {
        if !cells.contains(&&claim.cell) {
            cells.push(&claim.cell);
        }
    }
    let charts: Vec<Markup> = cells
        .into_iter()
        .enumerate()
        .filter_map(|(index, cell)| aa_of(index, cell, verdict))
        .collect();
    (!charts.is_empty()).then(|| {
        html! {
            h3 { "A/A: one arm under two names" }
            @for chart in charts { (chart) }
            @if borrows(verdict) {
                p.notes { "The closed loop has no A/A run of its own here: what is said of it is held against the open loop's floor, but for requests per second, which the pacer gives there. " code { "--thorough" } " measures both." }
            }
        }
    })
}

/// Whether a claim on the closed loop stands on the floor of an open one.
fn borrows(verdict: &Verdict) -> bool {
    let is_closed = |claim: &Claim| claim.cell.load == Load::Closed;
    verdict.headline.iter().any(is_closed) && !verdict.aa.iter().any(is_closed)
}

fn aa_of(index: usize, cell: &Cell, verdict: &Verdict) -> Option<Markup> {
    let claims: Vec<_> = verdict
        .aa
        .iter()
        .filter(|claim| claim.cell == *cell)
        .filter_map(|claim| Some((claim, claim.estimate.as_ref()?)))
        .collect();
    let first = claims.first()?.0;
    let rows: Vec<Row> = claims
        .iter()
        .map(|(claim, estimate)| Row {
            name: claim.metric.noun().into(),
            value: format!("floor ±{}", percent(Floor::of(estimate.interval).part)),
            class: format!("arm-{}", claim.base.0.letter()),
            marks: estimate
                .ratios
                .iter()
                .map(|one| Mark::Dot {
                    at: *one,
                    text: format!("{}×", ratio(*one)),
                })
                .chain([Mark::Whisker {
                    low: estimate.interval.low,
                    high: estimate.interval.high,
                }])
                .collect(),
        })
        .collect();
    let cells: Vec<Vec<String>> = claims
        .iter()
        .map(|(claim, estimate)| {
            let value = |index: usize| {
                claim.values[index].map_or("—".into(), |v| written(v, claim.metric))
            };
            vec![
                capital(claim.metric.noun()),
                value(0),
                value(1),
                format!("{}×", ratio(estimate.ratio)),
                interval(estimate),
                format!("±{}", percent(Floor::of(estimate.interval).part)),
            ]
        })
        .collect();
    let ends = claims.iter().flat_map(|(_, e)| {
        [e.interval.low, e.interval.high, 1.0]
            .into_iter()
            .chain(e.ratios.iter().copied())
    });
    let holds = claims.iter().all(|(_, e)| e.interval.contains(1.0));
    let chart = Rows {
        id: format!("aa-{index}"),
        title: "One arm under two names".into(),
        description: cells
            .iter()
            .map(|row| format!("{}: {} (95% CI {}).", row[0], row[3], row[4]))
            .collect::<Vec<_>>()
            .join(" "),
        range: Range::holding(ends),
        axis: "one name divided by the other".into(),
        line: Some(1.0),
        band: None,
        rows,
    };
    let (one, other) = (name(&first.base), name(&first.candidate));
    Some(html! {
        p.lead {
            (one) " and " (other) " are the same, at " (conditions(&first.cell)) ". The further end of an interval is the floor under every claim by that metric in a load like it. "
            @if holds { "Every interval contains 1, as it should." } @else { strong { "An interval does not contain 1: in one of twenty it may; more often, the machine is not steady." } }
        }
        (chart.figure(&html! { "Dots: pairs. Whiskers: 95% intervals." }, &table("A/A", &["Metric", &one, &other, "Ratio", "95% CI", "Floor"], &cells)))
    })
}
