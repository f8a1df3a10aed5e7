//! Requirements of a run, such as `grpc.p99 <= 1.05 * rest.p99` or `grpc.p99 < 5ms`: met, missed, or not to
//! be told, by the interval.

use std::fmt;

use stats::Family;

use super::{
    claim::{Evidence, Grade, Reason},
    scenarios::{Measured, Scenarios},
    sentence,
};
use crate::{
    metric::Metric,
    numbers::{decimals, range},
    record::{Purpose, Scenario, Variant},
};

/// A bound on a measure of one variant: a number, or a multiple of the same measure of another variant.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    /// As it was written.
    pub text: String,
    metric: Metric,
    variant: String,
    is_upper: bool,
    /// In the metric's unit, or as a factor.
    limit: f64,
    other: Option<String>,
}

/// The judgement of a requirement.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// As it was written.
    pub requirement: String,
    /// Its result.
    pub outcome: Outcome,
    /// The estimate, and the ends of its interval: in the metric's unit, or as a ratio.
    pub found: Option<[f64; 3]>,
    /// The bound, in the same.
    pub limit: f64,
    /// The unit of both; none of a ratio.
    pub unit: Option<&'static str>,
    /// Reason for [`Outcome::CannotTell`]; none for another outcome.
    pub reason: Option<String>,
    /// The scenario, if both variants were measured in one.
    pub scenario: Option<Scenario>,
}

/// The result of a requirement, by the interval of what it bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of the interval is within the bound.
    Met,
    /// All of it is beyond.
    Missed,
    /// Neither.
    CannotTell,
}

impl Outcome {
    /// The worst of `outcomes`; none if there are none.
    pub fn worst(outcomes: impl IntoIterator<Item = Self>) -> Option<Self> {
        let rank = |outcome: &Self| match outcome {
            Self::Met => 0,
            Self::CannotTell => 1,
            Self::Missed => 2,
        };
        outcomes.into_iter().max_by_key(rank)
    }

    /// The outcome in words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::CannotTell => "cannot tell",
        }
    }
}

/// Measures by the names that requirements call them.
const MEASURES: [(&str, Metric); 7] = [
    ("cpu", Metric::ServerCpu),
    ("p50", Metric::MedianLatency),
    ("median", Metric::MedianLatency),
    ("p99", Metric::TailLatency),
    ("client-cpu", Metric::GeneratorCpu),
    ("bytes", Metric::Bytes),
    ("rate", Metric::Rate),
];

/// The scenarios that a measure is looked for in, in this order.
pub(crate) const SCENARIOS: [Purpose; 3] = [Purpose::Open, Purpose::Closed, Purpose::Single];

/// The form of a requirement, for those who wrote another thing.
const FORM: &str = "write it like \"grpc.p99 <= 1.05 * rest.p99\" or \"grpc.p99 <= 5ms\"; measures are cpu, \
                    p50, p99, client-cpu, bytes and rate";

