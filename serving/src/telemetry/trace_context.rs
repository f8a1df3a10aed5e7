//! Which trace a call belongs to (W3C Trace Context).

use std::fmt;

use http::HeaderValue;

/// The trace that a call belongs to, and the caller's span in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceContext {
    pub(crate) trace: u128,
    /// The caller's span; none where the trace begins here.
    pub(crate) parent: Option<u64>,
    /// True if the caller records the trace.
    pub(crate) sampled: bool,
}

impl TraceContext {
    /// Reads `traceparent`. Returns none if it is absent, or if it is given twice or malformed,
    /// which the specification wants taken for absent (§4.3).
    pub(crate) fn of(traceparent: Option<&HeaderValue>) -> Option<Self> {
        Self::parse(traceparent?.as_bytes())
    }

    /// A trace that begins here.
    pub(crate) fn begin() -> Self {
        let bits = fastrand::u128(..);
        Self {
            trace: bits.max(1),
            parent: None,
            sampled: false,
        }
    }

    /// `version-trace-parent-flags`, in lower-case hexadecimal. A later version may go on after them
    /// (§3.2.2).
    fn parse(text: &[u8]) -> Option<Self> {
        let (head, more) = text.split_at_checked(55)?;
        let dashes = [2, 35, 52].iter().all(|&at| head[at] == b'-');
        let version = hex(&head[..2])?;
        let ends = more.is_empty() || (version > 0 && more[0] == b'-');
        let context = Self {
            trace: hex(&head[3..35])?,
            parent: Some(u64::try_from(hex(&head[36..52])?).ok()?),
            sampled: hex(&head[53..])? & 1 == 1,
        };
        let valid = dashes && ends && version != 0xff;
        (valid && context.trace != 0 && context.parent != Some(0)).then_some(context)
    }
}

/// The trace id, as logs and traces show it.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.trace)
    }
}

fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::TraceContext;

    #[test]
    fn the_specifications_example_is_read() {
        let text = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = TraceContext::parse(text).unwrap();
        assert_eq!(context.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.parent, Some(0xb7ad_6b71_6920_3331));
        assert!(context.sampled);
    }

    #[test]
    fn what_the_specification_forbids_is_no_context() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        let zeros = "0".repeat(32);
        for (text, good) in [
            (format!("00-{trace}-{span}-00"), true),
            (format!("cc-{trace}-{span}-01-what-the-future"), true),
            (format!("cc-{trace}-{span}-01.what"), false),
            (format!("ff-{trace}-{span}-01"), false),
            (format!("00-{trace}-{span}-01-more"), false),
            (format!("00-{zeros}-{span}-01"), false),
            (format!("00-{trace}-{}-01", &zeros[..16]), false),
            (format!("00-{}-{span}-01", trace.to_uppercase()), false),
            (format!("00_{trace}-{span}-01"), false),
            (format!("00-{trace}-{span}"), false),
            (format!("00-{trace}-{span}-0"), false),
            (format!("+0-{trace}-{span}-01"), false),
            (String::new(), false),
        ] {
            let context = TraceContext::parse(text.as_bytes());
            assert_eq!(context.is_some(), good, "{text}");
        }
    }
}
