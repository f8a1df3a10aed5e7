//! The waterfall from REST to gRPC, and the original's comparison one change at a time.

use maud::{Markup, html};

use super::{
    range::Range,
    rows::{Mark, Row, Rows},
    table::table,
};
use crate::{
    original::{self, REPORTED_MEDIAN_MS, REPORTED_PER_SECOND},
    statistics::{Estimate, Finding, Interval},
    verdict::{
        Verdict,
        claim::Claim,
        sentence::{conditions, finding, interval, percent, ratio},
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

/// What a change made of the speed: a bar of its own.
struct Change {
    name: String,
    /// How many times as fast; none where it cannot be said.
    times: Option<f64>,
    interval: Option<Interval>,
    class: &'static str,
    /// The last two columns of the table.
    notes: [String; 2],
}

/// What the original's reports say. Nothing of it was measured here.
fn reported() -> [Change; 2] {
    let cited = |name: String, times: f64| Change {
        name,
        times: Some(times),
        interval: None,
        class: "cited",
        notes: ["—".into(), "not measured here".into()],
    };
    let [rest, grpc] = REPORTED_PER_SECOND;
    let [rest_ms, grpc_ms] = REPORTED_MEDIAN_MS;
    [
        cited("the original's own report".into(), grpc / rest),
        cited(
            format!("its medians in whole ms: {rest_ms} → {grpc_ms}"),
            rest_ms / grpc_ms,
        ),
    ]
}

/// What was found of `claim`.
fn found(claim: &Claim) -> Option<Change> {
    let estimate = claim.estimate.as_ref()?;
    Some(Change {
        name: from_to(&claim.base.1, &claim.candidate.1),
        times: Some(estimate.ratio),
        interval: Some(estimate.interval),
        class: "step",
        notes: [interval(estimate), finding(&claim.finding).into()],
    })
}

/// Both names, without the words at the start of the second that the first has too.
fn from_to(base: &str, candidate: &str) -> String {
    let both = base.split(' ').zip(candidate.split(' '));
    let shared = both.take_while(|(one, other)| one == other).count();
    let rest: Vec<&str> = candidate.split(' ').skip(shared).collect();
    format!("{base} → {}", rest.join(" "))
}

/// What whole milliseconds leave of `claim`, which is about one user: the time from call to call,
/// connecting included, as the original's load test counted it.
fn rounded(claim: &Claim) -> Option<Change> {
    let [Some(base), Some(candidate)] = claim.values else {
        return None;
    };
    let [base, candidate] =
        [base, candidate].map(|per_second| original::whole_milliseconds(1e6 / per_second));
    Some(Change {
        name: format!("the same in whole ms: {base} → {candidate}"),
        times: (candidate > 0.0).then(|| base / candidate),
        interval: None,
        class: "cited",
        notes: ["—".into(), "rounded as the original's times were".into()],
    })
}

/// The chart of the original's comparison, and its figures.
fn seed_chart(verdict: &Verdict) -> Option<(Rows, Vec<Vec<String>>)> {
    let claims = &verdict.seed;
    let floor = claims.first()?.floor;
    // The first is the whole of it, and the rounding is a part of that.
    let measured = claims.iter().enumerate().flat_map(|(index, claim)| {
        let rounded = (index == 0).then(|| rounded(claim)).flatten();
        found(claim).into_iter().chain(rounded)
    });
    let measured: Vec<Change> = measured.collect();
    measured.first()?;
    let changes: Vec<Change> = reported().into_iter().chain(measured).collect();
    let said = |change: &Change| {
        let times = change.times.map(|times| format!("{}×", ratio(times)));
        times.unwrap_or_else(|| "no ratio".into())
    };
    let rows = changes.iter().map(|change| Row {
        name: change.name.clone(),
        value: said(change),
        class: change.class.into(),
        marks: {
            let bar = change.times.map(|to| Mark::Bar { from: 1.0, to });
            let whisker = change
                .interval
                .map(|Interval { low, high }| Mark::Whisker { low, high });
            bar.into_iter().chain(whisker).collect()
        },
    });
    let cells: Vec<Vec<String>> = changes
        .iter()
        .map(|change| {
            let [interval, finding] = change.notes.clone();
            vec![change.name.clone(), said(change), interval, finding]
        })
        .collect();
    let ends = changes.iter().flat_map(|change| {
        let ends = change.interval.map(|within| [within.low, within.high]);
        ends.into_iter().flatten().chain(change.times)
    });
    let chart = Rows {
        id: "seed".into(),
        title: "The original's 4.3×, one change at a time".into(),
        description: cells
            .iter()
            .map(|row| format!("{}: {}.", row[0], row[1]))
            .collect::<Vec<_>>()
            .join(" "),
        range: Range::holding(ends.chain([1.0])),
        axis: "how many times as fast as what stands before the arrow".into(),
        line: Some(1.0),
        band: floor.map(|floor| (1.0 / (1.0 + floor.part), 1.0 + floor.part)),
        rows: rows.collect(),
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
        &html! { "What each change alone does to requests per second. Pale: what the original reported, and what whole milliseconds leave of the time of a call. Whiskers: 95% intervals." (band) },
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
