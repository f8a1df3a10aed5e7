//! A batch of greetings: what is asked in one call, and what has to come.

use prost::Message;
use proto::rest_grpc_dual_mode::{BatchRequestMessage, BatchResponseMessage, RequestMessage};
use serde::{Deserialize, Serialize};

use super::http::{Answer, Question};

/// What is asked for varies in length and content, so that no batch is one greeting repeated.
const OCCASIONS: [&str; 8] = [
    "Diwali",
    "Holi",
    "Eid al-Fitr",
    "Christmas",
    "Raksha Bandhan",
    "New Year",
    "Día de los Muertos",
    "Lunar New Year",
];

/// As years go round, after how many greetings.
const YEARS: usize = 25;

/// The same questions for every call of an attack. They are made before it begins.
pub(super) struct Batch {
    json: Questions,
    protobuf: BatchRequestMessage,
    greetings: Vec<String>,
}

/// The question as JSON.
#[derive(Serialize)]
struct Questions {
    requests: Vec<Question>,
}

/// The answer as JSON.
#[derive(Deserialize)]
struct Answers {
    responses: Vec<Answer>,
}

impl Batch {
    /// A batch of `size` greetings by a caller who says that it came by `data_comm_type`.
    pub(super) fn new(size: u32, data_comm_type: &'static str) -> Self {
        let asked: Vec<Question> = (0..size as usize)
            .map(|index| Question {
                data_comm_type,
                message_type: OCCASIONS[index % OCCASIONS.len()],
                year: 2000 + (index % YEARS) as i32,
            })
            .collect();
        let greeting = |question: &Question| {
            let Question {
                message_type, year, ..
            } = question;
            format!("Here is your greetings --> Today is a special day! ({message_type}, {year})")
        };
        let message = |question: &Question| RequestMessage {
            data_comm_type: question.data_comm_type.to_owned(),
            message_type: question.message_type.to_owned(),
            year: question.year,
        };
        Self {
            greetings: asked.iter().map(greeting).collect(),
            protobuf: BatchRequestMessage {
                requests: asked.iter().map(message).collect(),
            },
            json: Questions { requests: asked },
        }
    }

    /// The question as JSON.
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&self.json).expect("texts and numbers are always JSON")
    }

    /// The question as protobuf.
    pub(super) fn to_protobuf(&self) -> Vec<u8> {
        self.protobuf.encode_to_vec()
    }

    /// The question as tonic's client takes it, which encodes it itself.
    pub(super) fn to_message(&self) -> BatchRequestMessage {
        self.protobuf.clone()
    }

    /// Whether the JSON `body` is the answer.
    pub(super) fn is_answered_by_json(&self, body: &[u8]) -> bool {
        serde_json::from_slice(body).is_ok_and(|Answers { responses }| {
            let answers = responses.iter();
            self.are(answers.map(|answer| (answer.message_received, answer.greetings.as_str())))
        })
    }

    /// Whether `answer` is the answer.
    pub(super) fn is_answered_by(&self, answer: &BatchResponseMessage) -> bool {
        let answers = answer.responses.iter();
        self.are(answers.map(|answer| (answer.message_received, answer.greetings.as_str())))
    }

    fn are<'a>(&self, answers: impl ExactSizeIterator<Item = (bool, &'a str)>) -> bool {
        answers.len() == self.greetings.len()
            && answers
                .zip(&self.greetings)
                .all(|((received, greeting), wanted)| received && greeting == wanted)
    }
}

#[cfg(test)]
mod tests {
    use proto::rest_grpc_dual_mode::ResponseMessage;

    use super::*;

    fn answer(greetings: &[String]) -> BatchResponseMessage {
        let response = |greeting: &String| ResponseMessage {
            greetings: greeting.clone(),
            message_received: true,
        };
        BatchResponseMessage {
            responses: greetings.iter().map(response).collect(),
        }
    }

    #[test]
    fn the_answer_is_every_greeting_in_its_place() {
        let batch = Batch::new(1000, "gRPC");
        let good = answer(&batch.greetings);
        assert!(batch.is_answered_by(&good));
        let broken = |change: fn(&mut Vec<ResponseMessage>)| {
            let mut answer = good.clone();
            change(&mut answer.responses);
            !batch.is_answered_by(&answer)
        };
        assert!(broken(|responses| responses.swap(0, 1)));
        assert!(broken(|responses| responses.truncate(999)));
        assert!(broken(|responses| responses[500].message_received = false));
    }

    #[test]
    fn json_and_protobuf_ask_the_same() {
        let batch = Batch::new(10, "REST");
        let json: serde_json::Value = serde_json::from_slice(&batch.to_json()).unwrap();
        let message = BatchRequestMessage::decode(batch.to_protobuf().as_slice()).unwrap();
        assert_eq!(message, batch.to_message());
        for (json, message) in json["requests"]
            .as_array()
            .unwrap()
            .iter()
            .zip(message.requests)
        {
            assert_eq!(json["messageType"], message.message_type);
            assert_eq!(json["dataCommType"], message.data_comm_type);
            assert_eq!(json["year"], message.year);
        }
    }
}
