//! The trials of each scenario, and the rounds among them.

use std::collections::BTreeSet;

use stats::{is_known, trimmed_geometric_mean};

use crate::{
    metric::Metric,
    record::{Disturbance, Purpose, Recording, Scenario, Trial, Variant},
    validity::{Effect, effect},
};

/// The most by which the rates of two trials may differ of which CPU per request is compared, as a part of
/// the lower one: it falls as a rate grows.
pub const COMMON_RATE: f64 = 0.02;

/// One scenario of the plan and what was measured of it.
#[derive(Clone, Debug)]
pub struct Measured<'a> {
    /// The scenario as it was planned.
    pub scenario: &'a Scenario,
    /// Its trials in the order in which they ran, disturbed ones too.
    pub trials: Vec<&'a Trial>,
}

/// All scenarios of a run, in the order of the plan.
#[derive(Clone, Debug)]
pub struct Scenarios<'a> {
    measured: Vec<Measured<'a>>,
}

impl<'a> Scenarios<'a> {
    /// Sorts the trials of `recording` into the scenarios of its plan.
    pub fn of(recording: &'a Recording) -> Self {
        let measured = |scenario: &'a Scenario| Measured {
            scenario,
            trials: recording
                .trials
                .iter()
                .filter(|trial| trial.is_of(scenario))
                .collect(),
        };
        Self {
            measured: recording.run.plan.scenarios.iter().map(measured).collect(),
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Measured<'a>> {
        self.measured.iter()
    }

    /// Those measured for `purpose`.
    pub fn of_purpose(&self, purpose: Purpose) -> impl Iterator<Item = &Measured<'a>> {
        self.all()
            .filter(move |measured| measured.scenario.purpose == purpose)
    }

    /// The first one planned for `purpose`.
    pub fn first(&self, purpose: Purpose) -> Option<&Measured<'a>> {
        self.of_purpose(purpose).next()
    }

    /// The scenario whose baseline and twin lend `measured` their noise: itself, or in runs before format 4
    /// the A/A scenario of exactly the same shape, batch, load and length.
    pub(super) fn floor_of<'b>(&'b self, measured: &'b Measured<'a>) -> Option<&'b Measured<'a>> {
        if measured.scenario.twin().is_some() {
            return Some(measured);
        }
        let like = |one: &Scenario, other: &Scenario| {
            one.load == other.load
                && (one.shape, one.batch, one.window_us)
                    == (other.shape, other.batch, other.window_us)
                && one.baseline().map(|one| one.protocol)
                    == other.baseline().map(|other| other.protocol)
        };
        self.of_purpose(Purpose::Aa)
            .find(|aa| like(aa.scenario, measured.scenario))
    }
}

/// The reading of one measure in one trial, with the trial's rate and the effect of its disturbances.
#[derive(Clone, Copy, Debug)]
struct Reading<'a> {
    value: Option<f64>,
    per_second: f64,
    effect: Effect<'a>,
}

/// One round of two variants or more, by one measure.
#[derive(Clone, Debug)]
pub(super) enum Round {
    /// All values stand.
    Stands(Vec<f64>),
    /// All values may be estimated from; at least one trial was disturbed by this.
    Weak(Vec<f64>, Obstacle),
    /// They cannot be compared.
    Lost(Obstacle),
}

/// An obstacle to the comparison of a round.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Obstacle {
    /// A trial was disturbed.
    Disturbed(Disturbance),
    /// The rates of the trials differ by more than [`COMMON_RATE`].
    RatesDiffer,
    /// A trial is missing, or its measure was not taken.
    Missing,
}

impl Round {
    /// The values, if they stand, or if `weak` ones will do.
    pub(super) fn values(&self, weak: bool) -> Option<&[f64]> {
        match self {
            Self::Stands(values) => Some(values),
            Self::Weak(values, _) if weak => Some(values),
            _ => None,
        }
    }

    /// Returns the obstacle that keeps it from standing, if there is one.
    pub(super) fn obstacle(&self) -> Option<&Obstacle> {
        match self {
            Self::Stands(_) => None,
            Self::Weak(_, obstacle) | Self::Lost(obstacle) => Some(obstacle),
        }
    }
}

impl<'a> Measured<'a> {
    /// The rounds in which any of `variants` had a trial.
    pub(super) fn rounds(&self, variants: &[&Variant]) -> BTreeSet<u32> {
        let of = |trial: &&&Trial| variants.contains(&&trial.variant);
        self.trials
            .iter()
            .filter(of)
            .map(|trial| trial.round)
            .collect()
    }

