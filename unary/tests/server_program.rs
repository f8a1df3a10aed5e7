//! The server as a user runs it: what it prints, how it fails, how it ends.

use rustix::process::Signal;
use serving::retry::Retry;
use tokio::net::{TcpListener, TcpStream};

#[path = "../../serving/tests/support/program.rs"]
mod program;
use program::{Running, program, run};

const SERVER: &str = env!("CARGO_BIN_EXE_server");

#[tokio::test]
async fn it_says_that_it_runs_and_where_and_either_signal_ends_it_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Running::start(program(SERVER, &["--grpc-port", "0"]));
        assert_eq!(server.line().await, "Server is running...");
        let address = server.address("gRPC").await;
        assert!(address.ip().is_loopback(), "{address}");
        let answer = unary::ask(
            &address.to_string(),
            "hi".into(),
            program::PATIENCE,
            Retry::default(),
        )
        .await;
        assert!(answer.unwrap().received);

        server.signal(signal);
        let ended = server.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.stdout, "");
        let refused = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn it_outlives_its_terminal_where_it_was_told_to() {
    // A child takes over what its parent ignores, as with nohup.
    let ignoring = [
        "-c",
        "trap '' HUP; exec \"$@\"",
        "sh",
        SERVER,
        "--grpc-port",
        "0",
    ];
    let mut server = Running::start(program("/bin/sh", &ignoring));
    server.line().await;
    let address = server.address("gRPC").await.to_string();
    server.signal(Signal::HUP);
    let answer = unary::ask(&address, "hi".into(), program::PATIENCE, Retry::default()).await;
    assert!(answer.unwrap().received);
    server.signal(Signal::TERM);
    assert_eq!(server.end().await.code, Some(0));
}

#[tokio::test]
async fn a_taken_port_is_named_together_with_the_option_that_chooses_another() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let port = address.port().to_string();
    let by_flag = program(SERVER, &["--grpc-port", &port]);
    let mut by_variable = program(SERVER, &[]);
    by_variable.env("GRPC_PORT", &port);
    for command in [by_flag, by_variable] {
        let ended = run(command).await;
        assert_eq!(
            ended.one_line_of_error(),
            format!(
                "error: gRPC cannot listen on {address}: the port is taken; stop what uses it, or \
                 choose another with --grpc-port"
            )
        );
        assert_eq!(ended.stdout, "", "it must not say that it runs");
    }
}

#[tokio::test]
async fn a_flag_wins_over_its_environment_variable() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut command = program(SERVER, &["--grpc-port", "0"]);
    command.env("GRPC_PORT", port);
    let mut server = Running::start(command);
    assert_eq!(server.line().await, "Server is running...");
    server.address("gRPC").await;
    server.signal(Signal::TERM);
    assert_eq!(server.end().await.code, Some(0));
}

#[tokio::test]
async fn options_that_cannot_be_used_are_named() {
    for (args, named) in [
        (["--grpc-port", "70000"], "--grpc-port"),
        (["--grpc-port", "http"], "--grpc-port"),
        (["--bind", "localhost"], "--bind"),
        (["--grpc-max-workers", "0"], "--grpc-max-workers"),
        (["--log", "info,=,"], "--log"),
        (["--log", "debgu"], "\"debgu\" is no level"),
        (["--log-format", "xml"], "--log-format"),
        // 192.0.2.0/24 is nobody's address (RFC 5737).
        (["--bind", "192.0.2.1"], "192.0.2.1:50051"),
    ] {
        let ended = run(program(SERVER, &args)).await;
        assert!(!matches!(ended.code, None | Some(0)), "{ended:?}");
        assert!(ended.stderr.contains(named), "{args:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[tokio::test]
async fn the_json_log_is_one_object_a_line_on_standard_error() {
    let args = [
        "--grpc-port",
        "0",
        "--log-format",
        "json",
        "--log",
        "info,unary=debug",
    ];
    let mut server = Running::start(program(SERVER, &args));
    assert_eq!(server.line().await, "Server is running...");
    let address = server.address("gRPC").await.to_string();
    let asked = unary::ask(
        &address,
        "two\nlines".into(),
        program::PATIENCE,
        Retry::default(),
    )
    .await;
    asked.unwrap();
    server.signal(Signal::INT);
    let ended = server.end().await;
    let log: Vec<serde_json::Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line} is not JSON")))
        .collect();
    for (field, value) in [("text", "two\nlines"), ("signal", "SIGINT")] {
        assert!(log.iter().any(|line| line[field] == value), "{log:?}");
    }
    assert!(log.iter().all(|line| line["level"].is_string()), "{log:?}");
}
