//! The `grpc-timeout` header: how long a caller is willing to wait.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use crate::refusal::Refusal;

/// A header that is not a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("grpc-timeout must be 1 to 8 digits and one of the units H, M, S, m, u, n")]
pub struct Malformed;

/// Reads the value of a `grpc-timeout` header: one to eight digits and a unit (gRPC
/// PROTOCOL-HTTP2.md, "Requests").
///
/// # Errors
/// [`Malformed`] for anything else.
pub fn parse(value: &[u8]) -> Result<Duration, Malformed> {
    let (unit, digits) = value.split_last().ok_or(Malformed)?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed);
    }
    let number = digits
        .iter()
        .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    Ok(match unit {
        b'H' => Duration::from_secs(number * 60 * 60),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return Err(Malformed),
    })
}

/// The time for which the caller that sent `headers` is willing to wait, if it says so.
pub(crate) fn asked(headers: &HeaderMap) -> Result<Option<Duration>, Refusal> {
    static TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
    // Few headers are compared faster than one name is hashed.
    let mut asked = headers.iter().filter(|(name, _)| **name == TIMEOUT);
    let Some((_, first)) = asked.next() else {
        return Ok(None);
    };
    match parse(first.as_bytes()) {
        Ok(limit) if asked.next().is_none() => Ok(Some(limit)),
        // Of two, nobody can say which is meant.
        _ => Err(Refusal::MalformedDeadline),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_a_unit_are_a_timeout() {
        for (value, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("250m", Duration::from_millis(250)),
            ("00000007u", Duration::from_micros(7)),
            ("99999999n", Duration::from_nanos(99_999_999)),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
            ("0S", Duration::ZERO),
        ] {
            assert_eq!(parse(value.as_bytes()), Ok(expected), "{value}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for value in [
            "",
            "S",
            "1",
            "123456789S",
            "-1S",
            "+1S",
            " 1S",
            "1 S",
            "1.5S",
            "1s",
            "1h",
            "٣S",
            "1SS",
        ] {
            assert_eq!(parse(value.as_bytes()), Err(Malformed), "{value:?}");
        }
    }
}
