//! Answers.

use serde::Serialize;

use crate::greetings::Answer;

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
