//! The waterfall from REST to gRPC, and the original's comparison one change at a time.

use maud::{Markup, html};

use super::{
    head::finding,
    range::Range,
    rows::{Mark, Row, Rows},
    table::table,
};
use crate::{
    statistics::{Estimate, Finding},
    verdict::{
        Verdict,
        sentence::{conditions, interval, percent, ratio},
        waterfall::Waterfall,
    },
};

/// A waterfall each.
pub(in crate::report) fn figures(verdict: &Verdict) -> Option<Markup> {
    let waterfalls = verdict.waterfalls.iter().enumerate();
    (!verdict.waterfalls.is_empty()).then(|| {
        html! {
            p.lead { "From JSON over HTTP/1.1 to gRPC in three steps that multiply to the whole. Codec and transport are averaged over both values of the other." }
            @for (index, waterfall) in waterfalls { (figure(index, waterfall)) }
        }
    })
}

fn chart(index: usize, waterfall: &Waterfall) -> Rows {
    let mut rows = vec![Row {
        name: "REST (A)".into(),
        value: "1.00×".into(),
        class: "arm-A".into(),
        marks: vec![Mark::Bar { from: 0.0, to: 1.0 }],
    }];
    let mut reached = 1.0;
    for step in &waterfall.steps {
        let (before, interval) = (reached, step.estimate.interval);
        reached *= step.estimate.ratio;
        rows.push(Row {
            name: format!("{}: {}", step.name, step.change),
            value: format!("{}×{}", ratio(step.estimate.ratio), unsure(&step.finding)),
            class: if reached < before { "less" } else { "more" }.into(),
            marks: vec![
                Mark::Bar {
                    from: before,
                    to: reached,
                },
                Mark::Whisker {
                    low: before * interval.low,
                    high: before * interval.high,
                },
            ],
        });
    }
    let total = &waterfall.total;
    rows.push(Row {
        name: "gRPC (E)".into(),
        value: format!("{}×", ratio(total.ratio)),
        class: "arm-E".into(),
        marks: vec![
            Mark::Bar {
                from: 0.0,
                to: total.ratio,
            },
            Mark::Whisker {
                low: total.interval.low,
                high: total.interval.high,
            },
        ],
    });
    let noun = waterfall.metric.noun();
    let ends = rows
        .iter()
        .flat_map(|row| &row.marks)
        .flat_map(|mark| match mark {
            Mark::Bar { from, to } => [*from, *to],
            Mark::Whisker { low, high } => [*low, *high],
            Mark::Dot { at, .. } | Mark::Cross { at, .. } => [*at; 2],
        });
    Rows {
        id: format!("waterfall-{index}"),
        title: format!("{}, from REST to gRPC", capital(noun)),
        description: description(waterfall),
        range: Range::holding(ends),
        axis: format!("{noun}, as a multiple of REST's"),
        line: Some(1.0),
        band: None,
        rows,
    }
}

fn figure(index: usize, waterfall: &Waterfall) -> Markup {
    let noun = waterfall.metric.noun();
    html! {
        h3 { (capital(noun)) ", " (conditions(&waterfall.cell)) }
        (chart(index, waterfall).figure(&html! { "Whiskers: 95% intervals of each step, over " (waterfall.total.pairs()) " pairs that have all five arms." }, &steps_table(waterfall)))
    }
}

fn unsure(finding: &Finding) -> &'static str {
    match finding {
        Finding::CantTell(_) => ", can't tell",
        Finding::NoDifference => ", no difference",
        Finding::Difference => "",
    }
}

fn description(waterfall: &Waterfall) -> String {
    let said = |name: &str, estimate: &Estimate| {
        format!(
            "{name} {}× (95% CI {}).",
            ratio(estimate.ratio),
            interval(estimate)
        )
    };
    let mut parts: Vec<String> = waterfall
        .steps
        .iter()
        .map(|step| said(step.name, &step.estimate))
        .collect();
    parts.push(said("All together", &waterfall.total));
    parts.join(" ")
}

