//! The contracts may grow; nothing that stands here may change or go.

use prost::Message;
use prost_types::{
    FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

const DUAL: &str = "rest_grpc_dual_mode";

/// Every field that has ever been published: (package, message, number, name, label, type, type of
/// the message that it holds).
#[rustfmt::skip]
const FIELDS: [(&str, &str, i32, &str, Label, Type, &str); 11] = [
    ("unary", "Message", 1, "message", Label::Optional, Type::String, ""),
    ("unary", "MessageResponse", 1, "message", Label::Optional, Type::String, ""),
    ("unary", "MessageResponse", 2, "received", Label::Optional, Type::Bool, ""),
    ("bidirectional", "Message", 1, "message", Label::Optional, Type::String, ""),
    (DUAL, "RequestMessage", 1, "dataCommType", Label::Optional, Type::String, ""),
    (DUAL, "RequestMessage", 2, "messageType", Label::Optional, Type::String, ""),
    (DUAL, "RequestMessage", 3, "year", Label::Optional, Type::Int32, ""),
    (DUAL, "ResponseMessage", 1, "greetings", Label::Optional, Type::String, ""),
    (DUAL, "ResponseMessage", 2, "messageReceived", Label::Optional, Type::Bool, ""),
    (DUAL, "BatchRequestMessage", 1, "requests", Label::Repeated, Type::Message, ".rest_grpc_dual_mode.RequestMessage"),
    (DUAL, "BatchResponseMessage", 1, "responses", Label::Repeated, Type::Message, ".rest_grpc_dual_mode.ResponseMessage"),
];

/// Every method that has ever been published: (path, request, answer, client streams, server streams).
const METHODS: [(&str, &str, &str, bool, bool); 4] = [
    (
        "/unary.Unary/GetServerResponse",
        ".unary.Message",
        ".unary.MessageResponse",
        false,
        false,
    ),
    (
        "/bidirectional.Bidirectional/GetServerResponse",
        ".bidirectional.Message",
        ".bidirectional.Message",
        true,
        true,
    ),
    (
        "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetings",
        ".rest_grpc_dual_mode.RequestMessage",
        ".rest_grpc_dual_mode.ResponseMessage",
        false,
        false,
    ),
    (
        "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetingsBatch",
        ".rest_grpc_dual_mode.BatchRequestMessage",
        ".rest_grpc_dual_mode.BatchResponseMessage",
        false,
        false,
    ),
];

fn files() -> Vec<prost_types::FileDescriptorProto> {
    [
        proto::unary::FILE_DESCRIPTOR_SET,
        proto::bidirectional::FILE_DESCRIPTOR_SET,
        proto::rest_grpc_dual_mode::FILE_DESCRIPTOR_SET,
    ]
    .into_iter()
    .flat_map(|set| {
        FileDescriptorSet::decode(set)
            .expect("the build wrote a descriptor set")
            .file
    })
    .collect()
}

#[test]
fn every_published_field_keeps_its_number_name_and_type() {
    let files = files();
    for (package, message, number, name, label, kind, holds) in FIELDS {
        let field = files
            .iter()
            .flat_map(|file| file.message_type.iter().map(move |m| (file.package(), m)))
            .find(|(p, m)| (*p, m.name()) == (package, message))
            .unwrap_or_else(|| panic!("message {message} is gone"))
            .1
            .field
            .iter()
            .find(|field| field.number() == number)
            .unwrap_or_else(|| panic!("field {number} of {message} is gone"));
        assert_eq!(field.name(), name, "name of field {number} of {message}");
        assert_eq!(field.r#type(), kind, "type of {message}.{name}");
        assert_eq!(field.label(), label, "label of {message}.{name}");
        assert_eq!(field.type_name(), holds, "type of {message}.{name}");
        assert_eq!(field.json_name(), name, "JSON key of {message}.{name}");
    }
}

#[test]
fn every_field_and_method_stands_in_the_tables_above() {
    let files = files();
    let fields: usize = files
        .iter()
        .flat_map(|file| &file.message_type)
        .map(|message| message.field.len())
        .sum();
    assert_eq!(fields, FIELDS.len(), "write a new field into FIELDS");
    let methods: usize = files
        .iter()
        .flat_map(|file| &file.service)
        .map(|service| service.method.len())
        .sum();
    assert_eq!(methods, METHODS.len(), "write a new method into METHODS");
}

#[test]
fn every_published_method_keeps_its_path_messages_and_streaming() {
    let files = files();
    for (path, request, answer, client_streams, server_streams) in METHODS {
        let method = files
            .iter()
            .flat_map(|file| file.service.iter().map(move |s| (file.package(), s)))
            .flat_map(|(package, s)| s.method.iter().map(move |m| (package, s.name(), m)))
            .find(|(package, service, m)| format!("/{package}.{service}/{}", m.name()) == path)
            .unwrap_or_else(|| panic!("method {path} is gone"))
            .2;
        assert_eq!(method.input_type(), request, "request of {path}");
        assert_eq!(method.output_type(), answer, "answer of {path}");
        assert_eq!(method.client_streaming(), client_streams, "{path}");
        assert_eq!(method.server_streaming(), server_streams, "{path}");
    }
}

#[test]
fn every_message_and_method_is_documented() {
    for file in files() {
        let comments = file.source_code_info.as_ref().unwrap();
        let documented = |path: &[i32]| {
            comments
                .location
                .iter()
                .any(|l| l.path == path && !l.leading_comments().trim().is_empty())
        };
        // Paths are those of descriptor.proto: 4 message_type, 6 service, 2 field or method.
        for (m, message) in (0..).zip(&file.message_type) {
            assert!(documented(&[4, m]), "{} has no comment", message.name());
            for (f, field) in (0..).zip(&message.field) {
                let name = format!("{}.{}", message.name(), field.name());
                assert!(documented(&[4, m, 2, f]), "{name} has no comment");
            }
        }
        for (s, service) in (0..).zip(&file.service) {
            assert!(documented(&[6, s]), "{} has no comment", service.name());
            for (m, method) in (0..).zip(&service.method) {
                assert!(
                    documented(&[6, s, 2, m]),
                    "{} has no comment",
                    method.name()
                );
            }
        }
    }
}
