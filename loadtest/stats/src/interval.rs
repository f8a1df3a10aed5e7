//! A range of ratios.

/// All ratios from `low` to `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// Returns true if `ratio` lies in it, its ends included.
    pub fn contains(self, ratio: f64) -> bool {
        self.low <= ratio && ratio <= self.high
    }

    /// Returns true if all of it lies between `low` and `high`, these included.
    pub fn lies_within(self, low: f64, high: f64) -> bool {
        low <= self.low && self.high <= high
    }

    /// Returns true if the two have a ratio in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }

    /// Half its width as a part of 1: 0.02 is ±2%, as a factor to both sides.
    pub fn half_width(self) -> f64 {
        (self.high / self.low).sqrt() - 1.0
    }

    /// The interval of ratios from one of their logarithms.
    pub(crate) fn exp(self) -> Self {
        Self {
            low: self.low.exp(),
            high: self.high.exp(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_half_width_is_a_factor_to_both_sides() {
        let interval = Interval {
            low: 1.2 / 1.05,
            high: 1.2 * 1.05,
        };
        assert!((interval.half_width() - 0.05).abs() < 1e-12);
    }

    #[test]
    fn the_ends_belong_to_it() {
        let interval = |low, high| Interval { low, high };
        let one = interval(1.0, 1.5);
        assert!(one.contains(1.0) && one.contains(1.5) && !one.contains(1.51));
        assert!(one.lies_within(1.0, 1.5) && !one.lies_within(1.1, 2.0));
        assert!(one.overlaps(interval(1.5, 2.0)) && !one.overlaps(interval(1.6, 2.0)));
    }
}
