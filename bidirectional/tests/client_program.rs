//! The client as a user runs it, against our server: the order of its lines.

use std::{
    io::{Write, pipe},
    net::SocketAddr,
};

use bidirectional::conversation::MESSAGES;
use rustix::process::Signal;

#[path = "../../serving/tests/support/program.rs"]
mod program;
use program::{Running, program, run};

const CLIENT: &str = env!("CARGO_BIN_EXE_client");
/// No test may fail on a slow machine because the client gives up.
const PATIENT: &str = "--deadline=30s";

async fn server(order: &str) -> (Running, SocketAddr) {
    let args = ["--grpc-port", "0", "--order", order];
    let mut server = Running::start(program(env!("CARGO_BIN_EXE_server"), &args));
    assert_eq!(server.line().await, "Server is running...");
    let address = server.address("gRPC").await;
    (server, address)
}

async fn stop(server: Running) {
    server.signal(Signal::TERM);
    let ended = server.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
}

/// Runs the client to its good end and returns what it printed.
async fn lines(address: SocketAddr, more: &[&str]) -> Vec<String> {
    let url = format!("http://{address}");
    let ended = run(program(
        CLIENT,
        &[&["--address", &url, PATIENT], more].concat(),
    ))
    .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout.lines().map(str::to_owned).collect()
}

fn sent(message: &str) -> String {
    format!("Hello Server Sending you the {message}")
}

fn answered(message: &str) -> String {
    format!("Hello from the server received your {message}")
}

#[tokio::test]
async fn by_default_the_five_messages_and_their_answers_alternate() {
    let (server, address) = server("each").await;
    // The client moves on as soon as it is answered; its patience only bounds a slow machine.
    let printed = lines(address, &["--patience", "30s"]).await;
    assert_eq!(
        printed.join("\n"),
        "Hello Server Sending you the First message\n\
         Hello from the server received your First message\n\
         Hello Server Sending you the Second message\n\
         Hello from the server received your Second message\n\
         Hello Server Sending you the Third message\n\
         Hello from the server received your Third message\n\
         Hello Server Sending you the Fourth message\n\
         Hello from the server received your Fourth message\n\
         Hello Server Sending you the Fifth message\n\
         Hello from the server received your Fifth message"
    );
    stop(server).await;
}

#[tokio::test]
async fn after_the_half_close_five_messages_are_sent_and_then_five_answers_come() {
    let (server, address) = server("after-half-close").await;
    let printed = lines(address, &["--patience", "1ms"]).await;
    let expected = [MESSAGES.map(sent), MESSAGES.map(answered)].concat();
    assert_eq!(printed, expected);
    stop(server).await;
}

#[tokio::test]
async fn in_pairs_no_answer_comes_before_its_pair_is_sent() {
    let (server, address) = server("pairs").await;
    let printed = lines(address, &["--patience", "1ms"]).await;
    let place = |line: String| printed.iter().position(|printed| *printed == line);
    let sent = MESSAGES.map(|message| place(sent(message)).expect("it is sent"));
    let answered = MESSAGES.map(|message| place(answered(message)).expect("it is answered"));
    assert_eq!(printed.len(), 10, "{printed:?}");
    assert!(sent.is_sorted() && answered.is_sorted(), "{printed:?}");
    for (answer, end_of_pair) in [(0, 1), (1, 1), (2, 3), (3, 3), (4, 4)] {
        assert!(answered[answer] > sent[end_of_pair], "{printed:?}");
    }
    stop(server).await;
}

#[tokio::test]
async fn the_messages_can_be_given_on_the_command_line() {
    let (server, address) = server("each").await;
    let printed = lines(address, &["--patience", "30s", "one", "two words", ""]).await;
    let expected: Vec<_> = ["one", "two words", ""]
        .into_iter()
        .flat_map(|message| [sent(message), answered(message)])
        .collect();
    assert_eq!(printed, expected);
    stop(server).await;
}

#[tokio::test]
async fn typed_lines_are_answered_as_each_is_typed() {
    let (server, address) = server("each").await;
    let (input, mut typing) = pipe().unwrap();
    let address = address.to_string();
    let mut command = program(CLIENT, &["--address", &address, PATIENT, "--interactive"]);
    command.stdin(input);
    let mut client = Running::start(command);
    // The second line ends as a file of Windows does, and is not all UTF-8.
    for (typed, message) in [(&b"one\n"[..], "one"), (b"tw\xff\r\n", "tw\u{fffd}")] {
        typing.write_all(typed).unwrap();
        assert_eq!(client.line().await, sent(message));
        assert_eq!(client.line().await, answered(message));
    }
    typing.write_all(b"no line break").unwrap();
    drop(typing);
    let ended = client.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let last = [sent("no line break"), answered("no line break")].join("\n");
    assert_eq!(ended.stdout.trim_end(), last);
    stop(server).await;
}

#[tokio::test]
async fn a_client_or_a_server_that_is_killed_is_missed_by_the_other_only() {
    for client_dies in [true, false] {
        let (server, address) = server("each").await;
        let (input, mut typing) = pipe().unwrap();
        let address = address.to_string();
        let mut command = program(CLIENT, &["--address", &address, PATIENT, "--interactive"]);
        command.stdin(input);
        let mut client = Running::start(command);
        typing.write_all(b"one\n").unwrap();
        assert_eq!(client.line().await, sent("one"));
        assert_eq!(client.line().await, answered("one"));
        if client_dies {
            client.signal(Signal::KILL);
            assert_eq!(client.end().await.code, None);
            stop(server).await;
        } else {
            server.signal(Signal::KILL);
            assert_eq!(server.end().await.code, None);
            let ended = client.end().await;
            let error = ended.one_line_of_error();
            assert!(error.starts_with("error: "), "{error}");
        }
    }
}
