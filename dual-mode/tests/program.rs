//! The server as a user runs it: what it prints, how it fails, how it ends.

use std::{net::SocketAddr, process::Stdio};

use proto::rest_grpc_dual_mode::{
    RequestMessage, greetings_generator_client::GreetingsGeneratorClient,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::Command,
    time::timeout,
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
#[path = "../../serving/tests/support/program.rs"]
mod program;
#[path = "common/started.rs"]
mod started;
use common::{Answer, http};
use program::{PATIENCE, program, run};
use started::start;

const DUAL_MODE: &str = env!("CARGO_BIN_EXE_dual-mode");
const GREETING: &str = "GET /v1/get_greetings?messageType=Diwali&year=2023";

async fn greet_both(rest: SocketAddr, grpc: SocketAddr) {
    assert_eq!(http(rest, GREETING, "", "").await.status, 200);
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
    for (args, logged, frames) in [
        (&[][..], false, false),
        (&["--log", "debug"], true, false),
        (&["--log", "debug,h2=debug"], true, true),
    ] {
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
        assert_eq!(ended.stderr.contains("h2::codec"), frames, "{args:?}");
    }
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_no_call() {
    let (server, rest, grpc) = start(&["--log", "debug"]).await;
    // Several times what a pipe holds, 64 KiB: nothing reads the log until the server is told to end.
    let calls = async {
        for _ in 0..1000 {
            greet_both(rest, grpc).await;
        }
    };
    let answered = tokio::time::timeout(PATIENCE, calls).await;
    answered.expect("calls should be answered");
    server.signal(Signal::TERM);
    let ended = server.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.len() > 128 * 1024, "{}", ended.stderr.len());
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

/// A POST whose body never comes whole: a call that does not end by itself.
async fn half_a_call(rest: SocketAddr, headers: &str) -> TcpStream {
    let mut connection = TcpStream::connect(rest).await.expect("it listens");
    let head = format!(
        "POST /v1/get_greetings HTTP/1.1\r\nhost: {rest}\r\nconnection: close\r\n{headers}\
         content-length: 100\r\n\r\n{{"
    );
    connection
        .write_all(head.as_bytes())
        .await
        .expect("it reads");
    connection
}

/// Opens half calls until one has taken the only place, and returns them and how the call too many is
/// refused.
async fn overload(rest: SocketAddr) -> (Vec<TcpStream>, Answer) {
    let mut halves = Vec::new();
    loop {
        halves.push(half_a_call(rest, "").await);
        let answer = http(rest, GREETING, "", "").await;
        if answer.status != 200 {
            return (halves, answer);
        }
    }
}

#[tokio::test]
async fn calls_that_outlast_the_grace_are_cut_and_the_exit_code_says_so() {
    let options = ["--grace", "1s", "--body-pause", "1m", "--max-calls", "1"];
    let (server, rest, _) = start(&options).await;
    let _halves = overload(rest).await;
    server.signal(Signal::TERM);
    let ended = server.end().await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert_eq!(
        last,
        "error: REST was cut 1s after its listener closed; calls still open: 1"
    );
}

/// A pipe that is full, whose other end is not read while the first lives.
fn unread_pipe() -> (std::io::PipeReader, Stdio) {
    let (reader, writer) = std::io::pipe().expect("there is a descriptor");
    let mut filled = writer.try_clone().expect("there is a descriptor");
    // It waits for room until the test has ended.
    std::thread::spawn(move || while std::io::Write::write(&mut filled, &[b'x'; 4096]).is_ok() {});
    (reader, writer.into())
}

#[tokio::test]
async fn whoever_does_not_read_what_it_says_does_not_keep_it() {
    let options = [
        "--rest-port",
        "0",
        "--grpc-port",
        "0",
        "--admin-port",
        "0",
        "--grace",
        "1s",
        "--body-pause",
        "1m",
        "--max-calls",
        "1",
    ];
    let (_reader, unread) = unread_pipe();
    let full = std::fs::File::create("/dev/full").unwrap();
    for standard_error in [unread, full.into()] {
        let mut command = Command::new(DUAL_MODE);
        command
            .args(options)
            .env_clear()
            .kill_on_drop(true)
            .stdout(Stdio::piped())
            .stderr(standard_error);
        let mut server = command.spawn().unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let rest = lines.next_line().await.unwrap().unwrap();
        let rest = rest.strip_prefix("REST on ").unwrap().parse().unwrap();
        let _halves = overload(rest).await;
        let id = i32::try_from(server.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
        let ended = timeout(PATIENCE, server.wait()).await;
        assert_eq!(ended.unwrap().unwrap().code(), Some(3));
    }
}

#[tokio::test]
async fn whoever_has_seen_enough_of_the_limits_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = program(DUAL_MODE, &["--print-limits"]);
    let status = command.stdout(writer).status().await.unwrap();
    assert_eq!(status.code(), Some(0));

    let full = std::fs::File::create("/dev/full").unwrap();
    let mut command = program(DUAL_MODE, &["--print-limits"]);
    let output = command.stdout(full).spawn().unwrap();
    let output = output.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.starts_with("error: the limits cannot be printed: "),
        "{error}"
    );
}

#[tokio::test]
async fn probes_turn_before_the_listeners_close() {
    let (server, rest, grpc) = start(&["--drain-pause", "20s"]).await;
    let channel = serving::client::connect(&grpc.to_string()).await;
    let mut health = HealthClient::new(channel.expect("it listens"));
    for (path, code, body) in [
        ("/healthz", 200, r#"{"status":"SERVING"}"#),
        ("/readyz", 200, r#"{"status":"SERVING"}"#),
    ] {
        let answer = http(rest, &format!("GET {path}"), "", "").await;
        assert_eq!((answer.status, answer.body.as_str()), (code, body));
    }
    let watched = health.watch(HealthCheckRequest::default()).await;
    let mut watched = watched.unwrap().into_inner();
    let mut next = async || watched.message().await.unwrap().unwrap().status();
    assert_eq!(next().await, ServingStatus::Serving);
    server.signal(Signal::TERM);
    assert_eq!(next().await, ServingStatus::NotServing);

    // The pause goes on: both still serve, and say that they are about to go.
    let ready = http(rest, "GET /readyz", "", "").await;
    assert_eq!(ready.status, 503, "{ready:?}");
    assert_eq!(ready.body, r#"{"status":"NOT_SERVING"}"#);
    assert_eq!(http(rest, "GET /healthz", "", "").await.status, 200);
    greet_both(rest, grpc).await;
    let ended = server.end_by(Signal::TERM).await;
    assert_eq!(ended.code, Some(130), "a second signal ends it at once");
}

#[tokio::test]
async fn what_the_server_refuses_over_rest_is_a_problem_too() {
    let (server, rest, _) = start(&["--max-calls", "1", "--body-pause", "1m"]).await;
    let (halves, overloaded) = overload(rest).await;
    assert_eq!(overloaded.status, 503, "{overloaded:?}");
    assert_eq!(overloaded.header("retry-after"), Some("1"));
    let malformed = http(rest, GREETING, "grpc-timeout: soon\r\n", "").await;
    assert_eq!(malformed.status, 400, "{malformed:?}");
    let long = format!("GET /{}", "x".repeat(9 * 1024));
    let too_long = http(rest, &long, "", "").await;
    assert_eq!(too_long.status, 414, "{too_long:?}");
    for problem in [overloaded, malformed, too_long] {
        let kind = problem.header("content-type");
        assert_eq!(kind, Some("application/problem+json"), "{problem:?}");
    }
    drop(halves);
    // Until its place is free again, the next is refused too.
    let mut late = String::new();
    while late.is_empty() || late.starts_with("HTTP/1.1 503 ") {
        late.clear();
        let mut half = half_a_call(rest, "grpc-timeout: 300m\r\n").await;
        half.read_to_string(&mut late).await.unwrap();
    }
    assert!(late.starts_with("HTTP/1.1 504 "), "{late}");
    assert!(late.contains("application/problem+json"), "{late}");
    server.signal(Signal::TERM);
    assert_eq!(server.end().await.code, Some(0));
}

#[tokio::test]
async fn an_empty_variable_is_none_and_one_of_a_flag_may_say_no() {
    let ports = ["--rest-port", "0", "--admin-port", "off"];
    for (variables, is_one_port) in [
        (
            &[("ONE_PORT", "0"), ("GRPC_URL", "http://localhost:1")][..],
            false,
        ),
        (&[("ONE_PORT", "false")], false),
        (&[("ONE_PORT", "")], false),
        (&[("ONE_PORT", "1")], true),
        (&[("ONE_PORT", "true")], true),
        (
            &[
                ("BIND_ADDRESS", ""),
                ("MAX_CALLS", ""),
                ("MAX_CALL", ""),
                ("CORS_ORIGIN", ""),
                ("ALLOWED_HOST", ""),
                ("PUBLIC_ORIGIN", ""),
                ("GRPC_URL", ""),
                ("TLS_CERT", ""),
                ("TLS_KEY", ""),
                ("RUST_LOG", ""),
                ("LOG_FORMAT", ""),
                ("ADMIN_BIND_ADDRESS", ""),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
                ("NO_TELEMETRY", ""),
                ("TRACE_SAMPLE", ""),
            ],
            false,
        ),
    ] {
        let mut command = program(DUAL_MODE, &ports);
        command
            .env("GRPC_PORT", "0")
            .envs(variables.iter().copied());
        let mut server = program::Running::start(command);
        let rest = server.address("REST").await;
        let grpc = server.address("gRPC").await;
        assert_eq!(rest == grpc, is_one_port, "{variables:?}");
        greet_both(rest, grpc).await;
        server.signal(Signal::TERM);
        assert_eq!(server.end().await.code, Some(0));
    }
    let mut command = program(DUAL_MODE, &ports);
    command.env("GRPC_PORT", "0").env("ONE_PORT", "perhaps");
    let ended = run(command).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
}
