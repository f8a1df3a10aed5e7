//! Which percentiles are known well enough to print.

/// Least number of samples that must lie beyond a percentile. With a hundred, the number beyond it
/// varies by a tenth (Poisson); with ten it would be a third.
pub const SAMPLES_BEYOND: f64 = 100.0;

/// Returns true if enough of `count` samples lie beyond `percentile` (0 to 100).
pub fn is_known(count: u64, percentile: f64) -> bool {
    // 100 - 99.9 is a little less than 0.1 in binary.
    count as f64 * (100.0 - percentile) / 100.0 + 1e-6 >= SAMPLES_BEYOND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_needs_a_hundred_samples_beyond_it() {
        for (percentile, least) in [(50.0, 200), (90.0, 1000), (99.0, 10_000), (99.9, 100_000)] {
            assert!(is_known(least, percentile), "p{percentile} of {least}");
            assert!(
                !is_known(least - 1, percentile),
                "p{percentile} of {least} less one"
            );
        }
    }
}
