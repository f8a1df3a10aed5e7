//! The noise under every claim.

use crate::Trimmed;

/// The level of a floor, and of what has to clear it. It has no price for looking repeatedly: the floor is
/// asked in addition to a claim's own interval, and never in the place of it.
const LEVEL: f64 = 0.05;

/// Distance of the baseline from its A/A twin, as found in the same rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floor {
    /// The further end of the 95% interval of the twin's ratio, as a part of 1: 0.02 is ±2%, as a factor.
    pub part: f64,
    /// The twin's log-ratio.
    twin: Trimmed,
}

impl Floor {
    /// The floor of the `twin`'s log-ratios.
    pub(crate) fn of(twin: Trimmed) -> Self {
        let part = (twin.mean.abs() + twin.half_width(LEVEL)).exp_m1();
        Self { part, twin }
    }

    /// Returns true if `claim`, a log-ratio, is further from 0 than the twin's, beyond the error of both.
    ///
    /// The half-widths of the two intervals add as squares (MOVER: Zou and Donner, Statistics in Medicine 27(10),
    /// 2008): added as they are, or with a claim held against the far end of the twin's interval, the noise of
    /// that hour would count twice, once as noise and once as if it were a distance. Both are ratios to the same
    /// baseline, so that the error of the difference is smaller than that of independent ones, and that of the
    /// sum larger.
    pub(crate) fn is_cleared_by(self, claim: Trimmed) -> bool {
        let noise = claim.half_width(LEVEL).hypot(self.twin.half_width(LEVEL));
        claim.mean.abs() - self.twin.mean.abs() > noise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trimmed(mean: f64, half_width: f64) -> Trimmed {
        let one = Trimmed {
            mean,
            error: 1.0,
            freedom: 9.0,
        };
        Trimmed {
            error: half_width / one.half_width(LEVEL),
            ..one
        }
    }

    #[test]
    fn the_floor_is_the_further_end_as_a_factor() {
        for (mean, half_width, end) in [
            (0.005, 0.025, 1.03),
            (-0.11, 0.14, 1.25),
            (0.02, 0.01, 1.03),
        ] {
            let found = Floor::of(trimmed(mean, half_width)).part;
            assert!((found - (mean.abs() + half_width).exp_m1()).abs() < 1e-12);
            assert!((found - (end - 1.0)).abs() < 0.04, "{found}");
        }
    }

    #[test]
    fn a_claim_clears_a_floor_by_more_than_the_error_of_both() {
        let floor = Floor::of(trimmed(-0.01, 0.03));
        // 0.05 is the root of 0.03² + 0.04².
        for (mean, cleared) in [(0.061, true), (-0.061, true), (0.059, false), (0.0, false)] {
            assert_eq!(floor.is_cleared_by(trimmed(mean, 0.04)), cleared, "{mean}");
        }
    }
}
