//! Requests and answers in JSON, as proto3 maps messages to it (protobuf.dev/programming-guides/json): a number
//! may be a text or have a fraction of zero, null means the default, and a field that is unknown or
//! comes twice is refused. The names of the contract's fields are the same in proto and in JSON.
//!
//! Written by hand, because a fault has to name the field that it is about and its place.

mod answers;
mod requests;

use std::cell::RefCell;

use serde::de::DeserializeSeed;
use serde_json::error::Category;

use crate::{
    faults::Fault,
    greetings::{self, Request},
};
pub(crate) use answers::{AnswerBody, BatchBody};
use requests::{Batch, Message};
pub(crate) use requests::{LONGEST_NAME, UNKNOWN};

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
    read(body, Batch::root(&wrong), &wrong)
}

/// The fault found in the fields, if any. It is kept beside serde's error, which can only be a
/// string.
type Wrong = RefCell<Option<greetings::Fault>>;

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
        (Category::Data, Some(fault)) => Err(fault.into()),
        (Category::Data, None) => Err(Fault::Malformed(
            "this is JSON, and not a JSON object".to_owned(),
        )),
        _ => Err(Fault::Malformed(format!("the body is not JSON: {error}"))),
    }
}
