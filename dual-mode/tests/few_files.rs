//! A server whose process may open few files, under many connections that do nothing.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use rustix::process::Signal;
use tokio::{net::TcpStream, time::timeout};

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "../../serving/tests/support/program.rs"]
mod program;
use common::http;
use program::{PATIENCE, Running, program};

const DUAL_MODE: &str = env!("CARGO_BIN_EXE_dual-mode");

/// The program with a soft and a hard limit of files, and where its REST, gRPC and metrics are.
async fn start(soft: u32, hard: u32) -> (Running, [SocketAddr; 3]) {
    let script = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"");
    let options = ["--rest-port", "0", "--grpc-port", "0", "--admin-port", "0"];
    let args = [&["-c", &script, DUAL_MODE][..], &options].concat();
    let mut server = Running::start(program("/bin/sh", &args));
    let rest = server.address("REST").await;
    let grpc = server.address("gRPC").await;
    let metrics = server.address("metrics").await;
    (server, [rest, grpc, metrics])
}

/// Connections that do nothing, each from an address of its own.
async fn idle(to: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut idle = Vec::new();
    for number in 0..count {
        let socket = tokio::net::TcpSocket::new_v4().expect("there is a descriptor");
        let [_, _, high, low] = (number as u32 + 256).to_be_bytes();
        let from = IpAddr::V4(Ipv4Addr::new(127, 1, high, low));
        // Linux has all of 127.0.0.0/8; where another system has one address, that will do.
        let _ = socket.bind((from, 0).into());
        let stream = timeout(PATIENCE, socket.connect(to)).await;
        idle.push(stream.expect("it should connect").expect("it listens"));
    }
    idle
}

#[tokio::test]
async fn idle_connections_up_to_the_soft_limit_stop_no_port() {
    // The test needs descriptors too.
    let (server, ports) = start(256, 1024).await;
    let [rest, grpc, _] = ports;
    let idle = [idle(rest, 200).await, idle(grpc, 200).await];
    for port in ports {
        let answer = timeout(Duration::from_secs(5), http(port, "GET /healthz", "", "")).await;
        let status = answer.expect("it should answer").status;
        assert!(status == 200 || port == grpc && status == 415, "{status}");
    }
    drop(idle);
    server.signal(Signal::TERM);
    let ended = server.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test]
async fn a_hard_limit_lowers_the_caps_and_keeps_the_admin_port_answering() {
    let (server, [rest, grpc, metrics]) = start(128, 128).await;
    let idle = [idle(rest, 128).await, idle(grpc, 128).await];
    let answer = timeout(
        Duration::from_secs(5),
        http(metrics, "GET /healthz", "", ""),
    )
    .await;
    assert_eq!(answer.expect("it should answer").status, 200);
    drop(idle);
    server.signal(Signal::TERM);
    let ended = server.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lowered = ended
        .stderr
        .matches("each listener takes fewer connections");
    assert_eq!(lowered.count(), 1, "{}", ended.stderr);
    let failed = "no connection can be accepted";
    assert!(!ended.stderr.contains(failed), "{}", ended.stderr);
}