    /// Round number `round` of `variants` by `metric`.
    pub(super) fn round(&self, round: u32, variants: &[&Variant], metric: Metric) -> Round {
        let readings = variants
            .iter()
            .map(|variant| self.reading(round, variant, metric));
        let Some(readings) = readings.collect::<Option<Vec<Reading>>>() else {
            return Round::Lost(Obstacle::Missing);
        };
        let effects = readings.iter().map(|reading| reading.effect);
        // The gravest, and not the first: which variant is the baseline changes nothing.
        let gravest = |effects: &mut dyn Iterator<Item = Effect<'a>>| {
            let disturbances = effects.filter_map(Effect::disturbance);
            disturbances
                .min_by_key(|disturbance| disturbance.rank())
                .cloned()
        };
        if let Some(void) = gravest(&mut effects.clone().filter(|effect| effect.is_void())) {
            return Round::Lost(Obstacle::Disturbed(void));
        }
        let Some(values) = readings.iter().map(|reading| reading.value).collect() else {
            return Round::Lost(Obstacle::Missing);
        };
        if metric.depends_on_rate() && !at_a_common_rate(&readings) {
            return Round::Lost(Obstacle::RatesDiffer);
        }
        match gravest(&mut effects.clone()) {
            None => Round::Stands(values),
            Some(weak) => Round::Weak(values, Obstacle::Disturbed(weak)),
        }
    }

    /// The latest trial of `variant` in `round` that is worth the most by `metric`.
    fn reading(&self, round: u32, variant: &Variant, metric: Metric) -> Option<Reading<'a>> {
        let of_round = |trial: &&&Trial| trial.round == round && trial.variant == *variant;
        let readings = self.trials.iter().filter(of_round).map(|trial| Reading {
            value: metric.of(&trial.measurement),
            per_second: trial.measurement.requests_per_second(),
            effect: effect(trial, metric),
        });
        readings.max_by_key(|reading| match reading.effect {
            Effect::Stands => 2,
            Effect::Inconclusive(_) => 1,
            Effect::Void(_) => 0,
        })
    }

    /// The fewest good replies of a trial whose `metric` is not void, if that percentile takes more. It is
    /// decided for the scenario: which trials had enough is a part of the outcome.
    pub(super) fn too_few_replies(&self, metric: Metric) -> Option<u64> {
        let percentile = metric.percentile()?;
        let counted = self
            .trials
            .iter()
            .filter(|trial| !effect(trial, metric).is_void());
        let least = counted
            .map(|trial| trial.measurement.latency().count())
            .min()?;
        (!is_known(least, percentile)).then_some(least)
    }

    /// The trials of `variant` whose `metric` counts, or if less than half do, those that are not void.
    pub fn counting(&self, variant: &Variant, metric: Metric) -> Vec<&'a Trial> {
        if self.too_few_replies(metric).is_some() {
            return Vec::new();
        }
        let of = |trial: &&&Trial| trial.variant == *variant && !effect(trial, metric).is_void();
        let all: Vec<&Trial> = self.trials.iter().filter(of).copied().collect();
        let stand = |trial: &&&Trial| effect(trial, metric) == Effect::Stands;
        let standing: Vec<&Trial> = all.iter().filter(stand).copied().collect();
        let of_variant = self.trials.iter().filter(|trial| trial.variant == *variant);
        if 2 * standing.len() >= of_variant.count() {
            standing
        } else {
            all
        }
    }

    /// The typical value of `metric` over [`Self::counting`].
    pub fn typical(&self, variant: &Variant, metric: Metric) -> Option<f64> {
        let trials = self.counting(variant, metric).into_iter();
        let values: Vec<f64> = trials
            .filter_map(|trial| metric.of(&trial.measurement))
            .collect();
        trimmed_geometric_mean(&values)
    }

    /// Returns true if `metric` was measured for both variants that are compared, as far as these have
    /// trials.
    pub fn is_known_of_both(&self, metric: Metric) -> bool {
        let variants = self
            .scenario
            .baseline()
            .into_iter()
            .chain(self.scenario.candidate());
        variants
            .map(|variant| {
                self.trials
                    .iter()
                    .filter(move |trial| trial.variant == *variant)
            })
            .all(|mut trials| {
                let mut seen = trials.clone().peekable();
                seen.peek().is_none() || trials.any(|trial| metric.of(&trial.measurement).is_some())
            })
    }
}

fn at_a_common_rate(readings: &[Reading]) -> bool {
    let rates = || readings.iter().map(|reading| reading.per_second);
    let (low, high) = (
        rates().fold(f64::INFINITY, f64::min),
        rates().fold(0.0, f64::max),
    );
    high <= low * (1.0 + COMMON_RATE)
}
