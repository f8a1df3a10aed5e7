//! One comparison and what may be said of it.

use stats::{Decision, Estimate, Family, Floor, Look, trimmed_geometric_mean};

use super::scenarios::{Measured, Obstacle, Round, Scenarios};
use crate::{
    metric::Metric,
    record::{Disturbance, Scenario, Variant},
};

/// One variant against another in one scenario, by one measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The measure.
    pub metric: Metric,
    /// The scenario.
    pub scenario: Scenario,
    /// The variant that is divided by.
    pub baseline: Variant,
    /// The variant that is divided.
    pub candidate: Variant,
    /// The typical value of both over the rounds that are compared, in the metric's unit; over the trials
    /// that are not void, if no round can be.
    pub values: [Option<f64>; 2],
    /// Rounds that the estimate stands on.
    pub rounds: usize,
    /// Rounds that were run.
    pub rounds_run: usize,
    /// The ratio; none of fewer than two rounds.
    pub estimate: Option<Estimate>,
    /// By how much the baseline differs from its twin.
    pub floor: Option<Floor>,
    /// The conclusion that the rounds support.
    pub grade: Grade,
}

/// The conclusion that the rounds of a claim support.
#[derive(Clone, Debug, PartialEq)]
pub enum Grade {
    /// The two differ, by about the estimate's ratio.
    Difference,
    /// They do not differ by more than [`stats::EQUIVALENCE`].
    NoDifference,
    /// Neither can be said, for this reason.
    Inconclusive(Reason),
}

/// Reason for an inconclusive claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// The statistics do not support more.
    Statistics(stats::Reason),
    /// The generator was at its limit in most rounds: what was measured is its own as much as the service's.
    GeneratorLimit,
    /// The rates of the two differ in most rounds, and the measure depends on them.
    RatesDiffer,
    /// Less than half of the rounds are valid; the most common disturbance of the others.
    MostlyVoid(Disturbance),
    /// No round is valid; the most common disturbance.
    NoTrial(Disturbance),
    /// No round has a trial of both in which the measure was taken.
    NotMeasured,
    /// A trial had so few good replies that less than a hundred samples lie beyond the percentile.
    TooFewReplies {
        /// Good replies of that trial.
        replies: u64,
    },
}

impl Grade {
    /// Returns true if it is a difference or no difference.
    pub fn is_conclusive(&self) -> bool {
        !matches!(self, Self::Inconclusive(_))
    }

    /// The grade in two words at most.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Difference => "difference",
            Self::NoDifference => "no difference",
            Self::Inconclusive(_) => "inconclusive",
        }
    }
}

/// Rounds as they are before they are judged: with others, in a family.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    /// Logarithms of the ratio of each round that is compared.
    pub(super) ratios: Vec<f64>,
    /// The same of the twin to the baseline.
    floor: Vec<f64>,
    /// Rounds that were run.
    pub(super) rounds_run: usize,
    /// Reason for which the claim is inconclusive, whatever the ratios are.
    reason: Option<Reason>,
}

/// [`Evidence`], judged.
pub(super) struct Judged {
    pub(super) estimate: Option<Estimate>,
    pub(super) floor: Option<Floor>,
    pub(super) grade: Grade,
}

impl Evidence {
    /// The rounds of `variants` in `measured` by `metric`, each made one logarithm by `effect`; the floor is
    /// that of `scenarios`. The values of the rounds that are compared come with it.
    pub(super) fn of(
        scenarios: &Scenarios,
        measured: &Measured,
        metric: Metric,
        variants: &[&Variant],
        effect: impl Fn(&[f64]) -> f64,
    ) -> (Self, Vec<Vec<f64>>) {
        let numbers = measured.rounds(variants);
        let rounds: Vec<(u32, Round)> = numbers
            .into_iter()
            .map(|number| (number, measured.round(number, variants, metric)))
            .collect();
        let count = |weak| {
            rounds
                .iter()
                .filter(|(_, round)| round.values(weak).is_some())
                .count()
        };
        // What is left of more void rounds than valid ones is what happened to go well.
        let weak = 2 * count(false) < rounds.len();
        let used: Vec<(u32, &[f64])> = rounds
            .iter()
            .filter_map(|(number, round)| Some((*number, round.values(weak)?)))
            .collect();
        let too_few = measured.too_few_replies(metric);
        let reason = match too_few {
            Some(replies) => Some(Reason::TooFewReplies { replies }),
            None if used.is_empty() || weak => Some(reason(&rounds, used.is_empty())),
            None => None,
        };
        let values: Vec<Vec<f64>> = match reason {
            // Which trials had enough, or the same rate by chance, is a part of the outcome.
            Some(Reason::TooFewReplies { .. } | Reason::RatesDiffer) => Vec::new(),
            _ => used.iter().map(|(_, values)| values.to_vec()).collect(),
        };
        let numbers: Vec<u32> = used.iter().map(|(number, _)| *number).collect();
        let evidence = Self {
            ratios: values.iter().map(|values| effect(values)).collect(),
            floor: floor(scenarios, measured, metric, &numbers, weak),
            rounds_run: rounds.len(),
            reason,
        };
        (evidence, values)
    }

