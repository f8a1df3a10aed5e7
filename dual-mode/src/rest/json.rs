//! Requests and answers in JSON, as proto3 maps messages to it (protobuf.dev/programming-guides/json): a number
//! may be a text or have a fraction of zero, null means the default, and a field that is unknown or
//! comes twice is refused. The names of the contract's fields are the same in proto and in JSON.
//!
//! Written by hand, because a fault has to name the field that it is about and its place.

use std::cell::RefCell;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::error::Category;

use super::number::Year;
use crate::{
    faults::Fault,
    greetings::{self, Answer, Request, Violation},
};

/// The longest name of an unknown field that is quoted, in characters.
const LONGEST_NAME: usize = 64;

/// Reads one request.
///
/// # Errors
/// [`Fault::Malformed`] with line and column, or the field that is wrong.
pub(crate) fn request(body: &[u8]) -> Result<Request, Fault> {
    let wrong = RefCell::new(None);
    read(body, Message::root(&wrong), &wrong)
}

/// Reads the requests of a batch.
///
/// # Errors
/// As [`request`], with the place of a field.
pub(crate) fn batch(body: &[u8]) -> Result<Vec<Request>, Fault> {
    let wrong = RefCell::new(None);
    read(body, Batch { wrong: &wrong }, &wrong)
}

/// What was found wrong with a field, if anything: serde's errors can only be texts.
type Wrong = RefCell<Option<Violation>>;

fn read<'de, T>(
    body: &'de [u8],
    seed: impl DeserializeSeed<'de, Value = T>,
    wrong: &Wrong,
) -> Result<T, Fault> {
    if body.is_empty() {
        return Err(Fault::Malformed(
            "the body is empty, and not a JSON object".to_owned(),
        ));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = seed.deserialize(&mut json);
    let error = match value.and_then(|value| json.end().map(|()| value)) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    match (error.classify(), wrong.take()) {
        (Category::Data, Some(Violation { field, rule })) => {
            Err(greetings::Fault::field(field, rule).into())
        }
        (Category::Data, None) => Err(Fault::Malformed(
            "this is JSON, and not a JSON object".to_owned(),
        )),
        _ => Err(Fault::Malformed(format!("the body is not JSON: {error}"))),
    }
}

/// A `RequestMessage`.
#[derive(Clone, Copy)]
struct Message<'a> {
    wrong: &'a Wrong,
    place: Option<usize>,
}

#[derive(Deserialize)]
#[serde(field_identifier)]
enum Field {
    #[serde(rename = "dataCommType")]
    DataCommType,
    #[serde(rename = "messageType")]
    MessageType,
    #[serde(rename = "year")]
    Year,
    Unknown(String),
}

impl<'a> Message<'a> {
    fn root(wrong: &'a Wrong) -> Self {
        Self { wrong, place: None }
    }

    /// Notes what is wrong with `field`. Where the error turns out to be one of syntax, that counts.
    fn note(self, field: &str, rule: &'static str) {
        let field = match self.place {
            None => field.to_owned(),
            Some(place) => format!("requests[{place}].{field}"),
        };
        note(self.wrong, field, rule);
    }

    /// Reads the next value into `field`, which is empty unless it was there before.
    fn value<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
        self,
        map: &mut A,
        field: &mut Option<Option<T>>,
        name: &str,
        rule: &'static str,
    ) -> Result<(), A::Error> {
        if field.is_some() {
            self.note(name, "must not come twice");
            return Err(A::Error::custom(""));
        }
        let value = map.next_value();
        *field = Some(value.inspect_err(|_| self.note(name, rule))?);
        Ok(())
    }
}

fn note(wrong: &Wrong, field: String, rule: &'static str) {
    wrong.borrow_mut().get_or_insert(Violation { field, rule });
}

fn unknown<E: Error>(name: &str, note: impl FnOnce(&str)) -> E {
    let quoted: String = name.chars().take(LONGEST_NAME).collect();
    note(&quoted);
    E::custom("")
}

