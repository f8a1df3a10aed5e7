//! The trimmed mean and its interval.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::Interval;

/// The 20% trimmed mean of values, and how well it is known.
///
/// A fifth of the values is left out on each side, rounded down, so that of five rounds one may be
/// off by any amount and the estimate stays. Its error comes from the winsorised variance, with
/// Student's t and one degree of freedom less than values are left (Tukey and McLaughlin, Sankhyā A
/// 25, 1963). Fewer than five values are not trimmed: this is then Student's interval (1908).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trimmed {
    /// The mean of what is left.
    pub mean: f64,
    /// Its standard error.
    pub error: f64,
    /// Degrees of freedom of the error.
    pub freedom: f64,
}

impl Trimmed {
    /// The estimate from `values` in any order, or `None` if there are fewer than two or one is not
    /// finite. Of negated values it is the exact negative, to the last bit.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        if count < 2 || !values.iter().all(|value| value.is_finite()) {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let trimmed = count / 5;
        let left = (count - 2 * trimmed) as f64;
        let mean = mirrored_sum(&sorted[trimmed..count - trimmed]) / left;

        let (least, most) = (sorted[trimmed], sorted[count - 1 - trimmed]);
        for value in &mut sorted {
            *value = value.clamp(least, most);
        }
        let winsorised = mirrored_sum(&sorted) / count as f64;
        for value in &mut sorted {
            *value = (*value - winsorised).powi(2);
        }
        let error = (mirrored_sum(&sorted) / (left * (left - 1.0))).sqrt();
        Some(Self {
            mean,
            error,
            freedom: left - 1.0,
        })
    }

    /// The two-sided interval that misses the truth a share `level` of the time.
    ///
    /// It is too narrow for few rounds that scatter around two values and not around one, as under a
    /// drift within each round that is larger than the noise: five of six agree by chance in 22% of
    /// cases. Decisions are then protected by the floor, which drifts as well, and by
    /// [`sign_flip`](crate::sign_flip).
    pub fn interval(self, level: f64) -> Interval {
        let half = self.half_width(level);
        Interval {
            low: self.mean - half,
            high: self.mean + half,
        }
    }

    /// Half of the width of [`Self::interval`].
    pub(crate) fn half_width(self, level: f64) -> f64 {
        if self.error == 0.0 {
            0.0
        } else {
            quantile_of_t(self.freedom, level) * self.error
        }
    }
}

/// The typical one of positive `values`, which one bad round cannot carry away: the trimmed mean of
/// their logarithms, as a value; a single value is itself. `None` without values, or if one is not a
/// positive finite number.
///
/// Ratios multiply, so they are averaged as logarithms (Fleming and Wallace, CACM 29(3), 1986).
pub fn trimmed_geometric_mean(values: &[f64]) -> Option<f64> {
    if let [value] = values {
        return (value.is_finite() && *value > 0.0).then_some(*value);
    }
    let logs: Vec<f64> = values.iter().map(|value| value.ln()).collect();
    Trimmed::of(&logs).map(|trimmed| trimmed.mean.exp())
}

/// The sum of sorted values from the outside in: in this order, and in no running one, the sum of the
/// negated values is the exact negative.
fn mirrored_sum(sorted: &[f64]) -> f64 {
    let count = sorted.len();
    let pairs = (0..count / 2).map(|place| sorted[place] + sorted[count - 1 - place]);
    let middle = if count % 2 == 1 {
        sorted[count / 2]
    } else {
        0.0
    };
    pairs.sum::<f64>() + middle
}

