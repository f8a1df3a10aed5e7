//! The client as a user runs it: what it prints, and the one line that says why there is no answer.

use proto::unary::{
    Message, MessageResponse,
    unary_server::{Unary, UnaryServer},
};
use rustix::process::Signal;
use tokio::net::{TcpListener, TcpSocket};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

#[path = "../../serving/tests/support/program.rs"]
mod program;
use program::{Running, program, run};

const CLIENT: &str = env!("CARGO_BIN_EXE_client");
/// No test may fail on a slow machine because the client gives up.
const PATIENT: &str = "--deadline=30s";

#[tokio::test]
async fn it_prints_the_request_and_the_answer() {
    let server = program(env!("CARGO_BIN_EXE_server"), &["--grpc-port", "0"]);
    let mut server = Running::start(server);
    assert_eq!(server.line().await, "Server is running...");
    let address = server.address("gRPC").await.to_string();
    let url = format!("http://{address}");
    for (args, message) in [
        (vec!["--address", &url, PATIENT], "Hello Server you there?"),
        (vec!["--address", &address, PATIENT, "x \"y\""], "x \"y\""),
        (vec!["--address", &url, "--deadline", "365days", ""], ""),
    ] {
        let ended = run(program(CLIENT, &args)).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.stderr, "");
        assert_eq!(
            ended.stdout,
            format!(
                "request: message: {message}\n\
                 answer: message: Hello I am up and running received \"{message}\" message from you\n\
                 answer: received: true\n"
            )
        );
    }
    server.signal(Signal::TERM);
    assert_eq!(server.end().await.code, Some(0));
}

/// Runs the client against `address` and returns its line of error.
async fn failure(address: &str, more: &[&str]) -> String {
    let args = [&["--address", address], more].concat();
    let ended = run(program(CLIENT, &args)).await;
    assert!(!ended.stdout.contains("answer"), "{ended:?}");
    ended.one_line_of_error().to_owned()
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_named() {
    for (address, reason) in [
        ("", "it is not a URL"),
        ("http://", "it is not a URL"),
        ("http://:50051", "it has no host"),
        ("http://a b:1", "it is not a URL"),
        ("ftp://localhost:1", "its scheme is not http"),
        ("localhost:0", "its port is not between 1 and 65535"),
        ("localhost:", "its port is not between 1 and 65535"),
        ("localhost:65536", "its port is not between 1 and 65535"),
        ("9:99999", "its port is not between 1 and 65535"),
    ] {
        let expected = format!(
            "error: {address:?} is not an address: {reason}; write it like http://localhost:50051"
        );
        assert_eq!(failure(address, &[PATIENT]).await, expected);
    }
}

#[tokio::test]
async fn a_host_that_nobody_knows_is_named() {
    // A label has at most 63 characters (RFC 1035), so no network is asked.
    let host = format!("{}.invalid", "a".repeat(64));
    assert_eq!(
        failure(&format!("http://{host}:1"), &[PATIENT]).await,
        format!("error: the host {host:?} is unknown; check its spelling in --address")
    );
}

#[tokio::test]
async fn a_refused_connection_names_the_address() {
    // Bound but not listening: nobody else can take the port meanwhile.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let expected = format!(
        "error: {address} refused the connection; is the server running there? (--address names \
         another)"
    );
    assert_eq!(
        failure(&format!("http://{address}"), &[PATIENT]).await,
        expected
    );
}

#[tokio::test]
async fn a_server_that_never_answers_costs_no_more_than_the_deadline() {
    // The system accepts the connection; nobody ever reads from it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    assert_eq!(
        failure(&address, &["--deadline", "200ms"]).await,
        "error: DEADLINE_EXCEEDED: no answer within 200ms; --deadline sets how long to wait"
    );
}

/// A server that answers each call with the status whose number is the message.
struct Refusing;

#[tonic::async_trait]
impl Unary for Refusing {
    async fn get_server_response(
        &self,
        request: Request<Message>,
    ) -> Result<Response<MessageResponse>, Status> {
        let code = request.into_inner().message.parse::<i32>();
        Err(Status::new(
            code.expect("the test sends numbers").into(),
            "no such\nthing",
        ))
    }
}

#[tokio::test]
async fn an_error_status_is_named_with_its_message_on_one_line() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::builder()
        .add_service(UnaryServer::new(Refusing))
        .serve_with_incoming(TcpIncoming::from(listener));
    let server = tokio::spawn(server);
    for (code, name) in [
        ("1", "CANCELLED"),
        ("5", "NOT_FOUND"),
        ("13", "INTERNAL"),
        ("16", "UNAUTHENTICATED"),
    ] {
        let expected = format!("error: the server answered {name}: no such thing");
        assert_eq!(failure(&address, &[PATIENT, code]).await, expected);
    }
    server.abort();
}

#[tokio::test]
async fn a_deadline_that_is_no_time_is_refused_with_an_example() {
    for deadline in ["0s", "5", "soon", "-1s", "20000years"] {
        let option = format!("--deadline={deadline}");
        let ended = run(program(CLIENT, &[&option])).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("--deadline"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_an_error_and_no_panic() {
    use std::{fs::File, io::pipe, process::Stdio};
    let full = || File::options().write(true).open("/dev/full");
    if full().is_err() {
        // Only Linux has it.
        return;
    }
    let nobody = [PATIENT, "--address", "localhost:1", "--retries", "0"];
    for args in [&nobody[..], &["--help"]] {
        let mut client = program(CLIENT, args);
        client.stdout(full().expect("it was there"));
        let ended = client.spawn().expect("cargo built it").wait_with_output();
        let ended = ended.await.expect("it ends");
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.contains("standard output cannot be written"), "{said}");
    }
    let (reader, writer) = pipe().expect("there are descriptors");
    drop(reader);
    for stderr in [Stdio::from(full().expect("it was there")), writer.into()] {
        let mut client = program(CLIENT, &nobody);
        client.stderr(stderr);
        let ended = client.spawn().expect("cargo built it").wait_with_output();
        let ended = ended.await.expect("it ends");
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    }
}

/// A server that tries to have the terminal of its caller do something.
struct Painting;

const PAINT: &str = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\ranswer: received: false";

#[tonic::async_trait]
impl Unary for Painting {
    async fn get_server_response(
        &self,
        request: Request<Message>,
    ) -> Result<Response<MessageResponse>, Status> {
        match request.into_inner().message.as_str() {
            "fail" => Err(Status::not_found(PAINT)),
            _ => Ok(Response::new(MessageResponse {
                message: PAINT.to_owned(),
                received: true,
            })),
        }
    }
}

#[tokio::test]
async fn nothing_that_a_server_says_is_obeyed_by_the_terminal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::builder()
        .add_service(UnaryServer::new(Painting))
        .serve_with_incoming(TcpIncoming::from(listener));
    let server = tokio::spawn(server);
    for asked in ["answer", "fail"] {
        let ended = run(program(CLIENT, &["--address", &address, PATIENT, asked])).await;
        for letter in ended.stdout.chars().chain(ended.stderr.chars()) {
            let is_active = (letter.is_control() && letter != '\n') || letter == '\u{202e}';
            assert!(!is_active, "{ended:?}");
        }
        assert!(format!("{ended:?}").contains("owned"), "{ended:?}");
    }
    server.abort();
}
