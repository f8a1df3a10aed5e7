//! The sources of the difference between REST and gRPC: codec, transport and framing.
//!
//! Protocols A to D are a 2 × 2 of codec and transport. On logarithms the effect of each is the mean over
//! both values of the other (Fisher, The Design of Experiments, 1935, chapter VI), so that in each round
//! codec and transport together are exactly A → D, and with framing, D → E, exactly A → E.

use stats::{Estimate, Family, Floor};

use super::{
    claim::{Evidence, Grade},
    scenarios::{Measured, Scenarios},
};
use crate::{
    metric::Metric,
    record::{Protocol, Scenario, Variant},
};

/// A → E in three steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Waterfall {
    /// The measure.
    pub metric: Metric,
    /// The scenario.
    pub scenario: Scenario,
    /// Codec, transport, framing.
    pub steps: [Step; 3],
    /// All three together: gRPC divided by REST, over the rounds that have all five.
    pub total: Estimate,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The part that changes, such as `codec`.
    pub name: &'static str,
    /// From what to what.
    pub change: &'static str,
    /// The ratio.
    pub estimate: Estimate,
    /// By how much the baseline differs from its twin.
    pub floor: Option<Floor>,
    /// The conclusion that the rounds support.
    pub grade: Grade,
}

const STEPS: [(&str, &str); 3] = [
    ("codec", "JSON to protobuf"),
    ("transport", "HTTP/1.1 to HTTP/2"),
    ("framing", "plain HTTP/2 to gRPC"),
];

/// The effect of a step on the logarithms of A to E.
type Effect = fn([f64; 5]) -> f64;

const EFFECTS: [Effect; 4] = [
    |[a, b, c, d, _]| (c - a + d - b) / 2.0,
    |[a, b, c, d, _]| (b - a + d - c) / 2.0,
    |[_, _, _, d, e]| e - d,
    |[a, _, _, _, e]| e - a,
];

/// A waterfall before it is judged.
pub(super) struct Draft {
    metric: Metric,
    scenario: Scenario,
    evidence: [Evidence; 4],
}

impl Draft {
    /// The waterfall of a scenario, over the rounds that have all five protocols; none if it has not got
    /// them.
    pub(super) fn of(scenarios: &Scenarios, measured: &Measured, metric: Metric) -> Option<Self> {
        let five = all_five(measured.scenario)?;
        let evidence = EFFECTS.map(|effect| {
            let of_round = |values: &[f64]| {
                let mut logs = [0.0; 5];
                for (log, value) in logs.iter_mut().zip(values) {
                    *log = value.ln();
                }
                effect(logs)
            };
            Evidence::of(scenarios, measured, metric, &five, of_round).0
        });
        Some(Self {
            metric,
            scenario: measured.scenario.clone(),
            evidence,
        })
    }

    /// Claims that it makes.
    pub(super) fn claims(&self) -> usize {
        STEPS.len()
    }

    /// Judges its steps as claims of `family`; none if fewer than two rounds have all five protocols.
    pub(super) fn judge(&self, family: Family) -> Option<Waterfall> {
        let step = |index: usize| {
            let judged = self.evidence[index].judge(family);
            Some(Step {
                name: STEPS[index].0,
                change: STEPS[index].1,
                estimate: judged.estimate?,
                floor: judged.floor,
                grade: judged.grade,
            })
        };
        Some(Waterfall {
            metric: self.metric,
            scenario: self.scenario.clone(),
            steps: [step(0)?, step(1)?, step(2)?],
            total: self.evidence[3].judge(family).estimate?,
        })
    }
}

/// The variants A to E, if the scenario compares no others: the first with the last.
fn all_five(scenario: &Scenario) -> Option<[&Variant; 5]> {
    let compared = scenario.variants.iter().filter(|variant| !variant.is_twin);
    if compared.count() != Protocol::STEPS.len() {
        return None;
    }
    let find = |protocol| {
        let mut variants = scenario.variants.iter();
        variants.find(|variant| variant.protocol == protocol && !variant.is_twin)
    };
    let [a, b, c, d, e] = Protocol::STEPS.map(find);
    Some([a?, b?, c?, d?, e?])
}