impl Requirement {
    /// Reads `text`.
    ///
    /// # Errors
    /// The rest of a sentence that says what is wrong and how to write it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("{what}; {FORM}");
        let found = ["<=", ">=", "<", ">"].into_iter().find_map(|sign| {
            let (left, right) = text.split_once(sign)?;
            Some((sign, left, right))
        });
        let (sign, left, right) = found.ok_or_else(|| wrong("has no <= or >="))?;
        let (variant, metric) =
            measure(left).ok_or_else(|| wrong("begins with no measure of a variant"))?;
        let right = right.trim();
        let (factor, rest) = match right.split_once('*') {
            Some((factor, rest)) => (factor.trim().parse().ok(), rest),
            None => (Some(1.0), right),
        };
        let (limit, other) = match measure(rest) {
            Some((_, other)) if other != metric => {
                return Err(wrong("compares two measures that are not the same"));
            }
            Some((other, _)) => (factor, Some(other)),
            None => (value(right, metric), None),
        };
        let limit = limit.filter(|limit: &f64| limit.is_finite() && *limit > 0.0);
        Ok(Self {
            text: text.trim().to_owned(),
            metric,
            variant,
            is_upper: sign.starts_with('<'),
            limit: limit.ok_or_else(|| wrong("has no bound above 0 that can be read"))?,
            other,
        })
    }

    /// The first variant it names that is none of `variants`.
    pub fn unknown<'a>(&'a self, variants: &[Variant]) -> Option<&'a str> {
        let names = std::iter::once(&self.variant).chain(&self.other);
        let mut unknown = names.filter(|name| find(variants, name).is_none());
        unknown.next().map(String::as_str)
    }

    /// Judges it by `scenarios`, as one of `count` requirements.
    pub(super) fn answer(&self, scenarios: &Scenarios, count: usize) -> Answer {
        let measured = SCENARIOS
            .into_iter()
            // A rate that was offered is no measure of a variant.
            .filter(|purpose| self.metric != Metric::Rate || *purpose == Purpose::Closed)
            .filter_map(|purpose| scenarios.first(purpose))
            .find_map(|measured| Some((measured, self.variants(measured)?)));
        let answer = Answer {
            requirement: self.text.clone(),
            outcome: Outcome::CannotTell,
            found: None,
            limit: self.limit,
            unit: self.other.is_none().then(|| self.metric.unit()),
            reason: Some(
                match self.metric {
                    Metric::Rate => "a rate is measured with --closed alone",
                    _ => "not measured",
                }
                .to_owned(),
            ),
            scenario: None,
        };
        let Some((measured, variants)) = measured else {
            return answer;
        };
        // The logarithm of a value, or of a ratio.
        let effect = |values: &[f64]| match values {
            [one] => one.ln(),
            [one, other] => (other / one).ln(),
            _ => f64::NAN,
        };
        let (evidence, _) = Evidence::of(scenarios, measured, self.metric, &variants, effect);
        let judged = evidence.judge(Family::Rest { claims: count });
        let interval = judged.estimate.map(|estimate| estimate.family_interval);
        let reason = match &judged.grade {
            // What the twin says is asked below: the interval answers.
            Grade::Inconclusive(Reason::Statistics(
                stats::Reason::TooFewRounds { .. } | stats::Reason::InvalidRatio,
            )) => Some(sentence::grade(&judged.grade)),
            Grade::Inconclusive(Reason::Statistics(_)) => None,
            Grade::Inconclusive(_) => Some(sentence::grade(&judged.grade)),
            Grade::Difference | Grade::NoDifference => None,
        };
        let outcome = match (&reason, interval) {
            (None, Some(interval)) => {
                let [inner, outer] = match self.is_upper {
                    true => [interval.low, interval.high],
                    false => [interval.high, interval.low],
                };
                let holds = |value: f64| match self.is_upper {
                    true => value <= self.limit,
                    false => value >= self.limit,
                };
                match (holds(outer), holds(inner)) {
                    (true, _) => Outcome::Met,
                    (false, false) => Outcome::Missed,
                    (false, true) => Outcome::CannotTell,
                }
            }
            _ => Outcome::CannotTell,
        };
        // What holds only if the two differ takes that the twin differs less.
        let takes_a_difference = self.other.is_some()
            && match (outcome, self.is_upper) {
                (Outcome::Missed, true) => self.limit >= 1.0,
                (Outcome::Missed, false) => self.limit <= 1.0,
                (Outcome::Met, true) => self.limit < 1.0,
                (Outcome::Met, false) => self.limit > 1.0,
                (Outcome::CannotTell, _) => false,
            };
        let is_noise = matches!(
            judged.grade,
            Grade::Inconclusive(Reason::Statistics(
                stats::Reason::WithinFloor | stats::Reason::NoFloor
            ))
        );
        let (outcome, reason) = if takes_a_difference && is_noise {
            (Outcome::CannotTell, Some(sentence::grade(&judged.grade)))
        } else {
            (outcome, reason)
        };
        let wide = "the bound lies within the interval".to_owned();
        let reason = reason.map(|words| words.trim_start_matches("inconclusive: ").to_owned());
        Answer {
            outcome,
            found: judged
                .estimate
                .zip(interval)
                .map(|(estimate, interval)| [estimate.ratio, interval.low, interval.high]),
            reason: (outcome == Outcome::CannotTell).then(|| reason.unwrap_or(wide)),
            scenario: Some(measured.scenario.clone()),
            ..answer
        }
    }

    /// The other variant, if there is one, and the one that is bounded; none if one is not in `measured`.
    fn variants<'a>(&self, measured: &Measured<'a>) -> Option<Vec<&'a Variant>> {
        let names = self.other.iter().chain([&self.variant]);
        names
            .map(|name| find(&measured.scenario.variants, name))
            .collect()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.outcome.word(), self.requirement)?;
        if let Some(found) = self.found {
            let text = |value: f64| match value {
                v if v >= 99.95 => decimals(v, 0),
                v if v >= 9.995 => decimals(v, 1),
                v => decimals(v, 3),
            };
            let unit = self.unit.map_or("×".to_owned(), |unit| format!(" {unit}"));
            let range = range(found, " to ", text);
            write!(f, " (found {}{unit}, {range})", text(found[0]))?;
        }
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

