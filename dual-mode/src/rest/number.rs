//! A whole number as proto3's JSON mapping takes it: `2023`, `"2023"`, `2023.0` or `2.023e3`.

use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

/// An `int32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Year(pub(crate) i32);

impl Year {
    /// The rule that any other value breaks, as the rest of a sentence that begins with the field.
    pub(crate) const RULE: &str = "must be a whole number of 32 bits";

    /// Reads `text`, which has to be a number as JSON writes it.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        // serde_json allows space around a number; the mapping does not.
        if !text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
            || !text.ends_with(|c: char| c.is_ascii_digit())
        {
            return None;
        }
        match serde_json::from_str(text).ok()? {
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(whole) => i32::try_from(whole).ok().map(Self),
                None => Self::from_fraction(number.as_f64()?),
            },
            _ => None,
        }
    }

    fn from_fraction(number: f64) -> Option<Self> {
        let range = f64::from(i32::MIN)..=f64::from(i32::MAX);
        let whole = number.fract() == 0.0 && range.contains(&number);
        whole.then_some(Self(number as i32))
    }
}

impl<'de> Deserialize<'de> for Year {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Number)
    }
}

struct Number;

impl Visitor<'_> for Number {
    type Value = Year;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Year, E> {
        let year = i32::try_from(number).map(Year);
        year.map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Year, E> {
        let year = i32::try_from(number).map(Year);
        year.map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Year, E> {
        let year = Year::from_fraction(number);
        year.ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Year, E> {
        let year = Year::from_text(text);
        year.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_taken_in_every_way_that_proto3_writes_them() {
        for (text, number) in [
            ("2023", 2023),
            ("2023.0", 2023),
            ("2.023e3", 2023),
            ("20230E-1", 2023),
            ("-0", 0),
            ("-1", -1),
            ("2147483647", i32::MAX),
            ("-2147483648.0", i32::MIN),
        ] {
            let quoted = format!("\"{text}\"");
            for json in [text, &quoted] {
                assert_eq!(
                    serde_json::from_str::<Year>(json).unwrap().0,
                    number,
                    "{json}"
                );
            }
        }
    }

    #[test]
    fn nothing_else_is() {
        for text in [
            "",
            " ",
            "2023 ",
            " 2023",
            "+1",
            "007",
            "0x7",
            "1_000",
            "2023.5",
            "1e-1",
            "2147483648",
            "-2147483649",
            "1e10",
            "99999999999999999999",
            "1e999",
            "NaN",
            "two",
            "١",
            "null",
            "[1]",
        ] {
            let json = serde_json::to_string(text).unwrap();
            assert!(serde_json::from_str::<Year>(&json).is_err(), "{json}");
        }
        for json in ["2023.5", "2147483648", "1e10", "true", "[1]", "{}"] {
            assert!(serde_json::from_str::<Year>(json).is_err(), "{json}");
        }
    }
}
