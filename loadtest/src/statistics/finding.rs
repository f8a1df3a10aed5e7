//! What may be said of an estimate.

use super::{Estimate, Interval};

/// A difference is only claimed below this chance of being wrong about it.
pub const SIGNIFICANCE: f64 = 0.05;

/// "No difference" means that the interval lies inside 1 ± this.
pub const EQUIVALENCE: f64 = 0.05;

/// With fewer pairs nothing is said: two pairs have an interval of 13 standard errors.
pub const LEAST_PAIRS: usize = 3;

/// How far apart one arm under two names was found to be: the floor under every claim.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floor {
    /// As a part of 1: 0.02 is ±2%. The further end of the A/A interval, as a factor.
    pub part: f64,
}

impl Floor {
    /// The floor that the A/A run's interval stands for.
    pub fn of(aa: Interval) -> Self {
        let further = aa.low.ln().abs().max(aa.high.ln().abs());
        Self {
            part: further.exp() - 1.0,
        }
    }

    /// Whether all of `interval` lies beyond it, on one side.
    fn is_cleared_by(self, interval: Interval) -> bool {
        interval.low > 1.0 + self.part || interval.high < 1.0 / (1.0 + self.part)
    }
}

/// What may be said.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// The two differ, by about the estimate's ratio.
    Difference,
    /// They do not differ by more than [`EQUIVALENCE`].
    NoDifference,
    /// Neither can be said, and this is why.
    CantTell(Unsaid),
}

impl Finding {
    /// Whether something is said.
    pub fn is_told(&self) -> bool {
        !matches!(self, Self::CantTell(_))
    }

    /// Whether too little was valid to look for anything.
    pub fn is_without_ground(&self) -> bool {
        use Unsaid::{GivenUp, NoFloor, TooFewPairs};
        matches!(self, Self::CantTell(TooFewPairs { .. } | GivenUp | NoFloor))
    }
}

/// Why nothing can be said.
#[derive(Clone, Debug, PartialEq)]
pub enum Unsaid {
    /// Fewer pairs than [`LEAST_PAIRS`], or than half of what was planned, are valid.
    TooFewPairs {
        /// Pairs with a valid block of each arm.
        valid: usize,
        /// Pairs it takes.
        needed: usize,
    },
    /// Most blocks of the run are VOID, and it gave up.
    GivenUp,
    /// There was no A/A run, or too little of it was valid.
    NoFloor,
    /// The interval holds both no difference and one that matters.
    TooWide,
    /// The interval holds no difference that matters, but one arm differs from itself by more.
    FloorTooWide,
    /// The interval does not hold 1, and is no further from it than one arm is from itself.
    WithinFloor,
    /// With so many claims on one page, this one could be chance.
    Chance {
        /// Holm's adjusted p.
        adjusted_p: f64,
    },
    /// The pairs do not agree on the direction well enough.
    PairsDisagree,
}

/// Judges `estimate` against the `floor`, with `adjusted_p` from [`holm`](super::holm) over its
/// family. A difference takes four things, as small samples fool each of them alone: an interval
/// without 1, all of it beyond the floor, a p below [`SIGNIFICANCE`], and pairs that agree.
pub fn judge(estimate: &Estimate, floor: Option<Floor>, adjusted_p: f64) -> Finding {
    let interval = estimate.interval;
    if estimate.pairs() < LEAST_PAIRS {
        return Finding::CantTell(Unsaid::TooFewPairs {
            valid: estimate.pairs(),
            needed: LEAST_PAIRS,
        });
    }
    let Some(floor) = floor else {
        return Finding::CantTell(Unsaid::NoFloor);
    };
    let is_equivalent = interval.lies_within(1.0 - EQUIVALENCE, 1.0 + EQUIVALENCE);
    if floor.part < EQUIVALENCE && is_equivalent {
        return Finding::NoDifference;
    }
    let unsaid = if is_equivalent {
        Unsaid::FloorTooWide
    } else if interval.contains(1.0) {
        Unsaid::TooWide
    } else if !floor.is_cleared_by(interval) {
        Unsaid::WithinFloor
    } else if adjusted_p >= SIGNIFICANCE {
        Unsaid::Chance { adjusted_p }
    } else if !estimate.permutation.agrees(SIGNIFICANCE) {
        Unsaid::PairsDisagree
    } else {
        return Finding::Difference;
    };
    Finding::CantTell(unsaid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW_FLOOR: Option<Floor> = Some(Floor { part: 0.02 });

    fn found(ratios: &[f64], floor: Option<Floor>) -> Finding {
        let estimate = Estimate::of(ratios, 1).unwrap();
        judge(&estimate, floor, estimate.p)
    }

    #[test]
    fn each_answer_has_its_conditions() {
        let clear = [1.50, 1.52, 1.49, 1.51, 1.50];
        let same = [1.01, 0.99, 1.00, 1.005, 0.995];
        let noisy = [0.8, 1.3, 0.9, 1.2, 1.0];
        for (ratios, floor, expected) in [
            (&clear[..], LOW_FLOOR, Finding::Difference),
            (&same, LOW_FLOOR, Finding::NoDifference),
            (&noisy, LOW_FLOOR, Finding::CantTell(Unsaid::TooWide)),
            (&clear, None, Finding::CantTell(Unsaid::NoFloor)),
            (
                &clear,
                Some(Floor { part: 0.6 }),
                Finding::CantTell(Unsaid::WithinFloor),
            ),
            // Inside ±5%, and so is what one arm differs from itself.
            (
                &same,
                Some(Floor { part: 0.05 }),
                Finding::CantTell(Unsaid::FloorTooWide),
            ),
            (
                &clear[..2],
                LOW_FLOOR,
                Finding::CantTell(Unsaid::TooFewPairs {
                    valid: 2,
                    needed: 3,
                }),
            ),
        ] {
            assert_eq!(found(ratios, floor), expected, "{ratios:?} {floor:?}");
        }
    }

    #[test]
    fn a_claim_among_many_needs_more() {
        let estimate = Estimate::of(&[1.50, 1.52, 1.49, 1.51, 1.50], 1).unwrap();
        assert_eq!(
            judge(&estimate, LOW_FLOOR, 0.2),
            Finding::CantTell(Unsaid::Chance { adjusted_p: 0.2 })
        );
    }

    #[test]
    fn the_floor_is_the_further_end_of_the_interval_as_a_factor() {
        let floor = |low, high| Floor::of(Interval { low, high }).part;
        assert!((floor(0.98, 1.03) - 0.03).abs() < 1e-12);
        assert!((floor(0.80, 1.03) - 0.25).abs() < 1e-12);
    }
}
