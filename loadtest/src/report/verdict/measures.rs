//! Every claim on the two variants that are compared, by each measure, in one chart.

use maud::{Markup, html};

use crate::{
    numbers::{self, ratio, with_unit},
    record::Scenario,
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
        claim::Claim,
        sentence::{conditions, grade_and_reason, interval, times},
    },
};

/// An interval that is wider than this, end divided by end, would press all others together.
const WIDEST: f64 = 10.0;

/// The claims of the headline and the others on the same variants, a chart for each scenario over one axis.
pub(super) fn section(verdict: &Verdict) -> Option<Markup> {
    let claims: Vec<&Claim> = verdict.headline.iter().chain(&verdict.others).collect();
    let first = claims.first()?;
    let mut scenarios: Vec<&Scenario> = Vec::new();
    for claim in &claims {
        if !scenarios.contains(&&claim.scenario) {
            scenarios.push(&claim.scenario);
        }
    }
    let charts = scenarios.into_iter().enumerate().map(|(index, scenario)| {
        let claims: Vec<&Claim> = claims
            .iter()
            .filter(|claim| claim.scenario == *scenario)
            .copied()
            .collect();
        chart(
            index,
            &claims,
            axis(verdict.headline.iter().chain(&verdict.others)),
        )
    });
    Some(html! {
        p.lead { "Below 1, " (first.candidate.name) " takes less, or answers less by requests per second. Dots are ratios, whiskers 95% intervals; a hollow dot is inconclusive." }
        @for chart in charts { (chart) }
    })
}

/// The chart of `claims`, all of one scenario.
fn chart(index: usize, claims: &[&Claim], axis: Axis) -> Markup {
    let Some(first) = claims.first() else {
        return html! {};
    };
    let name = |claim: &Claim| capital(claim.metric.noun());
    let place = capital(&conditions(&first.scenario));
    let described = claims.iter().map(|claim| {
        format!(
            "{}: {}, {}.",
            name(claim),
            times(claim),
            grade_and_reason(claim)
        )
    });
    let measure = format!(
        "{} divided by {}",
        first.candidate.name, first.baseline.name
    );
    let chart = Rows {
        id: format!("measures-{index}"),
        title: format!("{measure}, {place}"),
        description: described.collect::<Vec<_>>().join(" "),
        axis,
        measure,
        line: Some(1.0),
        band: None,
        rows: claims.iter().map(|claim| row(claim, name(claim))).collect(),
    };
    html! {
        h3 { (place) }
        (chart.figure(&html! {}, &claims_table(&place, claims, name)))
    }
}

/// An axis that holds the intervals of `claims` and 1.
pub(in crate::report) fn axis<'a>(claims: impl Iterator<Item = &'a Claim>) -> Axis {
    let ends = claims
        .filter_map(|claim| Some(claim.estimate.as_ref()?.interval))
        .filter(|interval| interval.high <= WIDEST * interval.low);
    Axis::holding(
        ends.flat_map(|interval| [interval.low, interval.high])
            .chain([1.0]),
    )
}

/// The ratio of `claim` with its interval, pale if it is inconclusive.
pub(in crate::report) fn row(claim: &Claim, name: String) -> Row {
    let marks = claim.estimate.as_ref().map(|estimate| {
        vec![
            Mark::Whisker {
                low: estimate.interval.low,
                high: estimate.interval.high,
            },
            Mark::Dot {
                at: estimate.ratio,
                text: times(claim),
            },
        ]
    });
    let unsure = if claim.grade.is_conclusive() {
        ""
    } else {
        " unsure"
    };
    Row {
        name,
        value: format!("{}, {}", ratio_of(claim), claim.grade.word()),
        class: format!("{}{unsure}", claim.candidate.protocol.slug()),
        marks: marks.unwrap_or_default(),
    }
}

pub(in crate::report) fn ratio_of(claim: &Claim) -> String {
    claim.estimate.as_ref().map_or("—".into(), |estimate| {
        format!("{}×", ratio(estimate.ratio))
    })
}

/// Everything about `claims`, a row each, called by `name`.
pub(in crate::report) fn claims_table(
    caption: &str,
    claims: &[&Claim],
    name: impl Fn(&Claim) -> String,
) -> Markup {
    let Some(first) = claims.first() else {
        return html! {};
    };
    let dash = || "—".to_owned();
    let rows = claims.iter().map(|claim| {
        let [baseline, candidate] = claim
            .values
            .map(|value| value.map_or_else(dash, |v| with_unit(v, claim.metric)));
        vec![
            name(claim),
            baseline,
            candidate,
            ratio_of(claim),
            claim.estimate.as_ref().map_or_else(dash, interval),
            claim
                .floor
                .map_or_else(dash, |floor| numbers::floor(floor.part)),
            format!("{} of {}", claim.rounds, claim.rounds_run),
            grade_and_reason(claim),
        ]
    });
    let columns = [
        "",
        &first.baseline.name,
        &first.candidate.name,
        "Ratio",
        "95% CI",
        "A/A floor",
        "Rounds",
        "Grade",
    ];
    table(caption, &columns, &rows.collect::<Vec<_>>())
}