fn steps_table(waterfall: &Waterfall) -> Markup {
    let mut rows: Vec<Vec<String>> = waterfall
        .steps
        .iter()
        .map(|step| {
            vec![
                format!("{}, {}", step.name, step.change),
                format!("{}×", ratio(step.estimate.ratio)),
                interval(&step.estimate),
                finding(&step.finding).into(),
            ]
        })
        .collect();
    let total = &waterfall.total;
    rows.push(vec![
        "all together".into(),
        format!("{}×", ratio(total.ratio)),
        interval(total),
        String::new(),
    ]);
    table("The steps", &["Step", "Ratio", "95% CI", "Finding"], &rows)
}

/// The chart of the original's comparison, and its figures.
fn seed_chart(verdict: &Verdict) -> Option<(Rows, Vec<Vec<String>>)> {
    let measured: Vec<_> = verdict
        .seed
        .iter()
        .filter_map(|claim| Some((claim, claim.estimate.as_ref()?)))
        .collect();
    let rows: Vec<Row> = measured
        .iter()
        .map(|(claim, estimate)| Row {
            name: format!("{} → {}", claim.base.1, claim.candidate.1),
            value: format!("{}×", ratio(estimate.ratio)),
            class: "step".into(),
            marks: vec![
                Mark::Bar {
                    from: 1.0,
                    to: estimate.ratio,
                },
                Mark::Whisker {
                    low: estimate.interval.low,
                    high: estimate.interval.high,
                },
            ],
        })
        .collect();
    let cells: Vec<Vec<String>> = measured
        .iter()
        .map(|(claim, estimate)| {
            vec![
                format!(
                    "{} → {}, {}",
                    claim.base.1,
                    claim.candidate.1,
                    conditions(&claim.cell)
                ),
                format!("{}×", ratio(estimate.ratio)),
                interval(estimate),
                finding(&claim.finding).into(),
            ]
        })
        .collect();
    let ends = measured
        .iter()
        .flat_map(|(_, e)| [1.0, e.interval.low, e.interval.high]);
    let floor = measured.first()?.0.floor;
    let description = cells
        .iter()
        .map(|row| format!("{}: {}.", row[0], row[1]))
        .collect::<Vec<_>>()
        .join(" ");
    let chart = Rows {
        id: "seed".into(),
        title: "Requests per second, one change at a time".into(),
        description,
        range: Range::holding(ends),
        axis: "requests per second, as a multiple of what was before the change".into(),
        line: Some(1.0),
        band: floor.map(|floor| (1.0 / (1.0 + floor.part), 1.0 + floor.part)),
        rows,
    };
    Some((chart, cells))
}

/// One bar for each change of the original's comparison.
pub(in crate::report) fn seed(verdict: &Verdict) -> Option<Markup> {
    let (chart, cells) = seed_chart(verdict)?;
    let floor = verdict.seed.first().and_then(|claim| claim.floor);
    let band = floor.map_or(String::new(), |floor| {
        format!(" Band: the A/A floor, ±{}.", percent(floor.part))
    });
    Some(chart.figure(
        &html! { "What each change alone does to requests per second. Whiskers: 95% intervals." (band) },
        &table("The changes", &["Change", "Ratio", "95% CI", "Finding"], &cells),
    ))
}

/// The charts that a README may show, as files: name and content.
pub(in crate::report) fn files(verdict: &Verdict) -> Vec<(&'static str, String)> {
    let waterfall = verdict.waterfalls.first();
    let waterfall = waterfall.map(|waterfall| ("waterfall.svg", chart(0, waterfall).file()));
    let seed = seed_chart(verdict).map(|(chart, _)| ("original.svg", chart.file()));
    waterfall.into_iter().chain(seed).collect()
}

pub(in crate::report) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
