//! Intervals around a mean of logarithms.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{mean, quantile::quantile, standard_deviation};

/// Resamples of the bootstrap: Efron and Tibshirani, An Introduction to the Bootstrap (1993), ask
/// for at least 1,000 where percentiles are read off; ten times as many keep their own error small.
pub const RESAMPLES: usize = 10_000;

/// What a 95% interval leaves out on each side.
const TAIL: f64 = 0.025;

/// From `low` to `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// Whether `value` lies in it, its ends included.
    pub fn contains(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Whether all of it lies between `low` and `high`.
    pub fn lies_within(self, low: f64, high: f64) -> bool {
        low <= self.low && self.high <= high
    }

    /// Whether the two have a value in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

/// The percentile bootstrap's 95% interval of the mean of `values` (Efron 1979): the mean of as many
/// values drawn with replacement, `resamples` times.
///
/// # Panics
/// When there are no values or no resamples.
pub fn bootstrap(values: &[f64], resamples: usize, seed: u64) -> Interval {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut means: Vec<f64> = (0..resamples)
        .map(|_| {
            let drawn = (0..values.len()).map(|_| values[random.random_range(0..values.len())]);
            drawn.sum::<f64>() / values.len() as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    Interval {
        low: quantile(&means, TAIL),
        high: quantile(&means, 1.0 - TAIL),
    }
}

/// Student's 95% interval of the mean of two values or more (Student 1908): with few of them it is
/// wide, as it should be.
pub fn student(values: &[f64]) -> Interval {
    let mean = mean(values);
    let half = match distribution(values) {
        Some(t) => t.inverse_cdf(1.0 - TAIL) * standard_error(values),
        None => f64::INFINITY,
    };
    Interval {
        low: mean - half,
        high: mean + half,
    }
}

/// The two-sided p of Student's test that the mean of `values` is zero. Values that are all alike
/// leave no doubt about it.
pub fn student_p(values: &[f64]) -> f64 {
    let (mean, error) = (mean(values), standard_error(values));
    if error == 0.0 {
        return f64::from(u8::from(mean == 0.0));
    }
    distribution(values).map_or(1.0, |t| 2.0 * t.cdf(-(mean / error).abs()))
}

fn standard_error(values: &[f64]) -> f64 {
    standard_deviation(values) / (values.len() as f64).sqrt()
}

/// None for fewer than two values.
fn distribution(values: &[f64]) -> Option<StudentsT> {
    StudentsT::new(0.0, 1.0, values.len() as f64 - 1.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Student's own example (1908): hours of sleep gained with one drug over the other.
    const SLEEP: [f64; 10] = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];

    fn close(found: f64, expected: f64, by: f64) {
        assert!((found - expected).abs() <= by, "{found}, not {expected}");
    }

    #[test]
    fn students_interval_of_his_own_example() {
        // R: t.test(extra ~ group, data = sleep, paired = TRUE).
        let interval = student(&SLEEP);
        close(interval.low, 0.700_114_2, 1e-6);
        close(interval.high, 2.459_885_8, 1e-6);
        close(student_p(&SLEEP), 0.002_832_9, 1e-6);
    }

    #[test]
    fn students_interval_of_two_values_is_as_wide_as_the_table_says() {
        // t of 0.975 with one degree of freedom is 12.706.
        let interval = student(&[-1.0, 1.0]);
        close(interval.high, 12.706_205, 1e-4);
    }

    #[test]
    fn the_bootstrap_of_two_values_reaches_from_the_one_to_the_other() {
        // Each of the two alone is drawn twice in a quarter of the resamples.
        assert_eq!(
            bootstrap(&[1.0, 2.0], RESAMPLES, 1),
            Interval {
                low: 1.0,
                high: 2.0
            }
        );
    }

    #[test]
    fn the_bootstrap_of_students_example_agrees_with_a_normal_of_the_same_error() {
        // Its standard error is that of n, not n - 1: 1.167 / sqrt(10).
        let interval = bootstrap(&SLEEP, RESAMPLES, 1);
        close(interval.low, 1.58 - 1.96 * 0.369, 0.12);
        close(interval.high, 1.58 + 1.96 * 0.369, 0.12);
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let ends = |seed| bootstrap(&SLEEP, 1000, seed);
        assert_eq!(ends(1), ends(1));
        assert_ne!(ends(1), ends(2));
    }

    #[test]
    fn values_that_are_all_alike_are_known_exactly() {
        assert_eq!(
            student(&[0.5; 4]),
            Interval {
                low: 0.5,
                high: 0.5
            }
        );
        assert_eq!((student_p(&[0.5; 4]), student_p(&[0.0; 4])), (0.0, 1.0));
    }
}
