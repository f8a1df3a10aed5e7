//! The messages of the contract as the core knows them, and back: for every adapter that reads protobuf.

use proto::rest_grpc_dual_mode::{
    BatchRequestMessage, BatchResponseMessage, RequestMessage, ResponseMessage,
};

use bytes::Bytes;
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, decode_key, skip_field},
};

use crate::{
    faults::Fault,
    greetings::{self, Answer, Request},
};

/// The number of the field `requests` of a batch.
const REQUESTS: u32 = 1;

impl From<RequestMessage> for Request {
    fn from(message: RequestMessage) -> Self {
        Self {
            data_comm_type: message.data_comm_type,
            message_type: message.message_type,
            year: message.year,
        }
    }
}

impl From<Answer> for ResponseMessage {
    fn from(answer: Answer) -> Self {
        Self {
            greetings: answer.greetings,
            message_received: answer.message_received,
        }
    }
}

/// The requests of a batch.
pub(crate) fn requests(batch: BatchRequestMessage) -> Vec<Request> {
    batch.requests.into_iter().map(Request::from).collect()
}

/// Reads one message.
///
/// # Errors
/// [`Fault::Malformed`].
pub(crate) fn read<M: Message + Default>(message: Bytes) -> Result<M, Fault> {
    Ok(M::decode(message)?)
}

/// Reads a batch, after it has counted its requests: prost makes a request of fifty bytes of
/// any two, however many they are.
///
/// # Errors
/// [`Fault::Malformed`], or that of the business where there are too many.
pub(crate) fn batch(message: Bytes) -> Result<BatchRequestMessage, Fault> {
    let (mut rest, mut count) = (&message[..], 0);
    while !rest.is_empty() {
        let (field, kind) = decode_key(&mut rest)?;
        skip_field(kind, field, &mut rest, DecodeContext::default())?;
        if field == REQUESTS {
            count += 1;
            greetings::batch_of(count)?;
        }
    }
    read(message)
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// The answer to a batch.
pub(crate) fn responses(answers: Vec<Answer>) -> BatchResponseMessage {
    BatchResponseMessage {
        responses: answers.into_iter().map(ResponseMessage::from).collect(),
    }
}
