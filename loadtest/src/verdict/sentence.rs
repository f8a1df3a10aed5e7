//! A claim in words: never a bare winner, and if nothing can be said, why.

use engine::{Load, Shape};
use stats::{EQUIVALENCE, Estimate, Interval};

use super::claim::{Claim, Grade, Reason};
use crate::{metric::Metric, record::Scenario};

use crate::numbers::{self, decimals, thousands};
pub use crate::numbers::{counted, percent, ratio, with_unit};

/// Such as "REST costs less here: gRPC takes 3.1 µs more server CPU per request (21.8 against 18.7, 1.17×;
/// 95% CI 1.14–1.20; A/A floor ±2%) at 32 connections × 1 in flight, 5,000 requests/s."
pub fn of(claim: &Claim) -> String {
    said(claim, reason(claim))
}

/// The same where something took the machine beside the run.
pub(super) fn of_busy(claim: &Claim) -> String {
    let is_wide = claim.grade == Grade::Inconclusive(Reason::Statistics(stats::Reason::TooWide));
    let busy = is_wide.then(|| "the machine was too busy for more".to_owned());
    said(claim, busy.or_else(|| reason(claim)))
}

fn said(claim: &Claim, reason: Option<String>) -> String {
    let at = conditions(&claim.scenario);
    let reason = reason.unwrap_or_default();
    let [is, that] = match claim.metric {
        Metric::Bytes | Metric::Rate => ["are", "those"],
        _ => ["is", "that"],
    };
    match (&claim.grade, &claim.estimate, claim.values) {
        (Grade::Difference, Some(_), [Some(baseline), Some(candidate)]) => {
            let (better, how) = difference(claim, baseline, candidate);
            let [of_baseline, of_candidate] = alike([baseline, candidate]);
            format!(
                "{better}: {how} ({of_candidate} against {of_baseline}, {}) at {at}.",
                figures(claim)
            )
        }
        (Grade::NoDifference, Some(_), [Some(baseline), Some(candidate)]) => {
            let [baseline, candidate] = alike([baseline, candidate]);
            format!(
                "No difference here: the {} of {} {is} {candidate} {} and {that} of {} {baseline} ({}) at {at}.",
                claim.metric.noun(),
                claim.candidate.name,
                claim.metric.unit(),
                claim.baseline.name,
                figures(claim),
            )
        }
        (_, Some(estimate), _) => {
            let [about, range] = roughly(estimate);
            format!(
                "Inconclusive: the {} of {} {is} about {about}× {that} of {} ({range}) at {at}: {reason}.",
                claim.metric.noun(),
                claim.candidate.name,
                claim.baseline.name,
            )
        }
        _ => format!(
            "Inconclusive: the {} of {} and of {} could not be compared at {at}: {reason}.",
            claim.metric.noun(),
            claim.candidate.name,
            claim.baseline.name,
        ),
    }
}

/// Returns two clauses: which variant is better off, and by how much the candidate differs.
fn difference(claim: &Claim, baseline: f64, candidate: f64) -> (String, String) {
    let (name, noun) = (&claim.candidate.name, claim.metric.noun());
    let is_more = candidate > baseline;
    // More is better of a rate alone.
    let better = match is_more == (claim.metric == Metric::Rate) {
        true => &claim.candidate.name,
        false => &claim.baseline.name,
    };
    let places = places(baseline.max(candidate));
    let scale = 10_f64.powi(places as i32);
    let rounded = |value: f64| (value * scale).round() / scale;
    let by = decimals((rounded(candidate) - rounded(baseline)).abs(), places);
    let more = |more: &'static str, less: &'static str| if is_more { more } else { less };
    match claim.metric {
        Metric::ServerCpu | Metric::GeneratorCpu => (
            format!("{better} costs less here"),
            format!("{name} takes {by} µs {} {noun}", more("more", "less")),
        ),
        Metric::MedianLatency | Metric::TailLatency => (
            format!("{better} is quicker here"),
            format!(
                "the {noun} of {name} is {by} µs {}",
                more("longer", "shorter")
            ),
        ),
        Metric::Bytes => (
            format!("{better} sends less here"),
            format!(
                "{name} takes {by} {} bytes per request",
                more("more", "fewer")
            ),
        ),
        Metric::Rate => (
            format!("{better} answers more here"),
            format!("{name} answers {by} {} requests/s", more("more", "fewer")),
        ),
    }
}

/// Both values with as many decimals as the larger one has of three digits.
fn alike(values: [f64; 2]) -> [String; 2] {
    let places = places(values[0].max(values[1]));
    values.map(|value| decimals(value, places))
}

fn places(value: f64) -> usize {
    match value {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    }
}

/// The ratio and its interval, with no more digits than they deserve.
fn roughly(estimate: &Estimate) -> [String; 2] {
    let wide = estimate.interval.half_width() > 0.1;
    let write = |value: f64| match value {
        v if wide && (0.5..10.0).contains(&v) => decimals(v, 1),
        v => ratio(v),
    };
    [
        write(estimate.ratio),
        numbers::range(ends(estimate), " to ", write),
    ]
}

/// The ratio and the ends of its interval.
pub fn ends(estimate: &Estimate) -> [f64; 3] {
    let Interval { low, high } = estimate.interval;
    [estimate.ratio, low, high]
}

