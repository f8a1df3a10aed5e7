//! Which measures of a trial a disturbance leaves standing. Noise that widens an interval is measured by the
//! A/A twin and voids nothing; a measure that was falsified is never averaged.

use std::fmt::Write;

use crate::{
    metric::Metric,
    record::{self, Disturbance, Trial},
};

pub use record::Evidence;

/// Above this share of steal, CPU time is no longer the service's own: trials at up to 5.7% agreed on it
/// within one percent, and one at 14% was a third off.
const MUCH_STEAL: f64 = 0.1;

/// Above this share, what was taken is more than the hundredth of calls that p99 tells of.
const TAIL: f64 = 0.01;

/// A rate falls by about the share of the machine that was taken; above this share by more than what counts
/// as no difference.
const RATE: f64 = stats::EQUIVALENCE;

/// A rule for one disturbance and one measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// The measure stands.
    Stands,
    /// It gives an estimate at most, and no conclusion.
    Inconclusive,
    /// The same above this share.
    InconclusiveAbove(f64),
    /// The same if the dispatch delay is more than a tenth of the percentile.
    InconclusiveIfComparable,
    /// It is not averaged.
    Void,
    /// The same above this share.
    VoidAbove(f64),
}

use Rule::{Inconclusive, InconclusiveAbove, InconclusiveIfComparable, Stands, Void, VoidAbove};

/// The measures of [`TABLE`], in the order of its columns.
pub const COLUMNS: [Metric; 6] = [
    Metric::ServerCpu,
    Metric::GeneratorCpu,
    Metric::Bytes,
    Metric::MedianLatency,
    Metric::TailLatency,
    Metric::Rate,
];

/// Each disturbance in words, and its rule for each of [`COLUMNS`].
pub const TABLE: [(&str, [Rule; 6]); 6] = [
    (
        "nothing measured, bad replies, a server that restarted, a queue that grew or shrank, machines that \
         did not measure at once",
        [Void; 6],
    ),
    (
        "generator at its limit",
        [
            Stands,
            Stands,
            Stands,
            Inconclusive,
            Inconclusive,
            Inconclusive,
        ],
    ),
    (
        "late dispatch",
        [
            Stands,
            Stands,
            Stands,
            InconclusiveIfComparable,
            InconclusiveIfComparable,
            Stands,
        ],
    ),
    (
        "steal",
        [
            VoidAbove(MUCH_STEAL),
            VoidAbove(MUCH_STEAL),
            Stands,
            Stands,
            InconclusiveAbove(TAIL),
            InconclusiveAbove(RATE),
        ],
    ),
    (
        "other programs",
        [
            Stands,
            Stands,
            Stands,
            Stands,
            InconclusiveAbove(TAIL),
            InconclusiveAbove(RATE),
        ],
    ),
    (
        "a server that asks another for each call, where no --server-pid names what counts",
        [Void, Stands, Stands, Stands, Stands, Stands],
    ),
];

impl Rule {
    /// The rule in words.
    pub fn words(self) -> String {
        match self {
            Stands => "stands".to_owned(),
            Inconclusive => "inconclusive".to_owned(),
            InconclusiveAbove(share) => format!("inconclusive above {:.0}%", share * 100.0),
            InconclusiveIfComparable => "inconclusive if comparable to it".to_owned(),
            Void => "void".to_owned(),
            VoidAbove(share) => format!("void above {:.0}%", share * 100.0),
        }
    }
}

/// Effect of a trial's disturbances on one of its measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect<'a> {
    /// It counts.
    Stands,
    /// It gives an estimate if there is nothing better, and no conclusion, because of this.
    Inconclusive(&'a Disturbance),
    /// It is not averaged, because of this.
    Void(&'a Disturbance),
}

impl<'a> Effect<'a> {
    /// The disturbance that keeps the measure from standing.
    pub fn disturbance(self) -> Option<&'a Disturbance> {
        match self {
            Self::Stands => None,
            Self::Inconclusive(disturbance) | Self::Void(disturbance) => Some(disturbance),
        }
    }

    /// Returns true if the measure must not be averaged.
    pub fn is_void(self) -> bool {
        matches!(self, Self::Void(_))
    }
}

/// Returns the disturbances of `trial`, judged by its figures and by `evidence`.
pub fn disturbances(trial: &Trial, evidence: &Evidence) -> Vec<Disturbance> {
    record::disturbances(&trial.measurement, *evidence)
}

/// Returns the effect of the disturbances of `trial` on `metric`: the gravest of all.
pub fn effect(trial: &Trial, metric: Metric) -> Effect<'_> {
    let mut found = Effect::Stands;
    for disturbance in &trial.disturbances {
        match one(trial, disturbance, metric) {
            void @ Effect::Void(_) => return void,
            weak @ Effect::Inconclusive(_) if found == Effect::Stands => found = weak,
            _ => {}
        }
    }
    found
}

/// The reason that `metric` of `trial` is not averaged, in words.
pub fn void(trial: &Trial, metric: Metric) -> Option<String> {
    match effect(trial, metric) {
        Effect::Void(disturbance) => Some(disturbance.to_string()),
        _ => None,
    }
}

/// Returns true if any measure of `trial` is not void. If all are void, the trial is repeated.
pub fn is_usable(trial: &Trial) -> bool {
    Metric::ALL
        .into_iter()
        .any(|metric| !effect(trial, metric).is_void())
}

/// [`TABLE`] as text, for `--help`.
pub fn explained() -> String {
    let mut text =
        "Validity: a disturbance voids the measures that it falsifies, and no others.".to_owned();
    for (name, rules) in TABLE {
        let _ = write!(text, "\n  {name}:");
        if rules == [Void; 6] {
            text += " every measure is void";
            continue;
        }
        let told: Vec<String> = COLUMNS
            .iter()
            .zip(rules)
            .filter(|(_, rule)| *rule != Stands)
            .map(|(metric, rule)| format!("{} {}", metric.noun(), rule.words()))
            .collect();
        let _ = write!(text, " {}; the others stand", told.join(", "));
    }
    text
}

fn one<'a>(trial: &Trial, disturbance: &'a Disturbance, metric: Metric) -> Effect<'a> {
    let (row, share) = match disturbance {
        falsified if falsified.falsifies() => (0, 1.0),
        Disturbance::GeneratorLimit { busiest_core_share } => (1, *busiest_core_share),
        Disturbance::LateDispatch { .. } => (2, 1.0),
        Disturbance::Steal { share } => (3, *share),
        Disturbance::OtherPrograms { share } => (4, *share),
        Disturbance::AsksOthers { .. } => (5, 1.0),
        _ => (0, 1.0),
    };
    let (_, rules) = &TABLE[row];
    let column = COLUMNS.iter().position(|column| *column == metric);
    let is_comparable = || {
        let percentile = metric.percentile();
        percentile.is_some_and(|percentile| record::is_late(&trial.measurement, percentile))
    };
    match column.map_or(Void, |column| rules[column]) {
        Void => Effect::Void(disturbance),
        VoidAbove(limit) if share > limit => Effect::Void(disturbance),
        Inconclusive => Effect::Inconclusive(disturbance),
        InconclusiveAbove(limit) if share > limit => Effect::Inconclusive(disturbance),
        InconclusiveIfComparable if is_comparable() => Effect::Inconclusive(disturbance),
        _ => Effect::Stands,
    }
}
