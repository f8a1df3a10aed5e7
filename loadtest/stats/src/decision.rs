//! Decisions: the conclusions that may be drawn about a claim.

use crate::{Floor, Interval, Look, Trimmed};

/// "No difference" means that the interval lies inside 1/(1 + this) to 1 + this.
pub const EQUIVALENCE: f64 = 0.05;

/// The least number of valid rounds that a decision takes: with fewer, even rounds that all agree
/// differ in sign by chance more often than [`AGREEMENT`].
pub const LEAST_ROUNDS: usize = 6;

/// The rounds agree on a direction if flipping their signs gives a p of at most this.
pub const AGREEMENT: f64 = 0.05;

/// The conclusion that the rounds of a claim support.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decision {
    /// The two differ, by about the estimate's ratio.
    Difference,
    /// They do not differ by more than [`EQUIVALENCE`].
    NoDifference,
    /// Neither can be said, for this reason.
    Inconclusive(Reason),
}

impl Decision {
    /// Returns true if it is a difference or no difference.
    pub fn is_conclusive(self) -> bool {
        !matches!(self, Self::Inconclusive(_))
    }
}

/// Reason for an inconclusive decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// Fewer rounds than [`LEAST_ROUNDS`], or than half of those that were run, are valid.
    TooFewRounds {
        /// Rounds with a valid trial of each variant.
        valid: usize,
        /// Rounds that it takes.
        needed: usize,
    },
    /// A round's log-ratio is not a finite number.
    InvalidRatio,
    /// Fewer than two rounds have a valid trial of the baseline and of its twin.
    NoFloor,
    /// The interval has room for no difference and for one that matters.
    TooWide,
    /// The interval has no room for a difference that matters, but the floor has.
    FloorTooWide,
    /// The interval does not hold 1, but the estimate is not clearly further from it than the twin's.
    WithinFloor,
    /// The rounds do not agree well enough on the direction.
    RoundsDisagree {
        /// The p of flipping their signs.
        p: f64,
    },
}

/// The valid rounds that a decision takes at `look`. If more than half of the rounds are void, what is
/// left is what happened to go well.
pub(crate) fn rounds_needed(look: Look) -> usize {
    LEAST_ROUNDS.max(look.rounds.div_ceil(2))
}

/// Decides from the log-ratio `claim`, its interval `logs` at the level of the claim's family, and the p of
/// flipping signs. An equivalence comes first: what lies inside its bounds does not matter, even if it
/// is known to be there. Logarithms are compared, so that a swap of the variants changes nothing.
pub(crate) fn decide(claim: Trimmed, logs: Interval, floor: Floor, permutation_p: f64) -> Decision {
    let margin = EQUIVALENCE.ln_1p();
    let is_equivalent = logs.lies_within(-margin, margin);
    let reason = if is_equivalent && floor.part < EQUIVALENCE {
        return Decision::NoDifference;
    } else if is_equivalent {
        Reason::FloorTooWide
    } else if logs.contains(0.0) {
        Reason::TooWide
    } else if !floor.is_cleared_by(claim) {
        Reason::WithinFloor
    } else if permutation_p > AGREEMENT {
        Reason::RoundsDisagree { p: permutation_p }
    } else {
        return Decision::Difference;
    };
    Decision::Inconclusive(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log-ratio with this 95% interval.
    fn trimmed(low: f64, high: f64) -> Trimmed {
        let freedom = 9.0;
        let unit = Trimmed {
            mean: 0.0,
            error: 1.0,
            freedom,
        };
        Trimmed {
            mean: (low.ln() + high.ln()) / 2.0,
            error: (high.ln() - low.ln()) / 2.0 / unit.half_width(0.05),
            freedom,
        }
    }

    #[test]
    fn each_decision_has_its_conditions() {
        use Decision::{Difference, Inconclusive, NoDifference};
        for ((low, high), floor, p, expected) in [
            ((1.10, 1.30), 1.02, 0.01, Difference),
            ((0.70, 0.90), 1.02, 0.01, Difference),
            ((0.96, 1.04), 1.02, 0.5, NoDifference),
            ((1.01, 1.04), 1.005, 0.01, NoDifference),
            // 1/1.05 is 0.9524: not 0.95.
            ((0.951, 1.01), 1.02, 0.5, Inconclusive(Reason::TooWide)),
            ((0.90, 1.30), 1.02, 0.5, Inconclusive(Reason::TooWide)),
            ((0.96, 1.04), 1.06, 0.5, Inconclusive(Reason::FloorTooWide)),
            ((1.03, 1.30), 1.06, 0.01, Difference),
            ((1.03, 1.30), 1.12, 0.01, Inconclusive(Reason::WithinFloor)),
            (
                (1.10, 1.30),
                1.02,
                0.06,
                Inconclusive(Reason::RoundsDisagree { p: 0.06 }),
            ),
        ] {
            let floor = Floor::of(trimmed(1.0 / floor, floor));
            let claim = trimmed(low, high);
            let found = decide(claim, claim.interval(0.05), floor, p);
            assert_eq!(found, expected, "{low} to {high}, {floor:?}, p = {p}");
        }
    }

    #[test]
    fn half_of_the_rounds_must_be_valid() {
        for (rounds, needed) in [(6, 6), (9, 6), (14, 7), (19, 10)] {
            assert_eq!(rounds_needed(Look::at(rounds)), needed, "of {rounds}");
        }
    }
}
