//! The bytes on the wire, as any protobuf library writes them.

use std::fmt::Debug;

use prost::Message;

/// Asserts that `message` is written as `bytes` and read back from them.
#[track_caller]
fn check<M: Message + Default + PartialEq + Debug>(message: &M, bytes: &[u8]) {
    assert_eq!(message.encode_to_vec(), bytes);
    let read = M::decode(bytes).expect("these bytes are a message");
    assert_eq!(read, *message);
}

#[test]
fn unary_request() {
    let message = "Hello Server you there?".into();
    check(
        &proto::unary::Message { message },
        b"\x0a\x17Hello Server you there?",
    );
}

#[test]
fn unary_answer() {
    let message = "ok".into();
    check(
        &proto::unary::MessageResponse {
            message,
            received: true,
        },
        b"\x0a\x02ok\x10\x01",
    );
}

#[test]
fn bidirectional_message() {
    let message = "First message".into();
    check(
        &proto::bidirectional::Message { message },
        b"\x0a\x0dFirst message",
    );
}

#[test]
fn dual_mode_request() {
    let request = proto::rest_grpc_dual_mode::RequestMessage {
        data_comm_type: "gRPC".into(),
        message_type: "Holi".into(),
        year: 2021,
    };
    check(&request, b"\x0a\x04gRPC\x12\x04Holi\x18\xe5\x0f");
}

#[test]
fn dual_mode_answer() {
    let answer = proto::rest_grpc_dual_mode::ResponseMessage {
        greetings: "hi".into(),
        message_received: true,
    };
    check(&answer, b"\x0a\x02hi\x10\x01");
}

#[test]
fn a_negative_year_takes_ten_bytes() {
    let request = proto::rest_grpc_dual_mode::RequestMessage {
        year: -1,
        ..Default::default()
    };
    check(&request, b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
}

#[test]
fn default_values_are_not_written() {
    check(&proto::rest_grpc_dual_mode::RequestMessage::default(), b"");
}

#[test]
fn fields_of_a_later_contract_are_skipped() {
    let message = proto::unary::Message::decode(&b"\x0a\x02hi\x9a\x06\x03new"[..]).unwrap();
    assert_eq!(message.message, "hi");
}

#[test]
fn a_batch_is_its_requests_one_after_the_other() {
    use proto::rest_grpc_dual_mode::{BatchRequestMessage, RequestMessage};
    let request = |year| RequestMessage {
        year,
        ..Default::default()
    };
    let requests = vec![request(1), request(2)];
    check(
        &BatchRequestMessage { requests },
        b"\x0a\x02\x18\x01\x0a\x02\x18\x02",
    );
}
