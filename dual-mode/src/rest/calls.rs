//! The two calls that a body can make: one greeting, or a batch.

use bytes::Bytes;
use prost::Message;
use proto::rest_grpc_dual_mode::{RequestMessage, ResponseMessage};
use serde::Serialize;

use super::{
    json::{self, AnswerBody, BatchBody},
    media::Form,
};
use crate::{faults::Fault, greetings, messages};

/// Name of this adapter in the log, if the caller names no transport.
pub(super) const REST: &str = "REST";

/// A call, from the bytes of a request to those of an answer.
///
/// # Errors
/// The [`Fault`] found in the request.
pub(super) type Call = fn(Form, Bytes, Form) -> Result<Bytes, Fault>;

/// `POST /v1/get_greetings`.
pub(super) fn one(form: Form, body: Bytes, answer: Form) -> Result<Bytes, Fault> {
    let request = match form {
        Form::Json => json::request(&body)?,
        Form::Protobuf | Form::XProtobuf => messages::read::<RequestMessage>(body)?.into(),
    };
    greet(&request, answer)
}

/// The answer to `request`, written as `form`.
pub(super) fn greet(request: &greetings::Request, form: Form) -> Result<Bytes, Fault> {
    let answer = crate::answer(REST, request)?;
    Ok(match form {
        Form::Json => json_of(&AnswerBody::from(&answer)),
        Form::Protobuf | Form::XProtobuf => ResponseMessage::from(answer).encode_to_vec().into(),
    })
}

/// `POST /v1/get_greetings:batch`.
pub(super) fn batch(form: Form, body: Bytes, answer: Form) -> Result<Bytes, Fault> {
    let requests = match form {
        Form::Json => json::batch(&body)?,
        Form::Protobuf | Form::XProtobuf => messages::requests(messages::batch(body)?),
    };
    let answers = crate::answer_batch(REST, &requests)?;
    Ok(match answer {
        Form::Json => json_of(&BatchBody::from(&answers[..])),
        Form::Protobuf | Form::XProtobuf => messages::responses(answers).encode_to_vec().into(),
    })
}

fn json_of(body: &impl Serialize) -> Bytes {
    let body = serde_json::to_vec(body).expect("texts and truth values are always JSON");
    Bytes::from(body)
}
