//! The server as a user runs it: what it prints, how it fails, how it ends.

use std::net::SocketAddr;

use proto::rest_grpc_dual_mode::{
    RequestMessage, greetings_generator_client::GreetingsGeneratorClient,
};
use rustix::process::Signal;
use tokio::net::{TcpListener, TcpStream};

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
#[path = "../../serving/tests/support/program.rs"]
mod program;
use common::http;
use program::{Running, program, run};

const DUAL_MODE: &str = env!("CARGO_BIN_EXE_dual-mode");
const ANY: [&str; 6] = [
    "--rest-port",
    "0",
    "--grpc-port",
    "0",
    "--admin-port",
    "off",
];

async fn start(more: &[&str]) -> (Running, SocketAddr, SocketAddr) {
    let mut server = Running::start(program(DUAL_MODE, &[&ANY, more].concat()));
    let rest = server.address("REST").await;
    let grpc = server.address("gRPC").await;
    (server, rest, grpc)
}

async fn greet_both(rest: SocketAddr, grpc: SocketAddr) {
    let path = "GET /v1/get_greetings?messageType=Diwali&year=2023";
    assert_eq!(http(rest, path, "", "").await.status, 200);
    let channel = serving::client::connect(&grpc.to_string()).await;
    let mut stub = GreetingsGeneratorClient::new(channel.expect("it listens"));
    let request = RequestMessage {
        data_comm_type: "pigeon".into(),
        message_type: "Holi".into(),
        year: 2021,
    };
    let answer = stub.grpc_get_greetings(request).await;
    answer.expect("the request is right");
}

#[tokio::test]
async fn it_says_where_both_listen_and_either_signal_ends_both_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let (server, rest, grpc) = start(&[]).await;
        assert!(rest.ip().is_loopback() && grpc.ip().is_loopback());
        greet_both(rest, grpc).await;
        server.signal(signal);
        let ended = server.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        for address in [rest, grpc] {
            let refused = TcpStream::connect(address).await.unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        }
    }
}

#[tokio::test]
async fn a_taken_port_is_named_with_its_listener_and_its_option() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let port = address.port().to_string();
    for (listener, flag, variable) in [
        ("REST", "--rest-port", "REST_PORT"),
        ("gRPC", "--grpc-port", "GRPC_PORT"),
    ] {
        let mut by_flag = program(DUAL_MODE, &[flag, &port]);
        by_flag.env("REST_PORT", "0").env("GRPC_PORT", "0");
        let mut by_variable = program(DUAL_MODE, &[]);
        by_variable.env("REST_PORT", "0").env("GRPC_PORT", "0");
        by_variable.env(variable, &port);
        for command in [by_flag, by_variable] {
            let ended = run(command).await;
            assert_eq!(
                ended.one_line_of_error(),
                format!(
                    "error: {listener} cannot listen on {address}: the port is taken; stop what \
                     uses it, or choose another with {flag}"
                )
            );
            assert_eq!(ended.stdout, "", "it must not say that it listens");
        }
    }
}

#[tokio::test]
async fn a_request_is_logged_when_asked_for_and_prints_nothing_otherwise() {
    for (args, logged) in [(&[][..], false), (&["--log", "debug"], true)] {
        let (server, rest, grpc) = start(args).await;
        greet_both(rest, grpc).await;
        server.signal(Signal::TERM);
        let ended = server.end().await;
        assert_eq!(ended.stdout, "");
        // As the original logs it: how the caller came, or says that it came.
        for line in [
            "REST: Here is your greetings --> Today is a special day! (Diwali, 2023)",
            "pigeon: Here is your greetings --> Today is a special day! (Holi, 2021)",
        ] {
            assert_eq!(ended.stderr.contains(line), logged, "{}", ended.stderr);
        }
    }
}

#[tokio::test]
async fn idle_connections_do_not_keep_the_server() {
    let (server, rest, grpc) = start(&[]).await;
    let _rest = TcpStream::connect(rest).await.unwrap();
    let _grpc = serving::client::connect(&grpc.to_string()).await.unwrap();
    // A later connection was accepted, so the idle ones were too.
    greet_both(rest, grpc).await;
    server.signal(Signal::TERM);
    let ended = server.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
