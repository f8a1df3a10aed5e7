//! The messages of the contract as the core knows them, and back: for every adapter that reads protobuf.

use proto::rest_grpc_dual_mode::{
    BatchRequestMessage, BatchResponseMessage, RequestMessage, ResponseMessage,
};

use crate::greetings::{Answer, Request};

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

/// The answer to a batch.
pub(crate) fn responses(answers: Vec<Answer>) -> BatchResponseMessage {
    BatchResponseMessage {
        responses: answers.into_iter().map(ResponseMessage::from).collect(),
    }
}
