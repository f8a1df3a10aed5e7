//! Quantiles of a few values, such as one for each round.

/// The value in the middle, or half-way between the two there; `None` without values.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    (!values.is_empty()).then(|| quantile(&values, 0.5))
}

/// The quantile `at` (0 to 1) of `sorted` values, interpolated between the two nearest: type 7 of
/// Hyndman and Fan (1996), which NumPy takes too.
///
/// # Panics
/// Without values, or if `at` is not between 0 and 1.
pub fn quantile(sorted: &[f64], at: f64) -> f64 {
    let place = at * (sorted.len() - 1) as f64;
    let (below, part) = (place.floor() as usize, place.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + part * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_numpy() {
        // numpy.percentile([1, 2, 4, 8], [0, 25, 50, 97.5, 100]).
        let sorted = [1.0, 2.0, 4.0, 8.0];
        for (at, value) in [
            (0.0, 1.0),
            (0.25, 1.75),
            (0.5, 3.0),
            (0.975, 7.7),
            (1.0, 8.0),
        ] {
            assert!((quantile(&sorted, at) - value).abs() < 1e-12, "{at}");
        }
    }

    #[test]
    fn the_median_asks_for_no_order() {
        assert_eq!(median(vec![8.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![8.0, 1.0, 4.0, 2.0]), Some(3.0));
        assert_eq!(median(Vec::new()), None);
    }
}
