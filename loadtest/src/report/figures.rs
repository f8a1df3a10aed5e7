//! Numbers as text.

/// `1234567` as `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    decimals(number as f64, 0)
}

/// `value` with so many decimals, its whole part in groups of three.
pub(crate) fn decimals(value: f64, places: usize) -> String {
    let plain = format!("{value:.places$}");
    let (whole, fraction) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let (sign, digits) = whole.split_at(usize::from(whole.starts_with('-')));
    let mut grouped = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

/// `part` of `whole` in percent, never rounded to 0 or to 100 when it is not.
pub(crate) fn share(part: u64, whole: u64) -> String {
    let percent = part as f64 / whole as f64 * 100.0;
    match percent {
        p if p > 0.0 && p < 0.01 => "under 0.01%".to_owned(),
        p if p > 99.99 && part < whole => "over 99.99%".to_owned(),
        p if p > 0.0 && p < 1.0 || p > 99.0 && p < 100.0 => format!("{p:.2}%"),
        p => format!("{p:.1}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped_from_the_right() {
        for (value, places, text) in [
            (0.0, 0, "0"),
            (999.0, 0, "999"),
            (1000.0, 0, "1,000"),
            (1_234_567.0, 0, "1,234,567"),
            (12_345.678, 2, "12,345.68"),
            (-1234.5, 1, "-1,234.5"),
            (-123.0, 0, "-123"),
        ] {
            assert_eq!(decimals(value, places), text);
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
