//! The end of the warm-up: a service is steady when its last slices show no trend any more.
//!
//! A slice is 100 ms, or longer until ten replies came. Of each the mean latency is taken. The last
//! three are set against the three before: if all of them are quicker than all of these, or all slower,
//! there is a trend. Without one that happens to one in ten (Mann and Whitney's rank sum: 2 of the 20
//! orders), whatever the noise, and one more slice tells. Ranks, not a bound on the spread, because on
//! a shared machine slices of a steady service differ by more than those of a cold one elsewhere. What
//! differs by less than 5% in its medians is steady too: a trend that small does not matter to a ratio.

use std::time::Duration;

/// Length of a slice, at least.
pub(crate) const SLICE: Duration = Duration::from_millis(100);

/// Replies in a slice, at least.
pub(crate) const REPLIES: u64 = 10;

/// Slices on each side of the comparison.
const SIDE: usize = 3;

/// A trend below this is none.
const SMALL: f64 = 0.05;

/// Mean latencies of slices, in the order of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slices(Vec<f64>);

impl Slices {
    /// Adds the next one.
    pub(crate) fn push(&mut self, mean: f64) {
        if self.0.len() == 2 * SIDE {
            self.0.remove(0);
        }
        self.0.push(mean);
    }

    /// Returns true if the last slices are steady; none if there are too few to tell.
    pub(crate) fn are_steady(&self) -> Option<bool> {
        let (before, after) = self.0.split_at_checked(SIDE)?;
        if after.len() < SIDE {
            return None;
        }
        let ([low, middle, high], [lower, last, higher]) = (sorted(before), sorted(after));
        let overlap = lower <= high && low <= higher;
        Some(overlap || (last / middle - 1.0).abs() < SMALL)
    }
}

fn sorted(side: &[f64]) -> [f64; SIDE] {
    let mut sorted = [0.0; SIDE];
    sorted.copy_from_slice(&side[..SIDE]);
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady(means: &[f64]) -> Option<bool> {
        let mut slices = Slices::default();
        means.iter().for_each(|mean| slices.push(*mean));
        slices.are_steady()
    }

    #[test]
    fn a_trend_is_seen_and_noise_is_not() {
        for (means, expected) in [
            (&[1.0, 1.0, 1.0, 1.0, 1.0][..], None),
            (&[1.0; 6], Some(true)),
            // It warms up, and has warmed up.
            (&[9.0, 8.0, 7.0, 6.0, 5.0, 4.0], Some(false)),
            (&[9.0, 8.0, 7.0, 4.0, 4.1, 3.9, 4.0, 4.0, 4.1], Some(true)),
            // Its queue grows.
            (&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], Some(false)),
            // A noisy machine, and one slice that was stolen.
            (&[3.0, 1.0, 2.0, 1.5, 3.5, 2.5], Some(true)),
            (&[1.0, 1.0, 1.0, 1.0, 50.0, 1.0], Some(true)),
            // All quicker, by little.
            (&[1.03, 1.03, 1.03, 1.0, 1.0, 1.0], Some(true)),
        ] {
            assert_eq!(steady(means), expected, "{means:?}");
        }
    }
}
