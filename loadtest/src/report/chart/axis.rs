//! The axes of a chart, and the place of a value on them.

/// An axis, its ends and what is written along it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Axis {
    kind: Kind,
    start: f64,
    end: f64,
    ticks: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Linear,
    /// Each factor of ten as wide as the next.
    Log,
    /// Percentiles, each nine as wide as the next, as HdrHistogram plots them.
    Nines,
}

/// Steps a linear axis is divided into, about: a phone has room for as many labels.
const STEPS: f64 = 4.0;

/// Above this range of values a linear axis flattens most of a curve.
const LOG_ABOVE: f64 = 20.0;

/// Ticks of a logarithmic axis above which only the decades are labelled.
const MOST_TICKS: usize = 9;

impl Axis {
    /// A linear axis that holds all of `values`, from tick to tick; from 0 to 1 if there are none.
    pub(in crate::report) fn holding(values: impl IntoIterator<Item = f64>) -> Self {
        let finite = values.into_iter().filter(|value| value.is_finite());
        let ends = finite.fold(None, |ends: Option<(f64, f64)>, value| {
            let (low, high) = ends.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        });
        let (low, high) = ends.unwrap_or((0.0, 1.0));
        let width = if high > low {
            high - low
        } else {
            low.abs().max(1.0)
        };
        let step = round_up(width / STEPS, &[1.0, 2.0, 2.5, 5.0, 10.0]);
        // What binary fractions add must not push a round value to the next step.
        let start = (low / step + 1e-9).floor() * step;
        let end = ((high / step - 1e-9).ceil() * step).max(start + step);
        let count = ((end - start) / step).round() as u32;
        Self {
            kind: Kind::Linear,
            start,
            end,
            ticks: (0..=count).map(|n| start + f64::from(n) * step).collect(),
        }
    }

    /// An axis that holds positive values from `min` to `max`: linear from zero if that is readable.
    pub(in crate::report) fn times(min: f64, max: f64) -> Self {
        if min <= 0.0 || max / min <= LOG_ABOVE {
            return Self::holding([0.0, max]);
        }
        let series = [1.0, 2.0, 5.0, 10.0];
        let (start, end) = (1.0 / round_up(1.0 / min, &series), round_up(max, &series));
        let decades = start.log10().floor() as i32..=end.log10().ceil() as i32;
        let ticks = |series: &[f64]| -> Vec<f64> {
            let all = decades
                .clone()
                .flat_map(|decade| series.iter().map(move |n| n * 10f64.powi(decade)));
            all.filter(|n| *n >= start * (1.0 - 1e-9) && *n <= end * (1.0 + 1e-9))
                .collect()
        };
        let all = ticks(&[1.0, 2.0, 5.0]);
        Self {
            kind: Kind::Log,
            start,
            end,
            ticks: if all.len() <= MOST_TICKS {
                all
            } else {
                ticks(&[1.0])
            },
        }
    }

    /// Percentiles from 0 to `highest`, or to 90 if that is less.
    pub(in crate::report) fn percentiles(highest: f64) -> Self {
        let end = highest.max(90.0);
        let ticks = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999];
        Self {
            kind: Kind::Nines,
            start: 0.0,
            end,
            ticks: ticks.into_iter().filter(|p| *p <= end + 1e-9).collect(),
        }
    }

    /// The place of `value`: 0 at the start and 1 at the end, and never beyond them.
    pub(in crate::report) fn place(&self, value: f64) -> f64 {
        let along = |value: f64| match self.kind {
            Kind::Linear => value,
            Kind::Log => value.log10(),
            Kind::Nines => -(1.0 - value / 100.0).log10(),
        };
        let (start, end) = (along(self.start), along(self.end));
        ((along(value) - start) / (end - start)).clamp(0.0, 1.0)
    }

    /// The values to label, rising.
    pub(in crate::report) fn ticks(&self) -> &[f64] {
        &self.ticks
    }

    /// Returns true if each factor of ten is as wide as the next.
    pub(in crate::report) fn is_log(&self) -> bool {
        self.kind == Kind::Log
    }
}

/// The least of `series` times a power of ten that is not below `value`.
fn round_up(value: f64, series: &[f64]) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    let mut candidates = series.iter().map(|n| n * decade);
    let found = candidates.find(|n| *n >= value * (1.0 - 1e-9));
    found.unwrap_or(decade * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(one: &[f64], other: &[f64]) -> bool {
        let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9 * b.abs().max(1.0);
        one.len() == other.len() && one.iter().zip(other).all(near)
    }

    #[test]
    fn an_axis_starts_and_ends_on_ticks_around_its_values() {
        for (axis, ticks) in [
            (Axis::holding([0.0, 1.1]), &[0.0, 0.5, 1.0, 1.5][..]),
            (
                Axis::holding([101.0, 108.0]),
                &[100.0, 102.0, 104.0, 106.0, 108.0],
            ),
            (Axis::holding([]), &[0.0, 0.25, 0.5, 0.75, 1.0]),
            (Axis::times(0.0, 7.0), &[0.0, 2.0, 4.0, 6.0, 8.0]),
            (
                Axis::times(110.0, 4500.0),
                &[100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0],
            ),
            (
                Axis::times(10.0, 1e6),
                &[10.0, 100.0, 1000.0, 10_000.0, 100_000.0, 1e6],
            ),
            (Axis::percentiles(99.8), &[0.0, 50.0, 90.0, 99.0]),
        ] {
            assert!(close(axis.ticks(), ticks), "{axis:?}");
        }
    }

    #[test]
    fn a_single_value_has_an_axis_too() {
        for value in [5.0, 0.0] {
            let axis = Axis::holding([value]);
            assert!(axis.start <= value && value < axis.end, "{axis:?}");
        }
    }

    #[test]
    fn each_nine_and_each_decade_is_as_wide_as_the_next() {
        let percentiles = Axis::percentiles(99.99);
        let places = [0.0, 90.0, 99.0, 99.9, 99.99].map(|p| percentiles.place(p));
        assert!(close(&places, &[0.0, 0.25, 0.5, 0.75, 1.0]), "{places:?}");
        let times = Axis::times(1.0, 100.0);
        let places = [1.0, 10.0, 100.0, 1000.0].map(|ms| times.place(ms));
        assert!(close(&places, &[0.0, 0.5, 1.0, 1.0]), "{places:?}");
    }
}
