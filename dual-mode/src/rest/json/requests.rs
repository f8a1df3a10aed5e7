//! The messages of requests, field by field.

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};

use super::Wrong;
use crate::{
    greetings::{self, Fault, Request},
    rest::number::Year,
};

/// The longest name of an unknown field that is quoted, in characters.
pub(crate) const LONGEST_NAME: usize = 64;

/// A `RequestMessage`.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
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
    pub(super) fn root(wrong: &'a Wrong) -> Self {
        Self { wrong, place: None }
    }

    /// Notes what is wrong with `field`. If the error turns out to be one of syntax, that counts.
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
    let fault = || Fault::field(field, rule);
    wrong.borrow_mut().get_or_insert_with(fault);
}

fn unknown<E: Error>(name: &str, note: impl FnOnce(&str)) -> E {
    let quoted: String = name.chars().take(LONGEST_NAME).collect();
    note(&quoted);
    E::custom("")
}

/// The rule of an unknown field, as the rest of a sentence that begins with its name.
pub(crate) const UNKNOWN: &str = "is not a field of this message";

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
pub(super) struct Batch<'a> {
    wrong: &'a Wrong,
}

#[derive(Deserialize)]
#[serde(field_identifier)]
enum BatchField {
    #[serde(rename = "requests")]
    Requests,
    Unknown(String),
}

impl<'a> Batch<'a> {
    pub(super) fn root(wrong: &'a Wrong) -> Self {
        Self { wrong }
    }
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
            // Two bytes of a body may be a request that takes fifty.
            if let Err(fault) = greetings::batch_of(requests.len()) {
                self.wrong.borrow_mut().get_or_insert(fault);
                return Err(A::Error::custom(""));
            }
        }
    }
}
