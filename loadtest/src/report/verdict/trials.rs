//! Every trial as a dot, and those that were disturbed with the reason.

use maud::{Markup, html};

use crate::{
    metric::Metric,
    numbers::{counted, with_unit},
    record::{Recording, Trial, Variant},
    report::{
        capital,
        chart::{
            axis::Axis,
            rows::{Mark, Row, Rows},
        },
        table::table,
    },
    validity::{Effect, effect},
    verdict::{
        Verdict,
        scenarios::{Measured, Scenarios},
        sentence::conditions,
    },
};

/// The trials behind each claim of the headline.
pub(super) fn section(verdict: &Verdict, scenarios: &Scenarios) -> Option<Markup> {
    let charts: Vec<Markup> = verdict
        .headline
        .iter()
        .enumerate()
        .filter_map(|(index, claim)| {
            let mut all = scenarios.all();
            let measured = all.find(|measured| *measured.scenario == claim.scenario)?;
            chart(index, measured, claim.metric)
        })
        .collect();
    (!charts.is_empty()).then(|| {
        html! {
            p.lead { "A dot is a trial. What spreads within a row is chance, and so is what sets the twin apart from the baseline; a difference between rows counts only beyond it. A ring is a trial that gives an estimate at most, a cross one that is void for this measure: its reason is in the figures below." }
            @for chart in charts { (chart) }
        }
    })
}

/// A trial, its value, and what that is worth.
type Found<'a> = (&'a Trial, f64, Effect<'a>);

fn chart(index: usize, measured: &Measured, metric: Metric) -> Option<Markup> {
    let of_variant = |variant: &Variant| -> Vec<Found> {
        let trials = measured
            .trials
            .iter()
            .filter(|trial| trial.variant == *variant);
        let found = trials.filter_map(|trial| {
            Some((
                *trial,
                metric.of(&trial.measurement)?,
                effect(trial, metric),
            ))
        });
        found.collect()
    };
    let variants = &measured.scenario.variants;
    let variants: Vec<(&Variant, Vec<Found>)> = variants
        .iter()
        .map(|variant| (variant, of_variant(variant)))
        .collect();
    let values = || {
        variants
            .iter()
            .flat_map(|(_, found)| found)
            .map(|(_, value, _)| *value)
    };
    values().next()?;
    let noun = capital(metric.noun());
    let spread = |found: &[Found]| {
        let low = found.iter().map(|found| found.1).reduce(f64::min)?;
        let high = found.iter().map(|found| found.1).reduce(f64::max)?;
        Some(format!(
            "{} to {}",
            with_unit(low, metric),
            with_unit(high, metric)
        ))
    };
    let spreads = variants
        .iter()
        .filter_map(|(variant, found)| Some(format!("{}: {}.", variant.name, spread(found)?)));
    let chart = Rows {
        id: format!("trials-{index}"),
        title: format!("{noun} of every trial"),
        description: spreads.collect::<Vec<_>>().join(" "),
        axis: Axis::holding(values()),
        measure: format!("{}, {}", metric.noun(), metric.unit()),
        line: None,
        band: None,
        rows: variants
            .iter()
            .map(|(variant, found)| Row {
                name: variant.name.clone(),
                value: count(found),
                class: class(variant),
                marks: found.iter().map(|found| mark(found, metric)).collect(),
            })
            .collect(),
    };
    let cells: Vec<Vec<String>> = variants
        .iter()
        .flat_map(|(_, found)| found)
        .map(|(trial, value, effect)| {
            vec![
                format!("trial {}", trial.number),
                trial.variant.name.clone(),
                trial.round.to_string(),
                with_unit(*value, metric),
                worth(*effect),
            ]
        })
        .collect();
    let table = table(
        "Every trial",
        &["", "Variant", "Round", &noun, "Validity"],
        &cells,
    );
    Some(html! {
        h3 { (noun) ", " (conditions(measured.scenario)) }
        (chart.figure(&html! {}, &table))
    })
}

/// Style classes of a variant.
fn class(variant: &Variant) -> String {
    let twin = if variant.is_twin { " twin" } else { "" };
    format!("{}{twin}", variant.protocol.slug())
}

/// Such as `10 trials, 2 void`.
fn count(found: &[Found]) -> String {
    let trials = counted(found.len() as u64, "trial");
    match found.iter().filter(|found| found.2.is_void()).count() {
        0 => trials,
        void => format!("{trials}, {void} void"),
    }
}

fn mark((trial, at, effect): &Found, metric: Metric) -> Mark {
    let (at, number, round) = (*at, trial.number, trial.round);
    let value = with_unit(at, metric);
    let text = format!("trial {number}, round {round}: {value}, {}", worth(*effect));
    match effect {
        Effect::Stands => Mark::Dot { at, text },
        Effect::Inconclusive(_) => Mark::Ring { at, text },
        Effect::Void(_) => Mark::Cross { at, text },
    }
}

fn worth(effect: Effect) -> String {
    match effect {
        Effect::Stands => "counts".to_owned(),
        Effect::Inconclusive(disturbance) => format!("inconclusive: {disturbance}"),
        Effect::Void(disturbance) => format!("void: {disturbance}"),
    }
}

/// The trials that were disturbed, by what, and which measures that voids.
pub(super) fn disturbed(recording: &Recording) -> Markup {
    let trials = &recording.trials;
    let rows = trials
        .iter()
        .filter(|trial| !trial.disturbances.is_empty())
        .map(|trial| {
            let scenarios = &recording.run.plan.scenarios;
            let scenario = scenarios.iter().find(|scenario| trial.is_of(scenario));
            let reasons: Vec<String> = trial.disturbances.iter().map(ToString::to_string).collect();
            vec![
                format!("trial {}", trial.number),
                trial.variant.name.clone(),
                scenario.map_or_else(String::new, conditions),
                reasons.join("; "),
                left(trial),
            ]
        });
    let rows: Vec<Vec<String>> = rows.collect();
    let all = counted(trials.len() as u64, "trial");
    html! {
        @if rows.is_empty() {
            p { "None of " (all) "." }
        } @else {
            p.lead { (rows.len()) " of " (all) ". A disturbance voids the measures that it falsifies, and no others. A void measure is shown, and never averaged." }
            details {
                summary { "Each of them" }
                (table("Disturbed trials", &["", "Variant", "Load", "Disturbance", "Measures affected"], &rows))
            }
        }
    }
}

/// The measures that the disturbances of `trial` void, and those that they leave inconclusive.
fn left(trial: &Trial) -> String {
    let nouns = |is: fn(Effect) -> bool| -> Vec<&str> {
        let metrics = Metric::ALL.into_iter();
        let affected = metrics.filter(|metric| is(effect(trial, *metric)));
        affected.map(Metric::noun).collect()
    };
    let void = nouns(|effect| effect.is_void());
    let weak = nouns(|effect| matches!(effect, Effect::Inconclusive(_)));
    match (void.len(), weak.is_empty()) {
        (n, _) if n == Metric::ALL.len() => "void: all".to_owned(),
        (0, true) => "none".to_owned(),
        (0, false) => format!("inconclusive: {}", weak.join(", ")),
        (_, true) => format!("void: {}", void.join(", ")),
        (_, false) => format!(
            "void: {}; inconclusive: {}",
            void.join(", "),
            weak.join(", ")
        ),
    }
}
