//! The claim that a caller brings, and the judgement that comes back.

use crate::{
    Decision, Family, Floor, Interval, Look, Reason, Trimmed, clipped,
    decision::{decide, rounds_needed},
    sign_flip,
};

/// The level of the intervals that are shown.
pub const CONFIDENCE: f64 = 0.95;

/// One variant against the baseline, by one measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Claim<'a> {
    /// The logarithm of candidate divided by baseline, one for each round with a valid trial of both.
    pub ratios: &'a [f64],
    /// The logarithm of the A/A twin divided by the baseline, one for each of the same rounds with a
    /// valid trial of both.
    pub floor: &'a [f64],
}

/// Estimate and floor of a claim, and the decision on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// `None` of fewer than two rounds, or if a ratio is not a finite number.
    pub estimate: Option<Estimate>,
    /// `None` of fewer than two rounds with a twin, or if a ratio is not a finite number.
    pub floor: Option<Floor>,
    /// The conclusion that the rounds support.
    pub decision: Decision,
}

/// A ratio and how well it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Candidate divided by baseline.
    pub ratio: f64,
    /// The 95% interval, with the price of looking repeatedly paid: the one to show.
    pub interval: Interval,
    /// The interval at the level of the family, with the same price paid: the one to decide by.
    pub family_interval: Interval,
    /// Two-sided p of flipping signs: a check that assumes no distribution.
    pub permutation_p: f64,
    /// Valid rounds that it stands on.
    pub rounds: usize,
}

impl Claim<'_> {
    /// Judges the claim as one of its `family`, at this `look`.
    pub fn judge(self, look: Look, family: Family) -> Judgement {
        let shown = (1.0 - CONFIDENCE) * look.share();
        let (trimmed, twin) = (Trimmed::of(self.ratios), Trimmed::of(self.floor));
        let floor = twin.map(Floor::of);
        let logs = trimmed.map(|trimmed| trimmed.interval(family.level() * look.share()));
        let estimate = trimmed.zip(logs).map(|(trimmed, logs)| Estimate {
            ratio: trimmed.mean.exp(),
            interval: trimmed.interval(shown).exp(),
            family_interval: logs.exp(),
            permutation_p: sign_flip(&clipped(self.ratios)),
            rounds: self.ratios.len(),
        });
        let (valid, needed) = (self.ratios.len(), rounds_needed(look));
        let decision = if valid < needed {
            Decision::Inconclusive(Reason::TooFewRounds { valid, needed })
        } else {
            match (estimate.zip(trimmed), logs, floor) {
                (Some((estimate, trimmed)), Some(logs), Some(floor)) => {
                    decide(trimmed, logs, floor, estimate.permutation_p)
                }
                (Some(_), _, None) if self.floor.len() < 2 => {
                    Decision::Inconclusive(Reason::NoFloor)
                }
                _ => Decision::Inconclusive(Reason::InvalidRatio),
            }
        };
        Judgement {
            estimate,
            floor,
            decision,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADLINE: Family = Family::Headline { claims: 2 };
    const TWIN: [f64; 6] = [0.01, -0.01, 0.0, 0.008, -0.007, 0.002];

    fn decision(ratios: &[f64], floor: &[f64], rounds: usize) -> Decision {
        Claim { ratios, floor }
            .judge(Look::at(rounds), HEADLINE)
            .decision
    }

    #[test]
    fn a_claim_without_enough_to_stand_on_is_inconclusive_and_says_why() {
        let clear = [0.18, 0.19, 0.17, 0.18, 0.185, 0.175];
        let too_few = |valid, needed| Reason::TooFewRounds { valid, needed };
        for (ratios, floor, rounds, reason) in [
            (&clear[..5], &TWIN[..], 6, too_few(5, 6)),
            (&clear[..], &TWIN[..], 19, too_few(6, 10)),
            (&[], &[], 6, too_few(0, 6)),
            (&clear, &[], 6, Reason::NoFloor),
            (&clear, &[f64::NAN; 6], 6, Reason::InvalidRatio),
            (&[f64::INFINITY; 6], &TWIN, 6, Reason::InvalidRatio),
            (
                &clear,
                &[0.5, -0.5, 0.4, -0.4, 0.3, -0.3],
                6,
                Reason::WithinFloor,
            ),
        ] {
            let found = decision(ratios, floor, rounds);
            assert_eq!(found, Decision::Inconclusive(reason), "{ratios:?}");
        }
        assert_eq!(decision(&clear, &TWIN, 6), Decision::Difference);
    }

    #[test]
    fn what_is_too_little_for_a_decision_has_an_estimate_all_the_same() {
        let claim = Claim {
            ratios: &[0.2, 0.1],
            floor: &[],
        };
        let estimate = claim.judge(Look::at(2), HEADLINE).estimate.unwrap();
        assert!((estimate.ratio - 0.15_f64.exp()).abs() < 1e-12);
        assert!(estimate.interval.high > 2.0, "{estimate:?}");
    }

    #[test]
    fn a_claim_among_many_needs_more() {
        let (ratios, floor) = ([0.15, 0.20, 0.17, 0.22, 0.18, 0.16], TWIN);
        let claim = Claim {
            ratios: &ratios,
            floor: &floor,
        };
        let found = |family| claim.judge(Look::at(6), family).decision;
        assert_eq!(found(HEADLINE), Decision::Difference);
        let among_many = found(Family::Rest { claims: 10_000 });
        assert_eq!(among_many, Decision::Inconclusive(Reason::TooWide));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn swapping_the_variants_mirrors_the_judgement(
            rounds in prop::collection::vec((-0.03_f64..0.03, -0.03_f64..0.03), 2..30),
            truth in prop::sample::select(&[0.0, 0.045, 0.05, 0.1, 0.2][..]),
        ) {
            let (ratios, floor): (Vec<f64>, Vec<f64>) =
                rounds.iter().map(|(ratio, twin)| (truth + ratio, *twin)).unzip();
            let swapped: Vec<f64> = ratios.iter().map(|ratio| -ratio).collect();
            let judge = |ratios: &[f64]| {
                Claim { ratios, floor: &floor }.judge(Look::at(floor.len()), HEADLINE)
            };
            let (there, back) = (judge(&ratios), judge(&swapped));
            prop_assert_eq!(there.decision, back.decision);
            prop_assert_eq!(there.floor, back.floor);
            let (there, back) = (there.estimate.unwrap(), back.estimate.unwrap());
            prop_assert_eq!(there.permutation_p, back.permutation_p);
            prop_assert!((there.ratio * back.ratio - 1.0).abs() < 1e-12);
            prop_assert!((there.interval.low * back.interval.high - 1.0).abs() < 1e-9);
        }

        #[test]
        fn the_estimate_lies_in_its_intervals_and_between_its_rounds(
            ratios in prop::collection::vec(-2.0_f64..2.0, 2..30)
        ) {
            let claim = Claim { ratios: &ratios, floor: &[] };
            let found = claim.judge(Look::at(ratios.len()), HEADLINE).estimate.unwrap();
            prop_assert!(found.interval.contains(found.ratio));
            let Interval { low, high } = found.interval;
            prop_assert!(low >= found.family_interval.low && high <= found.family_interval.high);
            let least = ratios.iter().copied().fold(f64::INFINITY, f64::min).exp();
            let most = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max).exp();
            prop_assert!(least - 1e-9 <= found.ratio && found.ratio <= most + 1e-9);
        }
    }
}
