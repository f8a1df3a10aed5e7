//! The program on free ports, for the test files that have `program` at their root.

use std::net::SocketAddr;

use crate::program::{Running, program};

pub(crate) const DUAL_MODE: &str = env!("CARGO_BIN_EXE_dual-mode");
pub(crate) const FREE: [&str; 6] = [
    "--rest-port",
    "0",
    "--grpc-port",
    "0",
    "--admin-port",
    "off",
];

/// dual-mode with `more` options, and where its REST and its gRPC listen.
pub(crate) async fn start(more: &[&str]) -> (Running, SocketAddr, SocketAddr) {
    let mut server = Running::start(program(DUAL_MODE, &[&FREE, more].concat()));
    let rest = server.address("REST").await;
    let grpc = server.address("gRPC").await;
    (server, rest, grpc)
}
