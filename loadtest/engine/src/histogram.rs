//! A histogram as text, in the form that HdrHistogram's tools share: V2, compressed, base64.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{Deserializer, Serializer as _, V2DeflateSerializer},
};
use serde::{Deserialize, Serialize, de, ser};

/// Times in nanoseconds.
#[derive(Clone, PartialEq)]
pub struct Nanoseconds(pub Histogram<u64>);

/// No times yet, with room for the longest.
impl Default for Nanoseconds {
    fn default() -> Self {
        Self(crate::recorder::times())
    }
}

impl Nanoseconds {
    /// Number of times in it.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The times of both.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.0.auto(true);
        // It grows as it must, so nothing can be out of its range.
        let _ = self.0.add(&other.0);
        self
    }

    /// The value below which `percentile` (0 to 100) of the times lie, in microseconds. It says
    /// nothing about whether enough samples lie beyond: see `statistics::percentile`.
    pub fn percentile_us(&self, percentile: f64) -> f64 {
        self.0.value_at_quantile(percentile / 100.0) as f64 / 1e3
    }
}

/// Its thousands of counts would drown everything else.
impl fmt::Debug for Nanoseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} times up to {} ns", self.count(), self.0.max())
    }
}

impl Serialize for Nanoseconds {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.0, &mut bytes)
            .map_err(ser::Error::custom)?;
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Nanoseconds {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64_STANDARD.decode(text).map_err(de::Error::custom)?;
        Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map(Self)
            .map_err(|error| de::Error::custom(format!("not a histogram: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_survives_being_written_and_read() {
        let mut times = Histogram::new_with_bounds(1, 3_600_000_000_000, 3).unwrap();
        for nanos in (1..100_000_u64).map(|n| n * 977) {
            times.record(nanos).unwrap();
        }
        let text = serde_json::to_string(&Nanoseconds(times.clone())).unwrap();
        assert!(text.starts_with("\"HISTFAAA"), "{}", &text[..20]);
        assert_eq!(serde_json::from_str::<Nanoseconds>(&text).unwrap().0, times);
    }

    #[test]
    fn what_is_no_histogram_is_refused() {
        for text in ["\"\"", "\"AAAA\"", "\"no base64!\"", "7"] {
            assert!(serde_json::from_str::<Nanoseconds>(text).is_err(), "{text}");
        }
    }
}
