//! A batch of more requests than are taken is refused before all of them are held.
#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
#[path = "../../serving/tests/support/program.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod program;
#[path = "common/started.rs"]
mod started;

use std::fs;

use common::wire::{To, Wire};
use program::Running;
use rustix::process::Signal;
use started::start;

const BATCH: &str = "POST /v1/get_greetings:batch";
const METHOD: &str = "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetingsBatch";

/// Bytes of a body, the most that are taken.
const MESSAGE: usize = 4 * 1024 * 1024;

/// The most bytes that a body may make a server hold: itself, and as much again while it comes.
/// Requests of fifty bytes, one of each two or three of a body, would take twenty times as many.
const MOST: usize = 5 * MESSAGE;

/// The most bytes that were resident at once so far.
fn peak(server: &Running) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id()));
    let status = status.expect("the server should still live");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.map(|peak| peak.trim().trim_end_matches(" kB").parse::<usize>());
    kib.expect("a peak").expect("a number of KiB") * 1024
}

#[tokio::test]
async fn a_body_of_tiny_requests_is_not_held_as_requests() {
    let json = format!(r#"{{"requests":[{}{{}}]}}"#, "{},".repeat(MESSAGE / 3 - 10));
    let protobuf = [0x0a, 0].repeat(MESSAGE / 2);
    for (what, body) in [
        ("JSON", json.into_bytes()),
        ("protobuf", protobuf.clone()),
        ("gRPC", protobuf),
    ] {
        let (server, rest, grpc) = start(&[]).await;
        let mut wire = Wire::to_addresses(rest, grpc).await;
        let before = peak(&server);
        let answer = match what {
            "JSON" => wire.send(To::Rest1, BATCH, &[], body).await,
            "protobuf" => {
                let form = [("content-type", "application/protobuf")];
                wire.send(To::Rest1, BATCH, &form, body).await
            }
            _ => wire.grpc(METHOD, &[], &body).await,
        };
        let grown = peak(&server) - before;
        let said = match what {
            "gRPC" => answer.header("grpc-message").replace("%20", " "),
            _ => answer.json()["detail"].to_string(),
        };
        assert!(
            said.contains("requests must be 1 to 1000 in number"),
            "{answer:?}"
        );
        assert!(grown < MOST, "{what}: {} MiB", grown >> 20);
        server.end_by(Signal::TERM).await;
    }
}
