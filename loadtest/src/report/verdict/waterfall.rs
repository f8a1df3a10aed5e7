//! The waterfall from REST to gRPC.

use maud::{Markup, html};
use stats::Estimate;

use crate::{
    numbers::ratio,
    record::Protocol,
    report::{
        capital,
        chart::{
            axis::Axis,
            rows::{Mark, Row, Rows},
        },
        table::table,
    },
    verdict::{
        Verdict,
        sentence::{conditions, grade, interval},
        waterfall::Waterfall,
    },
};

/// A waterfall each.
pub(super) fn section(verdict: &Verdict) -> Option<Markup> {
    let waterfalls = verdict.waterfalls.iter().enumerate();
    (!verdict.waterfalls.is_empty()).then(|| {
        html! {
            p.lead { "From JSON over HTTP/1.1 to gRPC in three steps that multiply to the whole. Codec and transport are averaged over both values of the other." }
            @for (index, waterfall) in waterfalls {
                h3 { (capital(waterfall.metric.noun())) ", " (conditions(&waterfall.scenario)) }
                (chart(index, waterfall).figure(
                    &html! { "Whiskers: 95% intervals of each step, over " (waterfall.total.rounds) " rounds that have all five variants. Pale: inconclusive." },
                    &table("The steps", &["", "Ratio", "95% CI", "Grade"], &cells(waterfall)),
                ))
            }
        }
    })
}

/// The first waterfall, for a page that is not ours.
pub(super) fn file(verdict: &Verdict) -> Option<String> {
    Some(chart(0, verdict.waterfalls.first()?).file())
}

fn chart(index: usize, waterfall: &Waterfall) -> Rows {
    let (rest, grpc) = (Protocol::JsonHttp1, Protocol::Grpc);
    let mut rows = vec![Row {
        name: rest.name().into(),
        value: "1.00×".into(),
        class: rest.slug().into(),
        marks: vec![Mark::Bar { from: 0.0, to: 1.0 }],
    }];
    let mut reached = 1.0;
    for step in &waterfall.steps {
        let (from, interval) = (reached, step.estimate.interval);
        reached *= step.estimate.ratio;
        let direction = if reached < from { "less" } else { "more" };
        let unsure = if step.grade.is_conclusive() {
            ""
        } else {
            " unsure"
        };
        rows.push(Row {
            name: format!("{}: {}", step.name, step.change),
            value: format!("{}×, {}", ratio(step.estimate.ratio), step.grade.word()),
            class: format!("{direction}{unsure}"),
            marks: vec![
                Mark::Bar { from, to: reached },
                Mark::Whisker {
                    low: from * interval.low,
                    high: from * interval.high,
                },
            ],
        });
    }
    let total = &waterfall.total;
    rows.push(Row {
        name: grpc.name().into(),
        value: format!("{}×", ratio(total.ratio)),
        class: grpc.slug().into(),
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
    let described = cells(waterfall)
        .into_iter()
        .map(|row| format!("{}: {} (95% CI {}), {}.", row[0], row[1], row[2], row[3]));
    Rows {
        id: format!("waterfall-{index}"),
        title: format!("{}, from REST to gRPC", capital(noun)),
        description: described.collect::<Vec<_>>().join(" "),
        axis: Axis::holding(rows.iter().flat_map(Row::ends)),
        measure: format!("{noun}, as a multiple of REST's"),
        line: Some(1.0),
        band: None,
        rows,
    }
}

/// The steps and the whole, a row each.
fn cells(waterfall: &Waterfall) -> Vec<Vec<String>> {
    let row = |name: String, estimate: &Estimate, grade: String| {
        let times = format!("{}×", ratio(estimate.ratio));
        vec![name, times, interval(estimate), grade]
    };
    let steps = waterfall.steps.iter().map(|step| {
        let name = format!("{}, {}", capital(step.name), step.change);
        row(name, &step.estimate, grade(&step.grade))
    });
    let whole = row("All together".into(), &waterfall.total, "see above".into());
    steps.chain([whole]).collect()
}