/// The value that Student's t exceeds, on either side, a share `level` of the time.
fn quantile_of_t(freedom: f64, level: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::INFINITY, |t| -t.inverse_cdf(level / 2.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(found: f64, expected: f64, by: f64) {
        assert!((found - expected).abs() <= by, "{found}, not {expected}");
    }

    #[test]
    fn of_four_values_it_is_students_interval() {
        // R: t.test(c(1, 2, 4, 5)).
        let interval = Trimmed::of(&[4.0, 1.0, 5.0, 2.0]).unwrap().interval(0.05);
        close(interval.low, 0.094_837_3, 1e-6);
        close(interval.high, 5.905_162_7, 1e-6);
    }

    #[test]
    fn students_own_example_trimmed() {
        // Hours of sleep gained with one drug over the other (Student 1908). The six in the middle are
        // 1.0, 1.2, 1.3, 1.3, 1.4 and 1.8; winsorised, 1.0 and 1.8 stand there three times.
        let sleep = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];
        let trimmed = Trimmed::of(&sleep).unwrap();
        close(trimmed.mean, 8.0 / 6.0, 1e-12);
        let winsorised = [1.0, 1.0, 1.0, 1.2, 1.3, 1.3, 1.4, 1.8, 1.8, 1.8];
        let squares: f64 = winsorised
            .map(|value| (value - 1.36_f64).powi(2))
            .iter()
            .sum();
        close(trimmed.error, (squares / 30.0).sqrt(), 1e-12);
        // t of 0.975 with five degrees of freedom.
        let half = trimmed.interval(0.05).high - trimmed.mean;
        close(half, 2.570_582 * trimmed.error, 1e-6);
    }

    #[test]
    fn one_round_in_five_may_be_off_by_any_amount() {
        let off = |by| Trimmed::of(&[0.1, 0.2, 0.3, 0.4, by]).unwrap();
        assert_eq!(off(0.5), off(1e9));
    }

    #[test]
    fn the_quantile_holds_at_the_levels_of_late_looks_and_many_claims() {
        // R: qt(level / 2, freedom, lower.tail = FALSE).
        for (freedom, level, expected) in [
            (1.0, 0.05, 12.706_204_736),
            (3.0, 0.0025, 9.464_899),
            (15.0, 0.0005, 4.416_613),
        ] {
            close(quantile_of_t(freedom, level), expected, 1e-3 * expected);
        }
    }

    #[test]
    fn equal_values_are_known_exactly() {
        let interval = Trimmed::of(&[0.5; 6]).unwrap().interval(0.001);
        assert_eq!((interval.low, interval.high), (0.5, 0.5));
    }

    #[test]
    fn too_few_values_or_a_ratio_without_meaning_give_no_estimate() {
        for values in [&[][..], &[1.0], &[1.0, f64::NAN], &[1.0, f64::INFINITY]] {
            assert_eq!(Trimmed::of(values), None, "{values:?}");
        }
        assert_eq!(trimmed_geometric_mean(&[1.0, 0.0]), None);
        assert_eq!(trimmed_geometric_mean(&[-1.0]), None);
        assert_eq!(trimmed_geometric_mean(&[3.0]), Some(3.0));
        close(
            trimmed_geometric_mean(&[1.0, 10.0, 100.0]).unwrap(),
            10.0,
            1e-9,
        );
    }

    proptest! {
        #[test]
        fn negated_values_give_the_exact_negative(
            values in prop::collection::vec(-2.0_f64..2.0, 2..40), level in 1e-6_f64..0.2
        ) {
            let negated: Vec<f64> = values.iter().map(|value| -value).collect();
            let (there, back) = (Trimmed::of(&values).unwrap(), Trimmed::of(&negated).unwrap());
            prop_assert_eq!(there.mean, -back.mean);
            prop_assert_eq!(there.error, back.error);
            let (there, back) = (there.interval(level), back.interval(level));
            prop_assert_eq!((there.low, there.high), (-back.high, -back.low));
        }

        #[test]
        fn the_order_of_the_rounds_does_not_matter(
            values in prop::collection::vec(-2.0_f64..2.0, 2..40)
        ) {
            let reversed: Vec<f64> = values.iter().rev().copied().collect();
            prop_assert_eq!(Trimmed::of(&values), Trimmed::of(&reversed));
        }
    }
}
