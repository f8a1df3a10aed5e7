//! The business: what a greeting is and which requests get one.
//!
//! This is the module to replace by your own. It knows no transport and no framework, does no I/O
//! and reads no clock, so that every rule stands here once and holds on every transport.

use thiserror::Error;

/// The longest `messageType`, in characters.
pub const LONGEST_MESSAGE_TYPE: usize = 256;
/// The longest `dataCommType`, in characters.
pub const LONGEST_DATA_COMM_TYPE: usize = 32;
/// The first and the last year that can be greeted.
pub const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

/// What a caller asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// How the caller says it reached the service, such as "REST". Empty where it says nothing. It
    /// is only for the log.
    pub data_comm_type: String,
    /// The occasion, such as "Holi".
    pub message_type: String,
    /// The year of the occasion.
    pub year: i32,
}

/// What it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The greeting.
    pub greetings: String,
    /// Whether the request was received: always true.
    pub message_received: bool,
}

/// Why it gets none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// A field breaks a rule. The caller can mend it.
    #[error("{field} {rule}")]
    InvalidArgument {
        /// The field, as the contract spells it.
        field: &'static str,
        /// The rule that it breaks, as the rest of a sentence.
        rule: &'static str,
    },
}

/// Makes the greeting that `request` asks for.
///
/// # Errors
/// [`Fault::InvalidArgument`] for the first field that breaks a rule.
pub fn greet(request: &Request) -> Result<Answer, Fault> {
    let Request {
        data_comm_type,
        message_type,
        year,
    } = request;
    let invalid = |field, rule| Err(Fault::InvalidArgument { field, rule });
    if message_type.trim().is_empty() {
        return invalid("messageType", "must not be blank");
    }
    if message_type.chars().count() > LONGEST_MESSAGE_TYPE {
        return invalid("messageType", "must have at most 256 characters");
    }
    if message_type.chars().any(char::is_control) {
        return invalid("messageType", "must not contain control characters");
    }
    if !YEARS.contains(year) {
        return invalid("year", "must be between 1 and 9999");
    }
    if data_comm_type.chars().count() > LONGEST_DATA_COMM_TYPE {
        return invalid("dataCommType", "must have at most 32 characters");
    }
    Ok(Answer {
        greetings: format!(
            "Here is your greetings --> Today is a special day! ({message_type}, {year})"
        ),
        message_received: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(message_type: &str, year: i32) -> Request {
        Request {
            data_comm_type: String::new(),
            message_type: message_type.to_owned(),
            year,
        }
    }

    #[test]
    fn a_greeting_names_the_occasion_and_the_year() {
        let answer = greet(&request("Holi", 2021)).unwrap();
        let text = "Here is your greetings --> Today is a special day! (Holi, 2021)";
        assert_eq!(answer.greetings, text);
        assert!(answer.message_received);
    }

    #[test]
    fn requests_at_the_edge_of_a_rule_are_greeted() {
        let longest = "ह".repeat(LONGEST_MESSAGE_TYPE);
        for (message_type, year) in [("x", 1), ("x", 9999), (longest.as_str(), 2023), ("a b", 5)] {
            assert!(
                greet(&request(message_type, year)).is_ok(),
                "{message_type}, {year}"
            );
        }
        let named = Request {
            data_comm_type: "x".repeat(32),
            ..request("x", 1)
        };
        assert!(greet(&named).is_ok());
    }

    #[test]
    fn requests_beyond_it_name_the_field() {
        let long = "x".repeat(LONGEST_MESSAGE_TYPE + 1);
        for (message_type, year, field) in [
            ("", 2021, "messageType"),
            (" \t", 2021, "messageType"),
            (long.as_str(), 2021, "messageType"),
            ("a\nb", 2021, "messageType"),
            ("Holi", 0, "year"),
            ("Holi", -1, "year"),
            ("Holi", 10_000, "year"),
        ] {
            match greet(&request(message_type, year)) {
                Err(Fault::InvalidArgument { field: found, .. }) => assert_eq!(found, field),
                Ok(answer) => panic!("{message_type:?}, {year} was greeted: {answer:?}"),
            }
        }
        let named = Request {
            data_comm_type: "x".repeat(33),
            ..request("x", 1)
        };
        assert!(greet(&named).is_err());
    }
}
