//! The five arms. A to D are codec by transport, D to E is gRPC's framing.

use serde::{Deserialize, Serialize};

/// A way to ask for the same greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
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

impl Arm {
    /// All of them, A to E.
    pub const ALL: [Self; 5] = [
        Self::JsonHttp1,
        Self::JsonHttp2,
        Self::ProtobufHttp1,
        Self::ProtobufHttp2,
        Self::Grpc,
    ];

    /// Its letter, A to E.
    pub fn letter(self) -> &'static str {
        match self {
            Self::JsonHttp1 => "A",
            Self::JsonHttp2 => "B",
            Self::ProtobufHttp1 => "C",
            Self::ProtobufHttp2 => "D",
            Self::Grpc => "E",
        }
    }

    /// Whether one connection takes more than one call at a time.
    pub fn multiplexes(self) -> bool {
        match self {
            Self::JsonHttp1 | Self::ProtobufHttp1 => false,
            Self::JsonHttp2 | Self::ProtobufHttp2 | Self::Grpc => true,
        }
    }

    /// What goes over the wire, such as `JSON over HTTP/1.1`.
    pub fn name(self) -> &'static str {
        match self {
            Self::JsonHttp1 => "JSON over HTTP/1.1",
            Self::JsonHttp2 => "JSON over HTTP/2",
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
        for arm in Arm::ALL {
            assert_eq!(serde_json::to_value(arm).unwrap(), arm.slug());
        }
    }
}