/// Such as `1.17×; 95% CI 1.14–1.20; A/A floor ±2%`.
fn figures(claim: &Claim) -> String {
    let Some(estimate) = &claim.estimate else {
        return "no estimate".to_owned();
    };
    let floor = claim.floor.map_or(String::new(), |floor| {
        format!("; A/A floor {}", numbers::floor(floor.part))
    });
    format!(
        "{}×; 95% CI {}{floor}",
        ratio(estimate.ratio),
        interval(estimate)
    )
}

/// Such as `1.17× (95% CI 1.14–1.20; A/A floor ±2%)`.
pub fn times(claim: &Claim) -> String {
    figures(claim).replacen("; ", " (", 1) + if claim.estimate.is_some() { ")" } else { "" }
}

/// Such as `0.59–0.66`.
pub fn interval(estimate: &Estimate) -> String {
    numbers::range(ends(estimate), "–", ratio)
}

/// Such as `64 connections × 1 in flight, 5,000 requests/s`.
pub fn conditions(scenario: &Scenario) -> String {
    let mut text = shape(scenario.shape);
    if scenario.batch > 1 {
        text += &format!(", {} items per call", thousands(scenario.batch.into()));
    }
    text + ", " + &load(scenario.load)
}

/// Such as `64 connections × 1 in flight`.
pub fn shape(shape: Shape) -> String {
    format!(
        "{} × {} in flight",
        counted(shape.connections.into(), "connection"),
        thousands(shape.in_flight.into())
    )
}

/// Such as `5,000 requests/s`.
pub fn load(load: Load) -> String {
    match load {
        Load::Closed => "closed loop".to_owned(),
        Load::Open { per_second } => {
            let places = usize::from(per_second < 100.0 && per_second.fract() != 0.0);
            format!("{} requests/s", decimals(per_second, places))
        }
    }
}

/// Returns the reason for which nothing can be said; none if something can.
pub fn reason(claim: &Claim) -> Option<String> {
    let Grade::Inconclusive(reason) = &claim.grade else {
        return None;
    };
    Some(match reason {
        Reason::Statistics(reason) => statistics(*reason),
        Reason::GeneratorLimit => {
            "the generator was at its limit, so that the figure is its own as much as the service's"
                .to_owned()
        }
        Reason::RatesDiffer => {
            "their rates differ by more than 2%, and it falls as a rate grows".to_owned()
        }
        Reason::MostlyVoid(disturbance) => {
            format!("more than half of the rounds were disturbed, for one: {disturbance}")
        }
        Reason::NoTrial(disturbance) => format!("no round is valid, for one: {disturbance}"),
        Reason::NotMeasured => "no round has it of both".to_owned(),
        Reason::TooFewReplies { replies } => format!(
            "a trial had {} good replies, of which less than a hundred lie beyond the percentile",
            thousands(*replies)
        ),
    })
}

fn statistics(reason: stats::Reason) -> String {
    match reason {
        stats::Reason::TooFewRounds { valid, needed } => {
            let are = if valid == 1 { "is" } else { "are" };
            format!(
                "{} {are} valid, and a conclusion takes {needed}",
                counted(valid as u64, "round")
            )
        }
        stats::Reason::InvalidRatio => "the ratio of a round is not a number".to_owned(),
        stats::Reason::NoFloor => "no A/A twin was measured in the same scenario".to_owned(),
        stats::Reason::TooWide => {
            "the interval has room for no difference and for one that matters".to_owned()
        }
        stats::Reason::FloorTooWide => format!(
            "the interval is within ±{}, but the baseline may differ from its twin by more",
            percent(EQUIVALENCE)
        ),
        stats::Reason::WithinFloor => {
            "the estimate is not clearly further from 1 than the A/A twin's".to_owned()
        }
        stats::Reason::RoundsDisagree { p } => {
            format!("the rounds do not agree on the direction (p = {p:.2})")
        }
    }
}

/// A grade in a few words, with the reason if it is inconclusive.
pub fn grade(grade: &Grade) -> String {
    let Grade::Inconclusive(reason) = grade else {
        return grade.word().to_owned();
    };
    let reason = match reason {
        Reason::Statistics(stats::Reason::TooFewRounds { .. }) => "too few rounds",
        Reason::Statistics(stats::Reason::InvalidRatio) => "no ratio",
        Reason::Statistics(stats::Reason::NoFloor) => "no A/A floor",
        Reason::Statistics(stats::Reason::TooWide) => "interval too wide",
        Reason::Statistics(stats::Reason::FloorTooWide) => "A/A floor too wide",
        Reason::Statistics(stats::Reason::WithinFloor) => "within the A/A floor",
        Reason::Statistics(stats::Reason::RoundsDisagree { .. }) => "rounds disagree",
        Reason::GeneratorLimit => "generator at its limit",
        Reason::RatesDiffer => "rates differ",
        Reason::MostlyVoid(_) => "most rounds disturbed",
        Reason::NoTrial(_) => "no valid round",
        Reason::NotMeasured => "not measured",
        Reason::TooFewReplies { .. } => "too few replies",
    };
    format!("{}: {reason}", grade.word())
}

/// The grade of `claim` in a few words, with the reason if it is inconclusive.
pub fn grade_and_reason(claim: &Claim) -> String {
    grade(&claim.grade)
}
