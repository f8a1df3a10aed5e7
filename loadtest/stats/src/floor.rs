//! The noise under every claim.

use crate::Interval;

/// How far the baseline was found to be from its A/A twin, in the same rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floor {
    /// As a part of 1: 0.02 is ±2%, as a factor.
    pub part: f64,
    /// The logarithm of that factor.
    log: f64,
}

impl Floor {
    /// The further end of `logs`, the interval of the twin's log-ratio.
    pub(crate) fn of(logs: Interval) -> Self {
        let log = logs.low.abs().max(logs.high.abs());
        Self {
            part: log.exp_m1(),
            log,
        }
    }

    /// Whether all of the interval `logs` lies beyond it, on one side.
    pub(crate) fn is_cleared_by(self, logs: Interval) -> bool {
        logs.low > self.log || logs.high < -self.log
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_the_further_end_as_a_factor() {
        let floor = |low: f64, high: f64| {
            Floor::of(Interval {
                low: low.ln(),
                high: high.ln(),
            })
        };
        assert!((floor(0.98, 1.03).part - 0.03).abs() < 1e-12);
        assert!((floor(0.80, 1.03).part - 0.25).abs() < 1e-12);
        assert!((floor(1.01, 1.03).part - 0.03).abs() < 1e-12);
    }
}
