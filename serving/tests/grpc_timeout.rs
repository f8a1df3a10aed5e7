//! `grpc-timeout` comes from strangers: whatever it is, it is read as the specification says or
//! refused.

use std::time::Duration;

use proptest::{collection::vec, prelude::any, prop_assert_eq, proptest, sample::select};
use serving::grpc_timeout::{Malformed, parse};

/// Each unit in nanoseconds (gRPC PROTOCOL-HTTP2.md, "Requests").
const UNITS: [(char, u128); 6] = [
    ('H', 3_600_000_000_000),
    ('M', 60_000_000_000),
    ('S', 1_000_000_000),
    ('m', 1_000_000),
    ('u', 1_000),
    ('n', 1),
];

/// `^[0-9]{1,8}[HMSmun]$`
fn is_a_timeout(value: &[u8]) -> bool {
    let is_unit = |unit: &u8| b"HMSmun".contains(unit);
    let Some((unit, digits)) = value.split_last() else {
        return false;
    };
    is_unit(unit) && (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
}

proptest! {
    #[test]
    fn what_is_written_is_read(number in 0_u32..=99_999_999, (unit, nanos) in select(&UNITS[..]), width in 1_usize..=8) {
        let value = format!("{number:0width$}{unit}");
        let read = parse(value.as_bytes()).map(|timeout: Duration| timeout.as_nanos());
        prop_assert_eq!(read, Ok(u128::from(number) * nanos));
    }

    #[test]
    fn bytes_are_read_exactly_if_they_are_a_timeout(value in vec(any::<u8>(), 0..12)) {
        prop_assert_eq!(parse(&value).is_ok(), is_a_timeout(&value));
    }

    #[test]
    fn what_is_nearly_a_timeout_is_read_exactly_if_it_is_one(value in "[0-9 +.-]{0,10}[HMSmunhs]{0,2}") {
        let read = parse(value.as_bytes());
        prop_assert_eq!(read.is_ok(), is_a_timeout(value.as_bytes()));
        if let Err(error) = read {
            prop_assert_eq!(error, Malformed);
        }
    }
}
