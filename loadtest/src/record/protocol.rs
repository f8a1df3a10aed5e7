//! The protocols. The first four are codec by transport, the fifth adds gRPC's framing, and the sixth is that of
//! browsers.

use engine::Transport;
use serde::{Deserialize, Serialize};

/// A way to make the same call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// The REST people have: JSON over HTTP/1.1.
    JsonHttp1,
    /// JSON over HTTP/2.
    JsonHttp2,
    /// A protobuf body over HTTP/1.1.
    ProtobufHttp1,
    /// A protobuf body over HTTP/2.
    ProtobufHttp2,
    /// The gRPC people have: protobuf in gRPC's framing, with trailers, over HTTP/2.
    Grpc,
    /// The gRPC that browsers have: the same messages in frames of a body, over HTTP/1.1.
    GrpcWeb,
}

impl Protocol {
    /// The steps from REST to gRPC, A to E.
    pub const STEPS: [Self; 5] = [
        Self::JsonHttp1,
        Self::JsonHttp2,
        Self::ProtobufHttp1,
        Self::ProtobufHttp2,
        Self::Grpc,
    ];

    /// The protocol of this letter on the command line, A to E.
    pub fn of_letter(letter: &str) -> Option<Self> {
        let mut steps = Self::STEPS.into_iter().zip(["A", "B", "C", "D", "E"]);
        let found = steps.find(|(_, known)| *known == letter);
        found.map(|(protocol, _)| protocol)
    }

    /// The protocol of this name in the raw data.
    pub fn of_slug(slug: &str) -> Option<Self> {
        serde_json::from_value(slug.into()).ok()
    }

    /// Its side on the command line: `rest` or `grpc`.
    pub fn side(self) -> &'static str {
        if self.is_grpc() { "grpc" } else { "rest" }
    }

    /// Returns true if its messages are in gRPC's frames and its status is gRPC's.
    pub fn is_grpc(self) -> bool {
        matches!(self, Self::Grpc | Self::GrpcWeb)
    }

    /// The transport that the engine sends it over.
    pub fn transport(self) -> Transport {
        match self {
            Self::JsonHttp1 | Self::ProtobufHttp1 => Transport::Http1,
            Self::JsonHttp2 | Self::ProtobufHttp2 => Transport::Http2,
            Self::Grpc => Transport::Grpc,
            Self::GrpcWeb => Transport::GrpcWeb,
        }
    }

    /// Returns true if one connection takes more than one call at a time.
    pub fn multiplexes(self) -> bool {
        match self {
            Self::JsonHttp1 | Self::ProtobufHttp1 | Self::GrpcWeb => false,
            Self::JsonHttp2 | Self::ProtobufHttp2 | Self::Grpc => true,
        }
    }

    /// Its name everywhere people read: `REST` is JSON over HTTP/1.1.
    pub fn name(self) -> &'static str {
        match self {
            Self::JsonHttp1 => "REST",
            Self::JsonHttp2 => "REST over HTTP/2",
            Self::ProtobufHttp1 => "protobuf over HTTP/1.1",
            Self::ProtobufHttp2 => "protobuf over HTTP/2",
            Self::Grpc => "gRPC",
            Self::GrpcWeb => "gRPC-Web",
        }
    }

    /// Its name in file names, the same as in the raw data.
    pub fn slug(self) -> &'static str {
        match self {
            Self::JsonHttp1 => "json_http1",
            Self::JsonHttp2 => "json_http2",
            Self::ProtobufHttp1 => "protobuf_http1",
            Self::ProtobufHttp2 => "protobuf_http2",
            Self::Grpc => "grpc",
            Self::GrpcWeb => "grpc_web",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_the_raw_data_is_the_one_in_file_names() {
        for protocol in Protocol::STEPS.into_iter().chain([Protocol::GrpcWeb]) {
            assert_eq!(serde_json::to_value(protocol).unwrap(), protocol.slug());
            assert_eq!(Protocol::of_slug(protocol.slug()), Some(protocol));
        }
    }
}
