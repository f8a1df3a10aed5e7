//! The five protocols. The first four are codec by transport, the fifth adds gRPC's framing.

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
}

impl Protocol {
    /// All of them, A to E.
    pub const ALL: [Self; 5] = [
        Self::JsonHttp1,
        Self::JsonHttp2,
        Self::ProtobufHttp1,
        Self::ProtobufHttp2,
        Self::Grpc,
    ];

    /// Its letter on the command line, A to E.
    pub fn letter(self) -> &'static str {
        match self {
            Self::JsonHttp1 => "A",
            Self::JsonHttp2 => "B",
            Self::ProtobufHttp1 => "C",
            Self::ProtobufHttp2 => "D",
            Self::Grpc => "E",
        }
    }

    /// The transport that the engine sends it over.
    pub fn transport(self) -> Transport {
        match self {
            Self::JsonHttp1 | Self::ProtobufHttp1 => Transport::Http1,
            Self::JsonHttp2 | Self::ProtobufHttp2 => Transport::Http2,
            Self::Grpc => Transport::Grpc,
        }
    }

    /// Whether one connection takes more than one call at a time.
    pub fn multiplexes(self) -> bool {
        match self {
            Self::JsonHttp1 | Self::ProtobufHttp1 => false,
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_the_raw_data_is_the_one_in_file_names() {
        for protocol in Protocol::ALL {
            assert_eq!(serde_json::to_value(protocol).unwrap(), protocol.slug());
        }
    }
}
