//! The business: what a greeting is and which requests get one.
//!
//! This is the module to replace by your own. It knows no transport and no framework, does no I/O
//! and reads no clock, so that every rule stands here once and holds on every transport.

use std::fmt;

use thiserror::Error;

/// The longest `messageType`, in characters.
pub const LONGEST_MESSAGE_TYPE: usize = 256;
/// The longest `dataCommType`, in characters.
pub const LONGEST_DATA_COMM_TYPE: usize = 32;
/// The first and the last year that can be greeted.
pub const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;
/// The most requests in one batch.
pub const LARGEST_BATCH: usize = 1000;
/// The most violations that one fault names: gRPC sends them as trailers, of which common clients
/// take 8 KiB.
pub const MOST_VIOLATIONS: usize = 32;

/// A request for one greeting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The transport by which the caller says it reached the service, such as "REST". Empty if it
    /// says nothing. It is only for the log.
    pub data_comm_type: String,
    /// The occasion, such as "Holi".
    pub message_type: String,
    /// The year of the occasion.
    pub year: i32,
}

/// The answer to a [`Request`] that breaks no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The greeting.
    pub greetings: String,
    /// True if the request was received, so always true.
    pub message_received: bool,
}

/// A field that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field as the contract spells it, in a batch with its place: `requests[2].year`.
    pub field: String,
    /// The rule, as the rest of a sentence that begins with the field.
    pub rule: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.rule)
    }
}

/// Reason for refusing a request or a batch.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// Fields break rules. The caller can mend them.
    #[error("{}", summary(violations, *unnamed))]
    InvalidArgument {
        /// The violations that are named, at least one and at most [`MOST_VIOLATIONS`].
        violations: Vec<Violation>,
        /// The number of further violations, which are not named.
        unnamed: usize,
    },
}

/// The first violation, and how many others there are.
fn summary(violations: &[Violation], unnamed: usize) -> String {
    match violations {
        [] => "a field breaks a rule".to_owned(),
        [only] if unnamed == 0 => only.to_string(),
        [first, more @ ..] => format!("{first}, and {} more", more.len() + unnamed),
    }
}

impl Fault {
    /// The fault of one field.
    pub fn field(field: impl Into<String>, rule: &'static str) -> Self {
        let field = field.into();
        Self::InvalidArgument {
            violations: vec![Violation { field, rule }],
            unnamed: 0,
        }
    }

    /// The fault of these fields, if there are any.
    fn of(mut violations: impl Iterator<Item = Violation>) -> Option<Self> {
        let first = violations.next()?;
        let mut named = vec![first];
        named.extend(violations.by_ref().take(MOST_VIOLATIONS - 1));
        Some(Self::InvalidArgument {
            violations: named,
            unnamed: violations.count(),
        })
    }
}

/// Makes the greeting that `request` asks for.
///
/// # Errors
/// [`Fault::InvalidArgument`] with each field that breaks a rule.
pub fn greet(request: &Request) -> Result<Answer, Fault> {
    let violations = broken(request).map(|(field, rule)| Violation {
        field: field.to_owned(),
        rule,
    });
    match Fault::of(violations) {
        Some(fault) => Err(fault),
        None => Ok(greeting(request)),
    }
}

/// Makes all greetings that `requests` ask for, in their order, or none.
///
/// # Errors
/// [`Fault::InvalidArgument`] with each field that breaks a rule, and its place.
pub fn greet_batch(requests: &[Request]) -> Result<Vec<Answer>, Fault> {
    batch_of(requests.len())?;
    let violations = requests.iter().enumerate().flat_map(|(index, request)| {
        broken(request).map(move |(field, rule)| Violation {
            field: format!("requests[{index}].{field}"),
            rule,
        })
    });
    match Fault::of(violations) {
        Some(fault) => Err(fault),
        None => Ok(requests.iter().map(greeting).collect()),
    }
}

/// Checks that a batch may be of `count` requests. The readers of batches call it too, and stop
/// reading a batch that will be refused anyway.
///
/// # Errors
/// The same [`Fault::InvalidArgument`] as that of [`greet_batch`].
pub fn batch_of(count: usize) -> Result<(), Fault> {
    if (1..=LARGEST_BATCH).contains(&count) {
        Ok(())
    } else {
        Err(Fault::field("requests", "must be 1 to 1000 in number"))
    }
}

/// The greeting of a request that breaks no rule.
fn greeting(request: &Request) -> Answer {
    let Request {
        message_type, year, ..
    } = request;
    Answer {
        greetings: format!(
            "Here is your greetings --> Today is a special day! ({message_type}, {year})"
        ),
        message_received: true,
    }
}

