//! From a histogram of nanoseconds to the figures that are reported, in microseconds.

use hdrhistogram::Histogram;

use crate::result::{Latency, Percentile};

/// The percentiles that are printed.
const PRINTED: [f64; 6] = [50.0, 75.0, 90.0, 95.0, 99.0, 99.9];

/// How many samples must lie beyond a percentile before it is known well enough to print.
const SAMPLES_BEYOND: f64 = 100.0;

/// Points of the curve in each halving of the distance to 100%, as HdrHistogram's tools draw it.
const POINTS_PER_HALVING: f64 = 8.0;

/// The figures of `times`.
pub(super) fn figures(times: &Histogram<u64>) -> Latency {
    let count = times.len();
    let empty = count == 0;
    Latency {
        count,
        mean: if empty { 0.0 } else { times.mean() / 1e3 },
        min: if empty { 0.0 } else { micros(times.min()) },
        max: micros(times.max()),
        percentiles: PRINTED
            .map(|percentile| Percentile {
                percentile,
                micros: is_known(count, percentile).then(|| at(times, percentile)),
            })
            .into(),
        curve: curve(times),
    }
}

fn curve(times: &Histogram<u64>) -> Vec<(f64, f64)> {
    (0..)
        .map(|point| 100.0 * (1.0 - 0.5_f64.powf(f64::from(point) / POINTS_PER_HALVING)))
        .take_while(|percentile| is_known(times.len(), *percentile))
        .map(|percentile| (percentile, at(times, percentile)))
        .collect()
}

/// Whether enough of `count` samples lie beyond `percentile`.
fn is_known(count: u64, percentile: f64) -> bool {
    // 100 - 99.9 is a little less than 0.1 in binary.
    (count as f64 * (100.0 - percentile) / 100.0) + 1e-6 >= SAMPLES_BEYOND
}

fn at(times: &Histogram<u64>, percentile: f64) -> f64 {
    micros(times.value_at_quantile(percentile / 100.0))
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(count: u64) -> Histogram<u64> {
        let mut times = Histogram::new(3).unwrap();
        for micros in 1..=count {
            times.record(micros * 1000).unwrap();
        }
        times
    }

    #[test]
    fn percentiles_of_known_times_are_right_to_a_tenth_of_a_percent() {
        let latency = figures(&times(100_000));
        for percentile in &latency.percentiles {
            let expected = percentile.percentile * 1000.0;
            let found = percentile.micros.unwrap();
            let error = (found - expected).abs() / expected;
            assert!(error <= 0.001, "p{}: {found}", percentile.percentile);
        }
        assert!((latency.mean - 50_000.5).abs() < 50.0, "{}", latency.mean);
        assert!((latency.min - 1.0).abs() < 0.01, "{}", latency.min);
    }

    #[test]
    fn a_percentile_needs_a_hundred_samples_beyond_it() {
        let known = |count| {
            let latency = figures(&times(count));
            latency
                .percentiles
                .iter()
                .filter(|p| p.micros.is_some())
                .count()
        };
        assert_eq!(known(199), 0);
        assert_eq!(known(200), 1, "p50");
        assert_eq!(known(9_999), 4, "p50 to p95");
        assert_eq!(known(10_000), 5, "p99 too");
        assert_eq!(known(100_000), 6, "p99.9 too");
    }

    #[test]
    fn the_curve_rises_and_ends_where_samples_do() {
        let curve = figures(&times(10_000)).curve;
        assert!(
            curve
                .windows(2)
                .all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1)
        );
        let last = curve.last().unwrap();
        assert!((98.9..=99.0).contains(&last.0), "{last:?}");
    }

    #[test]
    fn no_times_give_no_figures() {
        let latency = figures(&times(0));
        assert_eq!((latency.count, latency.curve.len()), (0, 0));
        assert!(latency.percentiles.iter().all(|p| p.micros.is_none()));
    }
}