const UNKNOWN: &str = "is not a field of this message";

impl<'de> DeserializeSeed<'de> for Message<'_> {
    type Value = Request;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Request, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Message<'_> {
    type Value = Request;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Request, A::Error> {
        let (mut comm, mut kind) = (None::<Option<String>>, None::<Option<String>>);
        let mut year = None::<Option<Year>>;
        while let Some(field) = map.next_key()? {
            match field {
                Field::DataCommType => {
                    self.value(&mut map, &mut comm, "dataCommType", "must be a text")?;
                }
                Field::MessageType => {
                    self.value(&mut map, &mut kind, "messageType", "must be a text")?;
                }
                Field::Year => self.value(&mut map, &mut year, "year", Year::RULE)?,
                Field::Unknown(name) => {
                    return Err(unknown(&name, |name| self.note(name, UNKNOWN)));
                }
            }
        }
        Ok(Request {
            data_comm_type: comm.flatten().unwrap_or_default(),
            message_type: kind.flatten().unwrap_or_default(),
            year: year.flatten().map_or(0, |Year(year)| year),
        })
    }
}

/// A `BatchRequestMessage`.
#[derive(Clone, Copy)]
struct Batch<'a> {
    wrong: &'a Wrong,
}

#[derive(Deserialize)]
#[serde(field_identifier)]
enum BatchField {
    #[serde(rename = "requests")]
    Requests,
    Unknown(String),
}

impl<'de> DeserializeSeed<'de> for Batch<'_> {
    type Value = Vec<Request>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Batch<'_> {
    type Value = Vec<Request>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut requests = None;
        while let Some(field) = map.next_key()? {
            match field {
                BatchField::Requests if requests.is_some() => {
                    note(self.wrong, "requests".to_owned(), "must not come twice");
                    return Err(A::Error::custom(""));
                }
                BatchField::Requests => {
                    let value = map.next_value_seed(Requests { wrong: self.wrong });
                    let list = |_: &A::Error| {
                        note(
                            self.wrong,
                            "requests".to_owned(),
                            "must be a list of objects",
                        );
                    };
                    requests = Some(value.inspect_err(list)?);
                }
                BatchField::Unknown(name) => {
                    let note = |name: &str| note(self.wrong, name.to_owned(), UNKNOWN);
                    return Err(unknown(&name, note));
                }
            }
        }
        Ok(requests.unwrap_or_default())
    }
}

/// Its list.
#[derive(Clone, Copy)]
struct Requests<'a> {
    wrong: &'a Wrong,
}

impl<'de> DeserializeSeed<'de> for Requests<'_> {
    type Value = Vec<Request>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Requests<'_> {
    type Value = Vec<Request>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut requests = Vec::new();
        loop {
            let place = requests.len();
            let message = Message {
                wrong: self.wrong,
                place: Some(place),
            };
            let next = list.next_element_seed(message);
            let object = |_: &A::Error| {
                note(
                    self.wrong,
                    format!("requests[{place}]"),
                    "must be an object",
                );
            };
            match next.inspect_err(object)? {
                Some(request) => requests.push(request),
                None => return Ok(requests),
            }
        }
    }
}

/// An answer as JSON spells it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AnswerBody<'a> {
    greetings: &'a str,
    message_received: bool,
}

impl<'a> From<&'a Answer> for AnswerBody<'a> {
    fn from(answer: &'a Answer) -> Self {
        Self {
            greetings: &answer.greetings,
            message_received: answer.message_received,
        }
    }
}

/// The answer to a batch.
#[derive(Serialize)]
pub(crate) struct BatchBody<'a> {
    responses: Vec<AnswerBody<'a>>,
}

impl<'a> From<&'a [Answer]> for BatchBody<'a> {
    fn from(answers: &'a [Answer]) -> Self {
        Self {
            responses: answers.iter().map(AnswerBody::from).collect(),
        }
    }
}
