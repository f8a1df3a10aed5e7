//! A linear axis that need not start at zero.

/// From `start` to `end`, both on a tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::report) struct Range {
    pub(in crate::report) start: f64,
    pub(in crate::report) end: f64,
    step: f64,
}

/// Steps an axis is divided into, about: a phone has room for as many labels.
const STEPS: f64 = 4.0;

impl Range {
    /// An axis that holds all of `values`; where there are none, one from 0 to 1.
    pub(in crate::report) fn holding(values: impl IntoIterator<Item = f64>) -> Self {
        let finite = values.into_iter().filter(|value| value.is_finite());
        let ends = finite.fold(None, |ends: Option<(f64, f64)>, value| {
            let (low, high) = ends.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        });
        let (low, high) = ends.unwrap_or((0.0, 1.0));
        let width = high - low;
        let step = round_up(
            if width > 0.0 {
                width
            } else {
                low.abs().max(1.0)
            } / STEPS,
        );
        // What binary fractions add must not push an end to the next tick.
        let start = (low / step + 1e-9).floor() * step;
        let end = ((high / step - 1e-9).ceil() * step).max(start + step);
        Self { start, end, step }
    }

    /// The place of `value`, kept between 0 and 1.
    pub(in crate::report) fn place(self, value: f64) -> f64 {
        ((value - self.start) / (self.end - self.start)).clamp(0.0, 1.0)
    }

    /// The values to label, rising.
    pub(in crate::report) fn ticks(self) -> Vec<f64> {
        let count = ((self.end - self.start) / self.step).round() as u32;
        (0..=count)
            .map(|n| self.start + f64::from(n) * self.step)
            .collect()
    }

    /// Decimals that tell the ticks apart.
    pub(in crate::report) fn places(self) -> usize {
        (0..6)
            .find(|places| {
                let scaled = self.step * 10f64.powi(*places);
                (scaled - scaled.round()).abs() < 1e-6
            })
            .unwrap_or(6) as usize
    }
}

/// 1, 2, 2.5 or 5 times a power of ten that is not below `value`.
fn round_up(value: f64) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    let series = [1.0, 2.0, 2.5, 5.0, 10.0].map(|n| n * decade);
    let found = series.into_iter().find(|n| *n >= value * (1.0 - 1e-9));
    found.unwrap_or(decade * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_starts_and_ends_on_ticks_around_its_values() {
        for (values, ticks) in [
            (&[0.0, 1.1][..], &[0.0, 0.5, 1.0, 1.5][..]),
            (&[101.0, 108.0], &[100.0, 102.0, 104.0, 106.0, 108.0]),
            (&[0.0, 50.0], &[0.0, 20.0, 40.0, 60.0]),
            (&[], &[0.0, 0.25, 0.5, 0.75, 1.0]),
        ] {
            let range = Range::holding(values.iter().copied());
            let found = range.ticks();
            assert_eq!(found.len(), ticks.len(), "{values:?}: {found:?}");
            for (one, other) in found.iter().zip(ticks) {
                assert!((one - other).abs() < 1e-9, "{values:?}: {found:?}");
            }
        }
    }

    #[test]
    fn a_single_value_has_an_axis_too() {
        let range = Range::holding([5.0]);
        assert!(range.start <= 5.0 && 5.0 < range.end);
        assert!(Range::holding([0.0]).end > 0.0);
    }
}
