//! Latency distributions, a panel for each arm.

use maud::{Markup, html};

use super::{
    distribution::{Axes, Curve, Panel, curve},
    table::table,
};
use crate::{
    record::{Arm, Nanoseconds, Purpose},
    report::figures::decimals,
    statistics::percentile_us,
    verdict::{
        cells::{Cells, Measured},
        sentence::conditions,
    },
};

/// Those that are printed.
const PRINTED: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];

/// All valid blocks of one arm together.
struct Whole<'a> {
    arm: &'a (Arm, String),
    uncorrected: Nanoseconds,
    corrected: Option<Nanoseconds>,
}

/// The open loop, and the primary shape.
pub(super) fn figures(cells: &Cells) -> Option<Markup> {
    let figures: Vec<Markup> = [Purpose::Open, Purpose::Primary]
        .into_iter()
        .filter_map(|purpose| figure(cells.first(purpose)?))
        .collect();
    (!figures.is_empty()).then(|| {
        html! {
            p.lead {
                "All valid blocks of an arm together, as far as a hundred samples lie beyond. Corrected: from the moment a call was meant to start. Uncorrected: from when it did start, which hides what a stalled server keeps from starting (coordinated omission). A closed loop has no such moment."
            }
            @for figure in figures { (figure) }
        }
    })
}

fn figure(measured: &Measured) -> Option<Markup> {
    let wholes: Vec<Whole> = measured
        .cell
        .arms
        .iter()
        .filter_map(|arm| whole(measured, arm))
        .collect();
    let curves: Vec<(Curve, Option<Curve>)> = wholes
        .iter()
        .map(|whole| {
            (
                curve(&whole.uncorrected),
                whole.corrected.as_ref().map(curve),
            )
        })
        .collect();
    let axes = Axes::holding(
        &curves
            .iter()
            .flat_map(|(one, other)| std::iter::once(one).chain(other)),
    )?;
    let open = wholes.iter().any(|whole| whole.corrected.is_some());
    let purpose = if open { "open" } else { "closed" };
    let panels = wholes.iter().zip(&curves).map(|(whole, (uncorrected, corrected))| {
        let panel = Panel {
            id: format!("latency-{purpose}-{}", whole.arm.0.slug()),
            title: format!("Latency of {} by percentile", whole.arm.0.name()),
            description: description(whole),
            class: format!("arm-{}", whole.arm.0.letter()),
            uncorrected,
            corrected: corrected.as_ref(),
        };
        html! { div { p.panel-name { (whole.arm.0.name()) " (" (whole.arm.1) ")" } (panel.svg(axes)) } }
    });
    Some(html! {
        h3 { (conditions(measured.cell)) }
        figure {
            figcaption {
                (axes.title()) "."
                @if open { ul.legend { (key("corrected")) (key("uncorrected")) } }
            }
            div.panels { @for panel in panels { (panel) } }
            details { summary { "The figures" } (percentiles(&wholes)) }
        }
    })
}

fn key(class: &str) -> Markup {
    html! {
        li { svg width="36" height="8" aria-hidden="true" { path class={ "curve " (class) } d="M2,4H34" {} } (class) }
    }
}

/// None where the arm has no valid block.
fn whole<'a>(measured: &Measured<'a>, arm: &'a (Arm, String)) -> Option<Whole<'a>> {
    let blocks = measured.valid_blocks(arm);
    let uncorrected = sum(blocks.iter().map(|block| &block.latency.uncorrected))?;
    let corrected = sum(blocks
        .iter()
        .filter_map(|block| block.latency.corrected.as_ref()));
    Some(Whole {
        arm,
        uncorrected,
        corrected,
    })
}

/// None of none.
fn sum<'a>(mut parts: impl Iterator<Item = &'a Nanoseconds>) -> Option<Nanoseconds> {
    let first = parts.next()?.clone();
    Some(parts.fold(first, Nanoseconds::plus))
}

fn written(times: &Nanoseconds, percentile: f64) -> String {
    percentile_us(times, percentile).map_or("—".into(), |micros| {
        let millis = micros / 1e3;
        decimals(millis, if millis < 1.0 { 3 } else { 2 })
    })
}

fn description(whole: &Whole) -> String {
    let of = |times: &Nanoseconds| {
        let known = PRINTED
            .iter()
            .filter(|p| percentile_us(times, **p).is_some());
        let texts: Vec<String> = known
            .map(|p| format!("p{p} {}", written(times, *p)))
            .collect();
        texts.join(", ")
    };
    let corrected = whole.corrected.as_ref().map_or(String::new(), |times| {
        format!("Corrected, in ms: {}. ", of(times))
    });
    format!("{corrected}Uncorrected, in ms: {}.", of(&whole.uncorrected))
}

fn percentiles(wholes: &[Whole]) -> Markup {
    let names: Vec<String> = PRINTED.iter().map(|p| format!("p{p}, ms")).collect();
    let mut columns = vec!["Arm"];
    columns.extend(names.iter().map(String::as_str));
    columns.push("Max, ms");
    let row = |whole: &Whole, kind: &str, times: &Nanoseconds| {
        let mut row = vec![format!("{} ({}), {kind}", whole.arm.0.name(), whole.arm.1)];
        row.extend(PRINTED.iter().map(|p| written(times, *p)));
        row.push(decimals(times.0.max() as f64 / 1e6, 2));
        row
    };
    let rows: Vec<Vec<String>> = wholes
        .iter()
        .flat_map(|whole| {
            let corrected = whole
                .corrected
                .as_ref()
                .map(|times| row(whole, "corrected", times));
            corrected
                .into_iter()
                .chain([row(whole, "uncorrected", &whole.uncorrected)])
        })
        .collect();
    html! {
        (table("Latency by percentile", &columns, &rows))
        p.notes { "—: fewer than a hundred samples lie beyond it." }
    }
}