/// The fields of `request` that break a rule, each with the first that it breaks.
fn broken(request: &Request) -> impl Iterator<Item = (&'static str, &'static str)> {
    let rules = [
        ("messageType", message_type(&request.message_type)),
        ("year", year(request.year)),
        ("dataCommType", data_comm_type(&request.data_comm_type)),
    ];
    rules
        .into_iter()
        .filter_map(|(field, rule)| Some((field, rule?)))
}

fn message_type(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        Some("must not be blank")
    } else if longer(text, LONGEST_MESSAGE_TYPE) {
        Some("must have at most 256 characters")
    } else if text.chars().any(char::is_control) {
        Some("must not contain control characters")
    } else {
        None
    }
}

fn year(year: i32) -> Option<&'static str> {
    (!YEARS.contains(&year)).then_some("must be between 1 and 9999")
}

fn data_comm_type(text: &str) -> Option<&'static str> {
    longer(text, LONGEST_DATA_COMM_TYPE).then_some("must have at most 32 characters")
}

/// Returns true if `text` has more than `most` characters. A string has at most as many characters
/// as bytes.
fn longer(text: &str, most: usize) -> bool {
    text.len() > most && text.chars().nth(most).is_some()
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

    /// The fields that `outcome` names, and how many it does not.
    #[track_caller]
    fn named<T: fmt::Debug>(outcome: Result<T, Fault>) -> (Vec<String>, usize) {
        let Fault::InvalidArgument {
            violations,
            unnamed,
        } = outcome.unwrap_err();
        let fields = violations.into_iter().map(|violation| violation.field);
        (fields.collect(), unnamed)
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
            let outcome = greet(&request(message_type, year));
            assert_eq!(named(outcome), (vec![field.to_owned()], 0));
        }
        let long = Request {
            data_comm_type: "x".repeat(33),
            ..request("", 0)
        };
        let fields = ["messageType", "year", "dataCommType"].map(str::to_owned);
        assert_eq!(named(greet(&long)), (fields.to_vec(), 0));
    }

    #[test]
    fn the_words_of_a_rule_have_its_numbers() {
        let long = "x".repeat(LONGEST_MESSAGE_TYPE + 1);
        let wrong = Request {
            data_comm_type: long.clone(),
            ..request(&long, YEARS.start() - 1)
        };
        let batch = batch_of(0).unwrap_err();
        let mut words: Vec<_> = [greet(&wrong).unwrap_err(), batch]
            .into_iter()
            .flat_map(|Fault::InvalidArgument { violations, .. }| violations)
            .map(|violation| violation.rule)
            .collect();
        words.sort_unstable();
        let (first, last) = (YEARS.start(), YEARS.end());
        let mut expected = [
            format!("must have at most {LONGEST_MESSAGE_TYPE} characters"),
            format!("must have at most {LONGEST_DATA_COMM_TYPE} characters"),
            format!("must be between {first} and {last}"),
            format!("must be 1 to {LARGEST_BATCH} in number"),
        ];
        expected.sort_unstable();
        assert_eq!(words, expected);
    }

    #[test]
    fn a_batch_is_greeted_in_its_order() {
        let batch: Vec<_> = (1..=1000).map(|year| request("Holi", year)).collect();
        let answers = greet_batch(&batch).unwrap();
        assert_eq!(answers.len(), 1000);
        for (request, answer) in batch.iter().zip(answers) {
            assert_eq!(greet(request), Ok(answer));
        }
    }

    #[test]
    fn one_wrong_request_refuses_a_batch_and_is_named_with_its_place() {
        let batch = [request("Holi", 2021), request("", 0), request("Holi", -1)];
        let fields = [
            "requests[1].messageType",
            "requests[1].year",
            "requests[2].year",
        ];
        let outcome = greet_batch(&batch);
        let text = outcome.clone().unwrap_err().to_string();
        assert_eq!(
            text,
            "requests[1].messageType must not be blank, and 2 more"
        );
        assert_eq!(named(outcome), (fields.map(str::to_owned).to_vec(), 0));
    }

    #[test]
    fn no_request_and_too_many_are_no_batch() {
        for size in [0, 1001] {
            let batch = vec![request("Holi", 2021); size];
            assert_eq!(named(greet_batch(&batch)), (vec!["requests".to_owned()], 0));
        }
    }

    #[test]
    fn a_fault_names_as_many_violations_as_it_may_and_counts_the_others() {
        let (fields, unnamed) = named(greet_batch(&vec![request("", 0); 1000]));
        assert_eq!(
            (fields.len(), unnamed),
            (MOST_VIOLATIONS, 2000 - MOST_VIOLATIONS)
        );
    }
}
