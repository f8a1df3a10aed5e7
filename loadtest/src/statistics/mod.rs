//! From pairs of blocks to an estimate and what may be said of it. No clock, no files.
//!
//! The block is the unit, never the request: requests of one block share its luck. A ratio is the
//! geometric mean over pairs, as ratios multiply (Fleming and Wallace, CACM 29(3), 1986).

mod finding;
mod holm;
mod interval;
mod percentile;
mod permutation;
mod quantile;
#[cfg(test)]
mod simulation;

pub use finding::{EQUIVALENCE, Finding, Floor, LEAST_PAIRS, SIGNIFICANCE, Unsaid, judge};
pub use holm::holm;
pub use interval::{Interval, RESAMPLES, bootstrap, student, student_p};
pub use percentile::{SAMPLES_BEYOND, is_known, percentile_us};
pub use permutation::{EXACT_UP_TO, Permutation, sign_flip};
pub use quantile::median;

/// A ratio and how well it is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Geometric mean of the pairs' ratios.
    pub ratio: f64,
    /// 95% interval of it: on each side the wider of [`bootstrap`] and [`student`]. The bootstrap
    /// knows skew and is too narrow for few pairs; Student's t knows how few they are.
    pub interval: Interval,
    /// Two-sided p of Student's t on the logarithms.
    pub p: f64,
    /// The check on it that assumes no distribution.
    pub permutation: Permutation,
    /// Each pair's ratio.
    pub ratios: Vec<f64>,
}

impl Estimate {
    /// The estimate from the pairs' `ratios`, or none where there are fewer than two, or one is not a
    /// finite number above zero. `seed` drives the resampling.
    pub fn of(ratios: &[f64], seed: u64) -> Option<Self> {
        Self::resampled(ratios, RESAMPLES, seed)
    }

    fn resampled(ratios: &[f64], resamples: usize, seed: u64) -> Option<Self> {
        let usable = |ratio: &f64| ratio.is_finite() && *ratio > 0.0;
        if ratios.len() < 2 || !ratios.iter().all(usable) {
            return None;
        }
        let logs: Vec<f64> = ratios.iter().map(|ratio| ratio.ln()).collect();
        let (resampled, normal) = (bootstrap(&logs, resamples, seed), student(&logs));
        Some(Self {
            ratio: mean(&logs).exp(),
            interval: Interval {
                low: resampled.low.min(normal.low).exp(),
                high: resampled.high.max(normal.high).exp(),
            },
            p: student_p(&logs),
            permutation: sign_flip(&logs, seed),
            ratios: ratios.to_vec(),
        })
    }

    /// Pairs that it stands on.
    pub fn pairs(&self) -> usize {
        self.ratios.len()
    }
}

/// The geometric mean of positive `ratios`.
pub fn geometric_mean(ratios: &[f64]) -> f64 {
    let logs: Vec<f64> = ratios.iter().map(|ratio| ratio.ln()).collect();
    mean(&logs).exp()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Of the sample: with n - 1.
fn standard_deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() as f64 - 1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_geometric_mean_of_a_ratio_and_its_inverse_is_one() {
        assert!((geometric_mean(&[2.0, 0.5]) - 1.0).abs() < 1e-12);
        assert!((geometric_mean(&[1.0, 10.0, 100.0]) - 10.0).abs() < 1e-12);
    }

    #[test]
    fn one_pair_or_a_ratio_without_meaning_gives_no_estimate() {
        for ratios in [
            &[][..],
            &[1.0],
            &[1.0, 0.0],
            &[1.0, f64::NAN],
            &[1.0, f64::INFINITY],
            &[1.0, -1.0],
        ] {
            assert_eq!(Estimate::of(ratios, 1), None, "{ratios:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_other_way_round_the_estimate_is_the_inverse(
            ratios in prop::collection::vec(0.1_f64..10.0, 2..12)
        ) {
            let inverse: Vec<f64> = ratios.iter().map(|ratio| 1.0 / ratio).collect();
            let there = Estimate::of(&ratios, 7).unwrap();
            let back = Estimate::of(&inverse, 7).unwrap();
            prop_assert!((there.ratio * back.ratio - 1.0).abs() < 1e-9);
            prop_assert!((there.interval.low * back.interval.high - 1.0).abs() < 1e-6);
            prop_assert!((there.p - back.p).abs() < 1e-9);
            prop_assert!((there.permutation.p - back.permutation.p).abs() < 1e-9);
        }

        #[test]
        fn the_estimate_lies_in_its_interval_and_between_its_pairs(
            ratios in prop::collection::vec(0.1_f64..10.0, 2..12)
        ) {
            let estimate = Estimate::of(&ratios, 7).unwrap();
            let (least, most) = (
                ratios.iter().copied().fold(f64::INFINITY, f64::min),
                ratios.iter().copied().fold(0.0, f64::max),
            );
            prop_assert!(estimate.interval.low <= estimate.ratio + 1e-12);
            prop_assert!(estimate.ratio <= estimate.interval.high + 1e-12);
            prop_assert!(least - 1e-12 <= estimate.ratio && estimate.ratio <= most + 1e-12);
        }
    }
}
