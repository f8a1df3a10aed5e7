//! Where a value lies on an axis.

/// An axis: from a value to its place, 0 at the start and 1 at the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// From zero to `end`.
    Linear {
        /// The value at the end.
        end: f64,
    },
    /// From `start` to `end`, each factor of ten as wide as the next.
    Log {
        /// The value at the start, above zero.
        start: f64,
        /// The value at the end.
        end: f64,
    },
    /// Percentiles from 0% on, each nine as wide as the next: x = log10(1 / (1 - p)), as
    /// HdrHistogram plots them.
    Nines {
        /// How many nines there are before the end: 3 ends at 99.9%.
        end: f64,
    },
}

/// Above this range of values a linear axis flattens most of a curve.
const LOG_ABOVE: f64 = 20.0;

impl Scale {
    /// A linear axis that holds `max`.
    pub(super) fn linear(max: f64) -> Self {
        let step = linear_step(max);
        Self::Linear {
            end: (max / step).ceil().max(1.0) * step,
        }
    }

    /// An axis that holds positive values from `min` to `max`: linear where that is readable.
    pub(super) fn fitting(min: f64, max: f64) -> Self {
        if min <= 0.0 || max / min <= LOG_ABOVE {
            return Self::linear(max);
        }
        Self::Log {
            start: round_to_series(min, false),
            end: round_to_series(max, true),
        }
    }

    /// The place of `value`, kept between 0 and 1.
    pub(super) fn place(self, value: f64) -> f64 {
        let place = match self {
            Self::Linear { end } => value / end,
            Self::Log { start, end } => (value / start).log10() / (end / start).log10(),
            Self::Nines { end } => nines(value) / end,
        };
        place.clamp(0.0, 1.0)
    }

    /// The values to label, rising.
    pub(super) fn ticks(self) -> Vec<f64> {
        match self {
            Self::Linear { end } => {
                let step = linear_step(end);
                let count = (end / step + 1e-9).floor() as u32;
                (0..=count).map(|n| f64::from(n) * step).collect()
            }
            Self::Log { start, end } => log_ticks(start, end),
            Self::Nines { end } => [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999]
                .into_iter()
                .filter(|p| nines(*p) <= end * 1.001)
                .collect(),
        }
    }
}

/// log10(1 / (1 - p)) of a percentile: 1 for 90%, 2 for 99%.
pub(super) fn nines(percentile: f64) -> f64 {
    (1.0 / (1.0 - percentile / 100.0)).log10()
}

/// 1, 2 or 5 times a power of ten, about a fifth of `max`.
fn linear_step(max: f64) -> f64 {
    if max > 0.0 {
        round_to_series(max / 5.0, true)
    } else {
        1.0
    }
}

/// The nearest of 1, 2, 5, 10, 20, … that is not below `value`, or not above it.
fn round_to_series(value: f64, up: bool) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    let series = [1.0, 2.0, 5.0, 10.0].map(|n| n * decade);
    // What binary fractions add must not push a round value to the next step.
    let found = if up {
        series.into_iter().find(|n| *n >= value * (1.0 - 1e-9))
    } else {
        series
            .into_iter()
            .rev()
            .find(|n| *n <= value * (1.0 + 1e-9))
    };
    found.unwrap_or(decade)
}

/// 1, 2, 5 of each decade, or only the decades where there are many.
fn log_ticks(start: f64, end: f64) -> Vec<f64> {
    let inside = |n: &f64| *n >= start * (1.0 - 1e-9) && *n <= end * (1.0 + 1e-9);
    let decades = start.log10().floor() as i32..=end.log10().ceil() as i32;
    let all = |series: &[f64]| -> Vec<f64> {
        let ticks = decades
            .clone()
            .flat_map(|d| series.iter().map(move |n| n * 10f64.powi(d)));
        ticks.filter(inside).collect()
    };
    let ticks = all(&[1.0, 2.0, 5.0]);
    if ticks.len() <= 9 { ticks } else { all(&[1.0]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn each_nine_is_as_wide_as_the_next() {
        let scale = Scale::Nines { end: 4.0 };
        for (percentile, place) in [
            (0.0, 0.0),
            (90.0, 0.25),
            (99.0, 0.5),
            (99.9, 0.75),
            (99.99, 1.0),
        ] {
            assert!(close(scale.place(percentile), place), "{percentile}");
        }
        assert!(close(scale.place(50.0), 2f64.log10() / 4.0));
    }

    #[test]
    fn the_percentile_axis_labels_what_it_reaches_and_no_more() {
        assert_eq!(
            Scale::Nines { end: nines(99.9) }.ticks(),
            [0.0, 50.0, 90.0, 99.0, 99.9]
        );
        assert_eq!(
            Scale::Nines { end: nines(99.8) }.ticks(),
            [0.0, 50.0, 90.0, 99.0]
        );
    }

    #[test]
    fn a_range_above_twenty_is_drawn_on_a_log_axis() {
        assert_eq!(Scale::fitting(100.0, 2000.0), Scale::Linear { end: 2000.0 });
        assert_eq!(
            Scale::fitting(110.0, 4500.0),
            Scale::Log {
                start: 100.0,
                end: 5000.0
            }
        );
        assert_eq!(Scale::fitting(0.0, 7.0), Scale::Linear { end: 8.0 });
    }

    #[test]
    fn ticks_are_round_numbers_from_end_to_end() {
        assert_eq!(
            Scale::linear(21_437.0).ticks(),
            [0.0, 5000.0, 10_000.0, 15_000.0, 20_000.0, 25_000.0]
        );
        assert_eq!(
            Scale::Log {
                start: 100.0,
                end: 5000.0
            }
            .ticks(),
            [100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0]
        );
        assert_eq!(
            Scale::Log {
                start: 10.0,
                end: 1e6
            }
            .ticks(),
            [10.0, 100.0, 1000.0, 10_000.0, 100_000.0, 1e6]
        );
    }

    #[test]
    fn an_axis_that_ends_between_ticks_labels_none_beyond_its_end() {
        assert_eq!(Scale::Linear { end: 7.0 }.ticks(), [0.0, 2.0, 4.0, 6.0]);
    }

    #[test]
    fn nothing_to_draw_still_gives_an_axis() {
        assert_eq!(Scale::linear(0.0), Scale::Linear { end: 1.0 });
        assert!(close(Scale::linear(0.0).place(0.0), 0.0));
    }
}
