//! Numbers as text that only pages take.

use crate::numbers::decimals;

/// `value` with no more decimals than it takes, four at most.
pub(super) fn plain(value: f64) -> String {
    let is_whole = |places: &usize| {
        let scaled = value * 10f64.powi(*places as i32);
        (scaled - scaled.round()).abs() < 1e-6
    };
    decimals(value, (0..4).find(is_whole).unwrap_or(4))
}

/// `part` of `whole` in percent, never rounded to 0 or to 100 when it is not.
pub(super) fn share(part: u64, whole: u64) -> String {
    let percent = part as f64 / whole as f64 * 100.0;
    match percent {
        p if p > 0.0 && p < 0.01 => "under 0.01%".to_owned(),
        p if p > 99.99 && part < whole => "over 99.99%".to_owned(),
        p if p > 0.0 && p < 1.0 || p > 99.0 && p < 100.0 => format!("{p:.2}%"),
        p => format!("{p:.1}%"),
    }
}

/// Shares of the time of a run's trials, such as `1.2% of the time at the median, 4.8% at most`.
pub(super) fn typical_and_most(shares: impl Iterator<Item = f64>) -> String {
    let shares: Vec<f64> = shares.collect();
    let most = shares.iter().copied().reduce(f64::max);
    match (stats::median(shares), most) {
        (Some(median), Some(most)) => format!(
            "{:.1}% of the time at the median, {:.1}% at most",
            median * 100.0,
            most * 100.0
        ),
        _ => "not known".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_number_has_no_zeros_at_its_end() {
        for (value, text) in [(0.25, "0.25"), (2000.0, "2,000"), (1.0 / 3.0, "0.3333")] {
            assert_eq!(plain(value), text);
        }
    }

    #[test]
    fn a_share_is_not_rounded_to_none_or_all() {
        for (part, whole, text) in [
            (0, 10, "0.0%"),
            (1, 1_000_000, "under 0.01%"),
            (1, 1000, "0.10%"),
            (1, 3, "33.3%"),
            (999_999, 1_000_000, "over 99.99%"),
            (10, 10, "100.0%"),
        ] {
            assert_eq!(share(part, whole), text);
        }
    }
}