/// Such as `grpc.p99`.
fn measure(text: &str) -> Option<(String, Metric)> {
    let (variant, name) = text.trim().rsplit_once('.')?;
    let known = MEASURES.iter().find(|(known, _)| *known == name)?;
    (!variant.is_empty()).then(|| (variant.to_owned(), known.1))
}

/// A number in the unit of `metric`; times may have another.
fn value(text: &str, metric: Metric) -> Option<f64> {
    let is_time = metric.unit() == "µs";
    let units: &[(&str, f64)] = match is_time {
        true => &[("us", 1.0), ("µs", 1.0), ("ms", 1e3), ("s", 1e6)],
        false => &[("", 1.0)],
    };
    units.iter().find_map(|(unit, factor)| {
        let number = text.strip_suffix(unit)?.trim();
        number.parse::<f64>().ok().map(|number| number * factor)
    })
}

/// The variant of this name, or the first of this side: `rest` or `grpc`.
fn find<'a>(variants: &'a [Variant], name: &str) -> Option<&'a Variant> {
    let all = || variants.iter().filter(|variant| !variant.is_twin);
    all()
        .find(|variant| variant.name.eq_ignore_ascii_case(name))
        .or_else(|| all().find(|variant| variant.protocol.side().eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_bounds_a_measure_by_a_number_or_by_another_variant() {
        for (text, variant, limit, other) in [
            ("grpc.p99 <= 1.05 * rest.p99", "grpc", 1.05, Some("rest")),
            ("new build.cpu<old.cpu", "new build", 1.0, Some("old")),
            ("grpc.p99 <= 5ms", "grpc", 5_000.0, None),
            ("grpc.p50 < 1.5 s", "grpc", 1.5e6, None),
            ("rest.rate >= 2000", "rest", 2_000.0, None),
        ] {
            let read = Requirement::parse(text).unwrap();
            assert_eq!(
                (read.variant.as_str(), read.limit, read.other.as_deref()),
                (variant, limit, other),
                "{text}"
            );
            assert_eq!(read.is_upper, text.contains('<'), "{text}");
        }
    }

    #[test]
    fn what_is_none_says_how_to_write_one() {
        for text in [
            "",
            "grpc.p99",
            "p99 <= 5ms",
            "grpc.p98 <= 5ms",
            "grpc.p99 <= 5",
            "grpc.p99 <= rest.p50",
            "grpc.p99 <= x * rest.p99",
            "grpc.p99 <= -1 * rest.p99",
            "grpc.bytes <= 5ms",
        ] {
            let error = Requirement::parse(text).unwrap_err();
            assert!(error.contains("write it like"), "{text}: {error}");
        }
    }
}