    /// Judges it as one of `family`.
    pub(super) fn judge(&self, family: Family) -> Judged {
        let claim = stats::Claim {
            ratios: &self.ratios,
            floor: &self.floor,
        };
        let judgement = claim.judge(Look::at(self.rounds_run), family);
        let grade = match (&self.reason, judgement.decision) {
            (Some(reason), _) => Grade::Inconclusive(reason.clone()),
            (None, Decision::Difference) => Grade::Difference,
            (None, Decision::NoDifference) => Grade::NoDifference,
            (None, Decision::Inconclusive(reason)) => {
                Grade::Inconclusive(Reason::Statistics(reason))
            }
        };
        Judged {
            estimate: judgement.estimate,
            floor: judgement.floor,
            grade,
        }
    }
}

/// Logarithms of the twin divided by the baseline: in the same rounds, or in all of a scenario of its own.
fn floor(
    scenarios: &Scenarios,
    measured: &Measured,
    metric: Metric,
    rounds: &[u32],
    weak: bool,
) -> Vec<f64> {
    let Some(aa) = scenarios.floor_of(measured) else {
        return Vec::new();
    };
    let (Some(baseline), Some(twin)) = (aa.scenario.baseline(), aa.scenario.twin()) else {
        return Vec::new();
    };
    let is_own = aa.scenario == measured.scenario;
    let both = [baseline, twin];
    let numbers = aa.rounds(&both).into_iter();
    numbers
        .filter(|number| !is_own || rounds.contains(number))
        .filter_map(|number| aa.round(number, &both, metric).values(weak).map(log_ratio))
        .collect()
}

/// The logarithm of the second divided by the first.
fn log_ratio(values: &[f64]) -> f64 {
    (values[1] / values[0]).ln()
}

/// The most common reason why rounds do not stand; the earliest of equally common ones.
fn reason(rounds: &[(u32, Round)], none_is_left: bool) -> Reason {
    let obstacles: Vec<&Obstacle> = rounds
        .iter()
        .filter_map(|(_, round)| round.obstacle())
        .collect();
    let alike = |one: &Obstacle, other: &Obstacle| match (one, other) {
        (Obstacle::Disturbed(one), Obstacle::Disturbed(other)) => {
            std::mem::discriminant(one) == std::mem::discriminant(other)
        }
        _ => one == other,
    };
    let count = |obstacle: &&&Obstacle| {
        obstacles
            .iter()
            .filter(|other| alike(obstacle, other))
            .count()
    };
    match obstacles.iter().rev().max_by_key(count) {
        None | Some(Obstacle::Missing) => Reason::NotMeasured,
        Some(Obstacle::RatesDiffer) => Reason::RatesDiffer,
        Some(Obstacle::Disturbed(Disturbance::GeneratorLimit { .. })) => Reason::GeneratorLimit,
        Some(Obstacle::Disturbed(disturbance)) if none_is_left => {
            Reason::NoTrial(disturbance.clone())
        }
        Some(Obstacle::Disturbed(disturbance)) => Reason::MostlyVoid(disturbance.clone()),
    }
}

/// A claim before it is judged.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    claim: Claim,
    evidence: Evidence,
}

impl Draft {
    /// The claim of `candidate` against `baseline`.
    pub(super) fn of(
        scenarios: &Scenarios,
        measured: &Measured,
        metric: Metric,
        [baseline, candidate]: [&Variant; 2],
    ) -> Self {
        let (evidence, values) = Evidence::of(
            scenarios,
            measured,
            metric,
            &[baseline, candidate],
            log_ratio,
        );
        let typical = |index: usize, variant| {
            let of_rounds: Vec<f64> = values.iter().map(|values| values[index]).collect();
            trimmed_geometric_mean(&of_rounds).or_else(|| measured.typical(variant, metric))
        };
        let claim = Claim {
            metric,
            scenario: measured.scenario.clone(),
            values: [typical(0, baseline), typical(1, candidate)],
            baseline: baseline.clone(),
            candidate: candidate.clone(),
            rounds: evidence.ratios.len(),
            rounds_run: evidence.rounds_run,
            estimate: None,
            floor: None,
            grade: Grade::Inconclusive(Reason::NotMeasured),
        };
        Self { claim, evidence }
    }

    /// The same metric of the same scenario, whatever was found.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.claim.metric == other.claim.metric && self.claim.scenario == other.claim.scenario
    }

    /// Judges it as one of `family`.
    pub(super) fn judge(self, family: Family) -> Claim {
        let Judged {
            estimate,
            floor,
            grade,
        } = self.evidence.judge(family);
        Claim {
            estimate,
            floor,
            grade,
            ..self.claim
        }
    }
}
