//! Every block as a dot, and those that do not count with the reason.

use maud::{Markup, html};

use super::{
    head::written,
    range::Range,
    rows::{Mark, Row, Rows},
    steps::capital,
    table::table,
};
use crate::{
    record::{BlockRecord, Recording},
    verdict::{
        Verdict,
        cells::{Cells, Measured},
        metric::Metric,
        sentence::{conditions, counted, name},
    },
};

/// The blocks behind each claim of the headline.
pub(super) fn figures(verdict: &Verdict, cells: &Cells) -> Option<Markup> {
    let charts: Vec<Markup> = verdict
        .headline
        .iter()
        .enumerate()
        .filter_map(|(index, claim)| {
            let measured = cells.all().find(|measured| *measured.cell == claim.cell)?;
            chart(index, measured, claim.metric)
        })
        .collect();
    (!charts.is_empty()).then(|| {
        html! {
            p.lead { "A dot is a block. What spreads within a row is chance; a difference between rows counts only beyond it. A cross is a VOID block." }
            @for chart in charts { (chart) }
        }
    })
}

fn chart(index: usize, measured: &Measured, metric: Metric) -> Option<Markup> {
    let of_arm = |label: &str| {
        let blocks = measured.blocks.iter().filter(|block| block.label == label);
        blocks
            .filter_map(|block| Some((*block, metric.of(block)?)))
            .collect::<Vec<_>>()
    };
    let arms: Vec<_> = measured
        .cell
        .arms
        .iter()
        .map(|arm| (arm, of_arm(&arm.1)))
        .collect();
    if arms.iter().all(|(_, blocks)| blocks.is_empty()) {
        return None;
    }
    let rows = arms
        .iter()
        .map(|(arm, blocks)| Row {
            name: format!("{} ({})", arm.0.name(), arm.1),
            value: count(blocks),
            class: format!("arm-{}", arm.0.letter()),
            marks: blocks
                .iter()
                .map(|(block, value)| mark(block, *value, metric))
                .collect(),
        })
        .collect();
    let noun = metric.noun();
    let spread = arms
        .iter()
        .filter(|(_, blocks)| !blocks.is_empty())
        .map(|(arm, blocks)| {
            let values = blocks.iter().map(|(_, value)| *value);
            let (low, high) = (
                values.clone().fold(f64::INFINITY, f64::min),
                values.fold(0.0, f64::max),
            );
            format!(
                "{}: {} to {}.",
                arm.0.name(),
                written(low, metric),
                written(high, metric)
            )
        });
    let chart = Rows {
        id: format!("blocks-{index}"),
        title: format!("{noun} of every block"),
        description: spread.collect::<Vec<_>>().join(" "),
        range: Range::holding(
            arms.iter()
                .flat_map(|(_, blocks)| blocks.iter().map(|b| b.1)),
        ),
        axis: format!("{noun}, {}", metric.unit()),
        line: None,
        band: None,
        rows,
    };
    let cells: Vec<Vec<String>> = arms
        .iter()
        .flat_map(|(_, blocks)| blocks)
        .map(|(block, value)| {
            let state = if block.is_valid() { "counts" } else { "VOID" };
            vec![
                format!("block {}", block.number),
                block.label.clone(),
                block.pair.to_string(),
                written(*value, metric),
                state.into(),
            ]
        })
        .collect();
    Some(html! {
        h3 { (capital(noun)) ", " (conditions(measured.cell)) }
        (chart.figure(&html! {}, &table("Every block", &["Block", "Arm", "Pair", &capital(noun), ""], &cells)))
    })
}

/// Such as `10 blocks, 2 VOID`.
fn count(blocks: &[(&BlockRecord, f64)]) -> String {
    let void = blocks.iter().filter(|(block, _)| !block.is_valid()).count();
    let blocks = counted(blocks.len() as u64, "block");
    match void {
        0 => blocks,
        void => format!("{blocks}, {void} VOID"),
    }
}

fn mark(block: &BlockRecord, at: f64, metric: Metric) -> Mark {
    let text = format!(
        "block {}, pair {}: {}",
        block.number,
        block.pair,
        written(at, metric)
    );
    if block.is_valid() {
        Mark::Dot { at, text }
    } else {
        Mark::Cross {
            at,
            text: format!("{text}, VOID"),
        }
    }
}

/// The blocks that do not count, and why.
pub(super) fn void(recording: &Recording) -> Markup {
    let void: Vec<&BlockRecord> = recording.blocks.iter().filter(|b| !b.is_valid()).collect();
    let rows: Vec<Vec<String>> = void
        .iter()
        .map(|block| {
            let cell = recording
                .run
                .plan
                .cells
                .iter()
                .find(|cell| block.is_of(cell));
            let reasons: Vec<String> = block.void.iter().map(ToString::to_string).collect();
            vec![
                format!("block {}", block.number),
                name(&(block.arm, block.label.clone())),
                cell.map_or_else(String::new, conditions),
                reasons.join("; "),
            ]
        })
        .collect();
    html! {
        @if rows.is_empty() {
            p { "None: all " (counted(recording.blocks.len() as u64, "block")) " kept every rule." }
        } @else {
            p.lead { (rows.len()) " of " (counted(recording.blocks.len() as u64, "block")) ". They are shown, and repeated up to a bound, and never averaged." }
            (table("VOID blocks", &["Block", "Arm", "Load", "Reason"], &rows))
        }
    }
}
