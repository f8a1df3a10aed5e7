//! The name of a call in logs and answers: the caller's own `x-request-id`, or one made here.

use http::{HeaderName, HeaderValue};

/// The header that carries it, both ways, on both transports.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The longest one that is taken from a caller: every scheme in use fits, and a log line stays a line.
const LONGEST: usize = 128;

const DIGITS: [u8; 16] = *b"0123456789abcdef";

/// The name of one call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Id {
    /// The caller's own.
    Sent(HeaderValue),
    /// Made here. It is written where it is asked for.
    Made(u64),
}

impl Id {
    /// The id that the caller sent, if it is one that may stand in a log, or a new one.
    pub(crate) fn of(sent: Option<&HeaderValue>) -> Self {
        match sent {
            Some(id) if is_valid(id.as_bytes()) => Self::Sent(id.clone()),
            _ => Self::Made(fastrand::u64(..)),
        }
    }

    /// It as a header has it. A made one is 16 hexadecimal digits: HPACK writes each of them anew
    /// into every answer.
    pub(crate) fn value(&self) -> HeaderValue {
        match self {
            Self::Sent(id) => id.clone(),
            Self::Made(bits) => {
                let mut digits = [0; 16];
                for (digits, byte) in digits.chunks_exact_mut(2).zip(bits.to_be_bytes()) {
                    digits[0] = DIGITS[usize::from(byte >> 4)];
                    digits[1] = DIGITS[usize::from(byte & 15)];
                }
                HeaderValue::from_bytes(&digits).expect("hexadecimal is visible ASCII")
            }
        }
    }
}

/// At most 128 visible ASCII characters.
fn is_valid(id: &[u8]) -> bool {
    (1..=LONGEST).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{HEADER, HeaderValue, Id};
    use crate::telemetry::names;
    use http::HeaderMap;

    #[test]
    fn a_callers_id_is_kept_if_it_may_stand_in_a_log_and_replaced_otherwise() {
        let longest = "x".repeat(128);
        for (sent, kept) in [
            ("7", true),
            ("req-42/a:b", true),
            (longest.as_str(), true),
            ("", false),
            ("two words", false),
            ("tab\there", false),
            (&"x".repeat(129), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_str(sent).unwrap());
            let [id, _] = names(&headers);
            assert_eq!(Id::of(id).value() == sent, kept, "{sent:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_bytes(b"caf\xc3\xa9").unwrap());
        assert!(matches!(Id::of(names(&headers)[0]), Id::Made(_)));
        headers.insert(HEADER, HeaderValue::from_static("a"));
        headers.append(HEADER, HeaderValue::from_static("b"));
        assert_eq!(names(&headers)[0], None, "two ids are none");
    }

    #[test]
    fn made_ids_are_16_digits_and_differ_across_threads() {
        let make = || Id::of(None).value();
        let make_many = move || (0..1000).map(|_| make()).collect::<Vec<_>>();
        let other = std::thread::spawn(make_many);
        let all: HashSet<_> = make_many()
            .into_iter()
            .chain(other.join().unwrap())
            .collect();
        assert_eq!(all.len(), 2000);
        assert!(all.iter().all(|id| id.len() == 16));
        assert_eq!(Id::Made(0x0123_4567_89ab_cdef).value(), "0123456789abcdef");
    }
}
