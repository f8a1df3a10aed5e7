//! The client's codec: what it costs a caller to encode a typed request and to decode its reply. The
//! trials send and compare bytes, so that no codec is on any clock there; its cost is a figure of its
//! own.

use std::{hint::black_box, time::Duration};

use engine::usage::own_cpu_of_this_thread;
use prost::Message;
use proto::rest_grpc_dual_mode::{RequestMessage, ResponseMessage};
use serde::{Deserialize, Serialize};

use crate::record::CodecCost;

/// CPU time of a slice: some thousand calls, and far more than the clock's own cost.
const SLICE: Duration = Duration::from_millis(20);

/// Slices of each codec, in turn, of which the median counts.
const SLICES: usize = 5;

/// Calls between two looks at the clock.
const CALLS: u32 = 100;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    data_comm_type: String,
    message_type: String,
    year: i32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    greetings: String,
    message_received: bool,
}

/// The cost of both codecs for a call for one greeting: JSON, then protobuf.
pub fn costs() -> [CodecCost; 2] {
    let [json, protobuf] = crate::greetings::fixed_replies();
    let question = Question {
        data_comm_type: "REST".to_owned(),
        message_type: "Diwali".to_owned(),
        year: 2023,
    };
    let message = RequestMessage {
        data_comm_type: "gRPC".to_owned(),
        message_type: "Diwali".to_owned(),
        year: 2023,
    };
    let by_json = || {
        black_box(serde_json::to_vec(black_box(&question)).is_ok());
        let answer: Option<Answer> = serde_json::from_slice(black_box(&json)).ok();
        black_box(
            answer.is_some_and(|answer| answer.message_received && !answer.greetings.is_empty()),
        );
    };
    let by_protobuf = || {
        black_box(black_box(&message).encode_to_vec());
        let answer = ResponseMessage::decode(black_box(&protobuf[..]));
        black_box(
            answer.is_ok_and(|answer| answer.message_received && !answer.greetings.is_empty()),
        );
    };
    let (mut of_json, mut of_protobuf) = (Vec::new(), Vec::new());
    for _ in 0..SLICES {
        of_json.push(slice(by_json));
        of_protobuf.push(slice(by_protobuf));
    }
    let cost = |codec: &str, slices| CodecCost {
        codec: codec.to_owned(),
        cpu_us_per_call: stats::median(slices).unwrap_or_default(),
    };
    [cost("JSON", of_json), cost("protobuf", of_protobuf)]
}

/// CPU time of a call in microseconds, over a slice.
fn slice(call: impl Fn()) -> f64 {
    let begun = own_cpu_of_this_thread();
    let (mut calls, mut took) = (0_u32, Duration::ZERO);
    while took < SLICE {
        for _ in 0..CALLS {
            call();
        }
        calls += CALLS;
        took = own_cpu_of_this_thread() - begun;
    }
    took.as_secs_f64() * 1e6 / f64::from(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_codec_takes_some_time_and_less_than_a_call() {
        for cost in costs() {
            let us = cost.cpu_us_per_call;
            assert!(us > 0.0 && us < 1_000.0, "{}: {us}", cost.codec);
        }
    }
}
