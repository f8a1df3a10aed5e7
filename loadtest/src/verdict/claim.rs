//! One comparison and what may be said of it.

use super::{UNJUDGED, cells::Measured, metric::Metric};
use crate::{
    record::{Arm, Cell},
    statistics::{Estimate, Finding, Floor, LEAST_PAIRS, Unsaid, holm, judge},
};

/// One arm against another in one cell, by one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// By what.
    pub metric: Metric,
    /// Where.
    pub cell: Cell,
    /// The arm that is divided by.
    pub base: (Arm, String),
    /// The arm that is divided.
    pub candidate: (Arm, String),
    /// The typical value of both, the geometric mean over blocks, in the metric's unit.
    pub values: [Option<f64>; 2],
    /// Pairs with a valid block of both arms.
    pub pairs: usize,
    /// The ratio; none of fewer than two pairs.
    pub estimate: Option<Estimate>,
    /// What one arm differs from itself.
    pub floor: Option<Floor>,
    /// Blocks of the cell that were VOID.
    pub void_blocks: usize,
    /// Holm's adjusted p over the claims it was judged with.
    pub adjusted_p: Option<f64>,
    /// What may be said.
    pub finding: Finding,
}

impl Claim {
    /// The claim of the last arm of `measured` against the first, not judged yet; none where there is
    /// only one.
    pub fn of(
        measured: &Measured,
        metric: Metric,
        floor: Option<Floor>,
        seed: u64,
    ) -> Option<Self> {
        let (base, candidate) = (measured.first()?, measured.last()?);
        let mean = |arm| measured.mean(arm, |block| metric.of(block));
        let ratios = measured.ratios(metric, base, candidate);
        Some(Self {
            metric,
            cell: measured.cell.clone(),
            values: [mean(base), mean(candidate)],
            pairs: ratios.len(),
            estimate: Estimate::of(&ratios, seed),
            base: base.clone(),
            candidate: candidate.clone(),
            floor,
            void_blocks: measured.void_count(),
            adjusted_p: None,
            finding: UNJUDGED,
        })
    }
}

/// What may be said of `estimate` in `cell`: nothing where less than half of the planned pairs are
/// valid, as what is left of more is what happened to go well.
pub(super) fn judged(
    estimate: Option<&Estimate>,
    valid: usize,
    cell: &Cell,
    floor: Option<Floor>,
    adjusted_p: f64,
) -> Finding {
    let needed = LEAST_PAIRS.max((cell.pairs as usize).div_ceil(2));
    match estimate {
        Some(estimate) if valid >= needed => judge(estimate, floor, adjusted_p),
        _ => Finding::CantTell(Unsaid::TooFewPairs { valid, needed }),
    }
}

/// Judges claims that are made together, with Holm's correction over all of them that have an
/// estimate.
pub fn judge_family(claims: &mut [Claim]) {
    let estimates = claims.iter().filter_map(|claim| claim.estimate.as_ref());
    let ps: Vec<f64> = estimates.map(|estimate| estimate.p).collect();
    let mut adjusted = holm(&ps).into_iter();
    for claim in claims {
        claim.adjusted_p = claim.estimate.as_ref().and_then(|_| adjusted.next());
        let adjusted_p = claim.adjusted_p.unwrap_or(1.0);
        claim.finding = judged(
            claim.estimate.as_ref(),
            claim.pairs,
            &claim.cell,
            claim.floor,
            adjusted_p,
        );
    }
}
