//! Where the difference between REST and gRPC comes from.
//!
//! Arms A to D are a 2 × 2 of codec and transport. On logarithms the effect of each is the mean over
//! both values of the other (Fisher, The Design of Experiments, 1935, chapter VI), so codec and
//! transport together are exactly A → D, and with framing, D → E, exactly A → E.

use super::{UNJUDGED, cells::Measured, claim::judged, metric::Metric};
use crate::{
    record::{Arm, Cell},
    statistics::{Estimate, Finding, Floor, holm},
};

/// A → E in three steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Waterfall {
    /// By what.
    pub metric: Metric,
    /// Where.
    pub cell: Cell,
    /// Codec, transport, framing.
    pub steps: [Step; 3],
    /// All three together: gRPC divided by REST, over the pairs that have all five arms.
    pub total: Estimate,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What changes.
    pub name: &'static str,
    /// From what to what.
    pub change: &'static str,
    /// The ratio.
    pub estimate: Estimate,
    /// What one arm differs from itself.
    pub floor: Option<Floor>,
    /// What may be said.
    pub finding: Finding,
}

const STEPS: [(&str, &str); 3] = [
    ("codec", "JSON to protobuf"),
    ("transport", "HTTP/1.1 to HTTP/2"),
    ("framing", "plain HTTP/2 to gRPC"),
];

impl Waterfall {
    /// The waterfall of a cell, over the pairs that have a valid block of all five arms; none where
    /// fewer than two have. Not judged yet.
    pub fn of(
        measured: &Measured,
        metric: Metric,
        floor: Option<Floor>,
        seed: u64,
    ) -> Option<Self> {
        let arms = all_five(measured)?;
        let effects: Vec<[f64; 4]> = measured
            .pairs()
            .into_iter()
            .filter_map(|pair| {
                let log = |arm| measured.value(pair, arm, metric).map(f64::ln);
                let [a, b, c, d, e] = arms.map(log);
                let (a, b, c, d, e) = (a?, b?, c?, d?, e?);
                let codec = (c - a + d - b) / 2.0;
                let transport = (b - a + d - c) / 2.0;
                Some([codec, transport, e - d, e - a])
            })
            .collect();
        let estimate = |index: usize| {
            let ratios: Vec<f64> = effects.iter().map(|effect| effect[index].exp()).collect();
            Estimate::of(&ratios, seed)
        };
        let step = |index: usize| {
            Some(Step {
                name: STEPS[index].0,
                change: STEPS[index].1,
                estimate: estimate(index)?,
                floor,
                finding: UNJUDGED,
            })
        };
        Some(Self {
            metric,
            cell: measured.cell.clone(),
            steps: [step(0)?, step(1)?, step(2)?],
            total: estimate(3)?,
        })
    }
}

/// The arms A to E as the cell names them.
fn all_five<'a>(measured: &Measured<'a>) -> Option<[&'a (Arm, String); 5]> {
    let find = |wanted: Arm| measured.cell.arms.iter().find(|(arm, _)| *arm == wanted);
    let [a, b, c, d, e] = Arm::ALL.map(find);
    Some([a?, b?, c?, d?, e?])
}

/// Judges the steps of all waterfalls of a run together.
pub fn judge_all(waterfalls: &mut [Waterfall]) {
    let steps = waterfalls.iter().flat_map(|waterfall| &waterfall.steps);
    let ps: Vec<f64> = steps.map(|step| step.estimate.p).collect();
    let mut adjusted = holm(&ps).into_iter();
    for Waterfall { cell, steps, .. } in waterfalls {
        for (step, adjusted_p) in steps.iter_mut().zip(&mut adjusted) {
            let pairs = step.estimate.pairs();
            step.finding = judged(Some(&step.estimate), pairs, cell, step.floor, adjusted_p);
        }
    }
}
