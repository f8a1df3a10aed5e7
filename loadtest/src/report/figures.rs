//! Numbers as text: digits that mean something, one unit and one precision in a row.

/// A number and its unit, apart so that the page can set them apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Figure {
    pub(super) text: String,
    pub(super) unit: &'static str,
}

/// One row: REST's figure and gRPC's, where they are known.
pub(super) type Row = [Option<Figure>; 2];

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

/// `value` to three significant digits: `21437` as `21,400`.
pub(super) fn rounded(value: f64) -> String {
    if value < 100.0 {
        return decimals(value, places(value));
    }
    let step = 10f64.powf(value.log10().floor() - 2.0);
    decimals((value / step).round() * step, 0)
}

/// `after` divided by `before`, such as `1.08×`; nothing where it has no meaning.
pub(super) fn ratio(before: f64, after: f64) -> Option<String> {
    let ratio = after / before;
    if !ratio.is_finite() || ratio <= 0.0 {
        return None;
    }
    let places = match ratio {
        r if r < 0.1 => 3,
        r if r < 10.0 => 2,
        r if r < 100.0 => 1,
        _ => 0,
    };
    Some(format!("{}×", decimals(ratio, places)))
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

/// Times given in microseconds, as µs or ms for the whole row.
pub(super) fn times(micros: [Option<f64>; 2]) -> Row {
    let smallest = smallest(micros);
    if smallest < 1000.0 {
        row(micros, 1.0, places(smallest), "µs")
    } else {
        row(micros, 1000.0, places(smallest / 1000.0), "ms")
    }
}

/// Amounts of memory given in bytes.
pub(super) fn memory(bytes: [Option<u64>; 2]) -> Row {
    row(
        bytes.map(|b| b.map(|b| b as f64)),
        1024.0 * 1024.0,
        1,
        "MiB",
    )
}

/// Counts.
pub(super) fn counts(numbers: [Option<u64>; 2]) -> Row {
    row(numbers.map(|n| n.map(|n| n as f64)), 1.0, 0, "")
}

/// Anything else, to three digits where it is small and whole where it is large.
pub(super) fn amounts(values: [Option<f64>; 2], unit: &'static str) -> Row {
    row(values, 1.0, places(smallest(values)), unit)
}

fn row(values: [Option<f64>; 2], divisor: f64, places: usize, unit: &'static str) -> Row {
    values.map(|value| {
        value.filter(|v| v.is_finite()).map(|v| Figure {
            text: decimals(v / divisor, places),
            unit,
        })
    })
}

fn smallest(values: [Option<f64>; 2]) -> f64 {
    let known = values.into_iter().flatten().filter(|v| v.is_finite());
    known.reduce(f64::min).unwrap_or_default()
}

/// How many decimals give three digits.
fn places(value: f64) -> usize {
    match value {
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(row: Row) -> [String; 2] {
        row.map(|figure| figure.map_or("none".into(), |f| format!("{} {}", f.text, f.unit)))
    }

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
    fn a_headline_number_keeps_three_digits() {
        for (value, text) in [
            (21_437.2, "21,400"),
            (99_960.0, "100,000"),
            (1_234_567.0, "1,230,000"),
            (842.4, "842"),
            (42.42, "42.4"),
            (0.0, "0.00"),
        ] {
            assert_eq!(rounded(value), text);
        }
    }

    #[test]
    fn a_ratio_is_given_only_where_it_has_a_meaning() {
        for (before, after, text) in [
            (19_800.0, 21_400.0, Some("1.08×")),
            (100.0, 100.0, Some("1.00×")),
            (1.0, 0.042, Some("0.042×")),
            (1.0, 12.34, Some("12.3×")),
            (1.0, 1234.0, Some("1,234×")),
            (0.0, 5.0, None),
            (5.0, 0.0, None),
            (f64::NAN, 5.0, None),
        ] {
            assert_eq!(ratio(before, after).as_deref(), text);
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

    #[test]
    fn both_times_of_a_row_share_unit_and_precision() {
        for (micros, expected) in [
            ([Some(842.0), Some(1510.0)], ["842 µs", "1,510 µs"]),
            ([Some(1234.0), Some(15_678.0)], ["1.23 ms", "15.68 ms"]),
            ([Some(42.42), None], ["42.4 µs", "none"]),
            ([None, Some(12_345.0)], ["none", "12.3 ms"]),
            ([None, None], ["none", "none"]),
            ([Some(f64::NAN), Some(500.0)], ["none", "500 µs"]),
        ] {
            assert_eq!(texts(times(micros)), expected);
        }
    }

    #[test]
    fn memory_is_given_in_mebibytes() {
        assert_eq!(
            texts(memory([Some(10 * 1024 * 1024), Some(1_572_864_000)])),
            ["10.0 MiB", "1,500.0 MiB"]
        );
    }
}
