//! Latency distributions, a panel for each variant.

use engine::Nanoseconds;
use maud::{Markup, html};

use crate::{
    metric::{Metric, percentile_us},
    numbers::decimals,
    record::{Purpose, Variant},
    report::{
        capital,
        chart::distribution::{Axes, Curve, Panel, curve},
        table::table,
    },
    verdict::{
        scenarios::{Measured, Scenarios},
        sentence::conditions,
    },
};

/// Percentiles that are printed.
const PRINTED: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];

/// All trials of one variant together whose latency counts.
struct Whole<'a> {
    variant: &'a Variant,
    uncorrected: Nanoseconds,
    corrected: Option<Nanoseconds>,
}

/// The open loop, one call in flight, and the closed loop.
pub(super) fn section(scenarios: &Scenarios) -> Option<Markup> {
    let figures: Vec<Markup> = [Purpose::Open, Purpose::Single, Purpose::Closed]
        .into_iter()
        .filter_map(|purpose| figure(scenarios.first(purpose)?))
        .collect();
    (!figures.is_empty()).then(|| {
        html! {
            p.lead {
                "All trials of a variant together whose latency counts, as far as a hundred samples lie beyond. Corrected: from the moment a call was due. Uncorrected: from when it was sent, which hides what a stalled server keeps from starting (coordinated omission). In a closed loop no call is due at a time."
            }
            @for figure in figures { (figure) }
        }
    })
}

fn figure(measured: &Measured) -> Option<Markup> {
    let wholes: Vec<Whole> = measured
        .scenario
        .variants
        .iter()
        .filter(|variant| !variant.is_twin)
        .filter_map(|variant| whole(measured, variant))
        .collect();
    let curves: Vec<(Curve, Option<Curve>)> = wholes
        .iter()
        .map(|whole| {
            let corrected = whole.corrected.as_ref().map(curve);
            (curve(&whole.uncorrected), corrected)
        })
        .collect();
    let all = curves
        .iter()
        .flat_map(|(one, other)| std::iter::once(one).chain(other));
    let axes = Axes::holding(&all)?;
    let open = wholes.iter().any(|whole| whole.corrected.is_some());
    let purpose = format!("{:?}", measured.scenario.purpose).to_lowercase();
    let panels = wholes
        .iter()
        .zip(&curves)
        .map(|(whole, (uncorrected, corrected))| {
            let name = &whole.variant.name;
            let slug = whole.variant.protocol.slug();
            let panel = Panel {
                id: format!("latency-{purpose}-{slug}"),
                title: format!("Latency of {name} by percentile"),
                description: description(whole),
                class: slug.into(),
                uncorrected,
                corrected: corrected.as_ref(),
            };
            html! { div { p.panel-name { (name) } (panel.svg(&axes)) } }
        });
    let caption = html! {
        (axes.title()) "."
        @if open { ul.legend { (key("corrected")) (key("uncorrected")) } }
    };
    let panels = html! { div.panels { @for panel in panels { (panel) } } };
    Some(html! {
        h3 { (capital(&conditions(measured.scenario))) }
        (crate::report::figure(&caption, &panels, &percentiles(&wholes)))
    })
}

fn key(class: &str) -> Markup {
    html! {
        li { svg width="36" height="8" aria-hidden="true" { path class={ "curve " (class) } d="M2,4H34" {} } (class) }
    }
}

/// None if no trial of the variant counts.
fn whole<'a>(measured: &Measured, variant: &'a Variant) -> Option<Whole<'a>> {
    let trials = measured.counting(variant, Metric::MedianLatency);
    let uncorrected = sum(trials.iter().map(|trial| &trial.measurement.service_time))?;
    let corrected = trials
        .iter()
        .filter_map(|trial| trial.measurement.response_time.as_ref());
    Some(Whole {
        variant,
        uncorrected,
        corrected: sum(corrected),
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
    let mut columns = vec!["Variant"];
    columns.extend(names.iter().map(String::as_str));
    columns.push("Max, ms");
    let row = |whole: &Whole, kind: &str, times: &Nanoseconds| {
        let mut row = vec![format!("{}, {kind}", whole.variant.name)];
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
