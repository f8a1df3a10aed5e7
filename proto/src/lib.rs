//! The contracts of this workspace: messages, clients and servers generated from the `.proto` files
//! beside this crate, and each contract's encoded `FileDescriptorSet` for gRPC server reflection.
//!
//! There is no logic here. A contract may grow (new methods, new fields); nothing in it may change
//! or go, which `tests/frozen.rs` holds.

/// `unary.Unary`: one request, one answer.
#[allow(
    missing_docs,
    reason = "generated: the comments of the .proto are the documentation"
)]
pub mod unary {
    tonic::include_proto!("unary");

    /// The encoded `FileDescriptorSet` of this contract.
    pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/unary.bin"));
}

/// `bidirectional.Bidirectional`: two streams that run independently.
#[allow(
    missing_docs,
    reason = "generated: the comments of the .proto are the documentation"
)]
pub mod bidirectional {
    tonic::include_proto!("bidirectional");

    /// The encoded `FileDescriptorSet` of this contract.
    pub const FILE_DESCRIPTOR_SET: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/bidirectional.bin"));
}

/// `rest_grpc_dual_mode.GreetingsGenerator`: the greeting that dual-mode serves over REST too.
#[allow(
    missing_docs,
    reason = "generated: the comments of the .proto are the documentation"
)]
pub mod rest_grpc_dual_mode {
    tonic::include_proto!("rest_grpc_dual_mode");

    /// The encoded `FileDescriptorSet` of this contract.
    pub const FILE_DESCRIPTOR_SET: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/rest_grpc_dual_mode.bin"));
}
