//! The contracts may grow; nothing that stands here may change or go.

use prost::Message;
use prost_types::{
    FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

/// Every field that has ever been published: (message, number, name, type).
const FIELDS: [(&str, i32, &str, Type); 9] = [
    ("unary.Message", 1, "message", Type::String),
    ("unary.MessageResponse", 1, "message", Type::String),
    ("unary.MessageResponse", 2, "received", Type::Bool),
    ("bidirectional.Message", 1, "message", Type::String),
    (
        "rest_grpc_dual_mode.RequestMessage",
        1,
        "dataCommType",
        Type::String,
    ),
    (
        "rest_grpc_dual_mode.RequestMessage",
        2,
        "messageType",
        Type::String,
    ),
    ("rest_grpc_dual_mode.RequestMessage", 3, "year", Type::Int32),
    (
        "rest_grpc_dual_mode.ResponseMessage",
        1,
        "greetings",
        Type::String,
    ),
    (
        "rest_grpc_dual_mode.ResponseMessage",
        2,
        "messageReceived",
        Type::Bool,
    ),
];

/// Every method that has ever been published: (path, request, answer, client streams, server streams).
const METHODS: [(&str, &str, &str, bool, bool); 3] = [
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
    for (message, number, name, kind) in FIELDS {
        let field = files
            .iter()
            .flat_map(|file| file.message_type.iter().map(move |m| (file.package(), m)))
            .find(|(package, m)| format!("{package}.{}", m.name()) == message)
            .unwrap_or_else(|| panic!("message {message} is gone"))
            .1
            .field
            .iter()
            .find(|field| field.number() == number)
            .unwrap_or_else(|| panic!("field {number} of {message} is gone"));
        assert_eq!(field.name(), name, "name of field {number} of {message}");
        assert_eq!(field.r#type(), kind, "type of {message}.{name}");
        assert_eq!(field.label(), Label::Optional, "label of {message}.{name}");
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
