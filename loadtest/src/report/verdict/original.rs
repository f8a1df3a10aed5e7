//! The original's comparison, one change at a time.

use maud::{Markup, html};
use stats::Interval;

use crate::{
    numbers::{self, ratio},
    report::{
        chart::{
            axis::Axis,
            rows::{Mark, Row, Rows},
        },
        table::table,
    },
    verdict::{
        Verdict,
        claim::Claim,
        sentence::{grade_and_reason, interval},
    },
};

/// Replies per second of REST and of gRPC in the original's committed reports, one user each.
const REPORTED_PER_SECOND: [f64; 2] = [329.2, 1414.8];

/// Median times there, in milliseconds: Locust rounds them to whole ones.
const REPORTED_MEDIAN_MS: [f64; 2] = [3.0, 1.0];

/// The whole milliseconds that are left of a time in microseconds.
pub(crate) fn whole_milliseconds(us: f64) -> f64 {
    (us / 1e3).round()
}

/// Effect of a change on the speed: a bar of its own.
struct Change {
    name: String,
    /// Speed after the change divided by the speed before it; none if it cannot be said.
    times: Option<f64>,
    interval: Option<Interval>,
    class: &'static str,
    /// The last two columns of the table.
    notes: [String; 2],
}

/// One bar for each change.
pub(super) fn section(verdict: &Verdict) -> Option<Markup> {
    let (chart, cells) = chart(verdict)?;
    let floor = verdict.original.first().and_then(|claim| claim.floor);
    let band = floor.map_or(String::new(), |floor| {
        format!(" Band: the A/A floor, {}.", numbers::floor(floor.part))
    });
    Some(chart.figure(
        &html! { "What each change alone does to requests per second. Grey: what the original reported, and what whole milliseconds leave of the time of a call. Whiskers: 95% intervals. Pale: inconclusive." (band) },
        &table("The changes", &["Change", "Ratio", "95% CI", "Grade"], &cells),
    ))
}

/// The chart for a page that is not ours.
pub(super) fn file(verdict: &Verdict) -> Option<String> {
    Some(chart(verdict)?.0.file())
}

/// The figures of the original's reports. Nothing of it was measured here.
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

/// The change that `claim` is about.
fn found(claim: &Claim) -> Option<Change> {
    let estimate = claim.estimate.as_ref()?;
    Some(Change {
        name: from_to(&claim.baseline.name, &claim.candidate.name),
        times: Some(estimate.ratio),
        interval: Some(estimate.interval),
        class: if claim.grade.is_conclusive() {
            "grpc"
        } else {
            "grpc unsure"
        },
        notes: [interval(estimate), grade_and_reason(claim)],
    })
}

/// Both names, without the words at the start of the second that the first has too.
fn from_to(baseline: &str, candidate: &str) -> String {
    let both = baseline.split(' ').zip(candidate.split(' '));
    let shared = both.take_while(|(one, other)| one == other).count();
    let rest: Vec<&str> = candidate.split(' ').skip(shared).collect();
    format!("{baseline} → {}", rest.join(" "))
}

/// Returns what is left of `claim` when its times are rounded to whole milliseconds. It is about
/// one user: the times are from call to call, connecting included, as the original's load test
/// counted them.
fn rounded(claim: &Claim) -> Option<Change> {
    let [Some(baseline), Some(candidate)] = claim.values else {
        return None;
    };
    let [baseline, candidate] =
        [baseline, candidate].map(|per_second| whole_milliseconds(1e6 / per_second));
    Some(Change {
        name: format!("the same in whole ms: {baseline} → {candidate}"),
        times: (candidate > 0.0).then(|| baseline / candidate),
        interval: None,
        class: "cited",
        notes: ["—".into(), "rounded as the original's times were".into()],
    })
}

/// The chart and its figures.
fn chart(verdict: &Verdict) -> Option<(Rows, Vec<Vec<String>>)> {
    let claims = &verdict.original;
    let floor = claims.first()?.floor;
    // The first is the whole of it, and the rounding is a part of that.
    let measured = claims.iter().enumerate().flat_map(|(index, claim)| {
        let rounded = (index == 0).then(|| rounded(claim)).flatten();
        found(claim).into_iter().chain(rounded)
    });
    let measured: Vec<Change> = measured.collect();
    measured.first()?;
    let mut rows = Vec::new();
    let mut cells = Vec::new();
    for change in reported().into_iter().chain(measured) {
        let times = change.times.map(|times| format!("{}×", ratio(times)));
        let value = times.unwrap_or("no ratio".into());
        let [interval, grade] = change.notes;
        cells.push(vec![change.name.clone(), value.clone(), interval, grade]);
        let bar = change.times.map(|to| Mark::Bar { from: 1.0, to });
        let whisker = change
            .interval
            .map(|Interval { low, high }| Mark::Whisker { low, high });
        rows.push(Row {
            name: change.name,
            value,
            class: change.class.into(),
            marks: bar.into_iter().chain(whisker).collect(),
        });
    }
    let described = cells.iter().map(|row| format!("{}: {}.", row[0], row[1]));
    let chart = Rows {
        id: "original".into(),
        title: "The original's 4.3×, one change at a time".into(),
        description: described.collect::<Vec<_>>().join(" "),
        axis: Axis::holding(rows.iter().flat_map(Row::ends).chain([1.0])),
        measure: "how many times as fast as what stands before the arrow".into(),
        line: Some(1.0),
        band: floor.map(|floor| (1.0 / (1.0 + floor.part), 1.0 + floor.part)),
        rows,
    };
    Some((chart, cells))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_milliseconds_hide_what_is_quick() {
        assert_eq!(whole_milliseconds(120.0), 0.0);
        assert_eq!(whole_milliseconds(1_700.0), 2.0);
    }
}
