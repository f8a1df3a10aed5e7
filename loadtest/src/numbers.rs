//! Numbers as text.

use crate::metric::Metric;

/// `1234567` as `1,234,567`.
pub fn thousands(number: u64) -> String {
    decimals(number as f64, 0)
}

/// `value` with so many decimals, its whole part in groups of three.
pub fn decimals(value: f64, places: usize) -> String {
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

/// Three digits that mean something: `0.312`, `3.12`, `31.2`, `312`, `3,120`.
pub fn three_digits(value: f64) -> String {
    let places = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        v if v >= 0.9995 => 2,
        0.0 => 0,
        _ => 3,
    };
    decimals(value, places)
}

/// A value with its unit, such as `18.7 µs`.
pub fn with_unit(value: f64, metric: Metric) -> String {
    format!("{} {}", three_digits(value), metric.unit())
}

/// Two decimals of a ratio, and more digits if that would leave one.
pub fn ratio(ratio: f64) -> String {
    match ratio {
        r if r >= 100.0 => decimals(r, 0),
        r if r >= 10.0 => decimals(r, 1),
        r if r >= 0.095 => decimals(r, 2),
        r => decimals(r, 3),
    }
}

/// A part of 1 in percent, rounded up to a digit that does not say less than was found.
pub fn percent(part: f64) -> String {
    let percent = part * 100.0;
    if percent >= 2.0 {
        format!("{}%", decimals((percent - 1e-9).ceil(), 0))
    } else {
        format!("{:.1}%", ((percent - 1e-9).max(0.0) * 10.0).ceil() / 10.0)
    }
}

/// So far from 1 there is nothing left to be told apart.
const FAR: f64 = 10.0;

/// An A/A floor, such as `±2%`.
pub fn floor(part: f64) -> String {
    match part < FAR - 1.0 {
        true => format!("±{}", percent(part)),
        false => "over 10×".to_owned(),
    }
}

/// The interval around `value`, its geometric middle, with its ends as `write` has them and a `dash` between: such as
/// `0.59–0.66`. Of one beyond ten times to either side nothing is left but that: `under 0.13 to over 13.0`.
pub fn range([value, low, high]: [f64; 3], dash: &str, write: impl Fn(f64) -> String) -> String {
    match high <= FAR * FAR * low {
        true => [write(low), write(high)].join(dash),
        false => format!(
            "under {} to over {}",
            write(value / FAR),
            write(value * FAR)
        ),
    }
}

/// Such as `1 connection` or `2,000 connections`.
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(number))
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
            (12_345.678, 2, "12,345.68"),
            (-1234.5, 1, "-1,234.5"),
            (-123.0, 0, "-123"),
        ] {
            assert_eq!(decimals(value, places), text);
        }
    }

    #[test]
    fn three_digits_are_left_of_a_value_and_more_of_a_large_one() {
        for (value, text) in [
            (0.0, "0"),
            (0.0312, "0.031"),
            (3.116, "3.12"),
            (9.996, "10.0"),
            (18.72, "18.7"),
            (312.4, "312"),
            (5120.0, "5,120"),
        ] {
            assert_eq!(three_digits(value), text);
        }
    }

    #[test]
    fn a_floor_beyond_all_bounds_is_no_figure() {
        for (part, text) in [(0.008, "±0.8%"), (0.19, "±19%"), (17_025.0, "over 10×")] {
            assert_eq!(floor(part), text);
        }
    }

    #[test]
    fn an_interval_beyond_all_bounds_has_no_ends() {
        for (value, low, high, text) in [
            (1.17, 1.14, 1.2, "1.14–1.20"),
            (1.3, 0.14, 13.0, "0.14–13.0"),
            (1.3, 0.0, 669_032_362_122.0, "under 0.13 to over 13.0"),
            (1.3, 0.0, f64::INFINITY, "under 0.13 to over 13.0"),
        ] {
            assert_eq!(range([value, low, high], "–", ratio), text);
        }
    }

    #[test]
    fn a_part_in_percent_is_never_less_than_was_found() {
        for (part, text) in [
            (0.0, "0.0%"),
            (0.0101, "1.1%"),
            (0.02, "2%"),
            (0.0201, "3%"),
        ] {
            assert_eq!(percent(part), text);
        }
    }
}
