//! The server as a user runs it: how it ends while streams are open, and how it fails.

use proto::bidirectional::{Message, bidirectional_client::BidirectionalClient};
use rustix::process::Signal;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

#[path = "../../serving/tests/support/program.rs"]
mod program;
use program::{PATIENCE, Running, program, run};

const SERVER: &str = env!("CARGO_BIN_EXE_server");

/// Starts a server, opens a call on it, tells it to stop, and waits until it is stopping.
async fn stopping_with_an_open_call(
    pause: &str,
) -> (Running, mpsc::Sender<Message>, Streaming<Message>) {
    let args = ["--grpc-port", "0", "--drain-pause", pause];
    let mut server = Running::start(program(SERVER, &args));
    assert_eq!(server.line().await, "Server is running...");
    let address = server.address("gRPC").await.to_string();
    let channel = serving::client::connect(&address).await;
    let channel = channel.expect("the server listens");

    let (client, messages) = mpsc::channel(1);
    let mut stub = BidirectionalClient::new(channel.clone());
    let call = stub.get_server_response(ReceiverStream::new(messages));
    let answers = call.await.expect("the call is taken").into_inner();

    let mut health = HealthClient::new(channel);
    let watch = health.watch(HealthCheckRequest::default()).await;
    let mut watch = watch.expect("the call is taken").into_inner();
    let mut status = async || {
        let update = timeout(PATIENCE, watch.message()).await;
        let update = update.expect("an update should come");
        update.expect("the server still runs").map(|u| u.status())
    };
    assert_eq!(status().await, Some(ServingStatus::Serving));
    server.signal(Signal::TERM);
    assert_eq!(status().await, Some(ServingStatus::NotServing));
    (server, client, answers)
}

#[tokio::test]
async fn a_call_that_ends_in_the_drain_pause_is_finished_and_the_server_ends_well() {
    let (server, client, mut answers) = stopping_with_an_open_call("8s").await;
    let text = "sent after the signal".to_owned();
    let question = Message { message: text };
    client.send(question.clone()).await.unwrap();
    let answer = timeout(PATIENCE, answers.message()).await.unwrap();
    assert_eq!(answer.unwrap(), Some(question));
    drop(client);
    let end = timeout(PATIENCE, answers.message()).await.unwrap();
    assert_eq!(end.unwrap(), None);
    let ended = server.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
}

#[tokio::test]
async fn a_second_signal_ends_the_server_at_once() {
    let (server, _client, _answers) = stopping_with_an_open_call("1h").await;
    let ended = server.end_by(Signal::INT).await;
    assert_eq!(ended.code, Some(130), "{ended:?}");
}

#[tokio::test]
async fn a_call_that_never_ends_is_told_that_the_server_goes_away() {
    let (server, _client, mut answers) = stopping_with_an_open_call("0s").await;
    let end = timeout(PATIENCE, answers.message()).await.unwrap();
    assert_eq!(end.unwrap_err().code(), tonic::Code::Unavailable);
    let ended = server.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test]
async fn an_idle_connection_does_not_keep_the_server() {
    let mut server = Running::start(program(SERVER, &["--grpc-port", "0"]));
    assert_eq!(server.line().await, "Server is running...");
    let address = server.address("gRPC").await;
    let _idle = serving::client::connect(&address.to_string())
        .await
        .unwrap();
    server.signal(Signal::TERM);
    let ended = server.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_taken_port_and_an_unknown_order_are_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let port = address.port().to_string();
    let ended = run(program(SERVER, &["--grpc-port", &port])).await;
    let error = ended.one_line_of_error();
    let start = format!("error: gRPC cannot listen on {address}: the port is taken");
    assert!(error.starts_with(&start), "{error}");
    assert!(error.contains("--grpc-port"), "{error}");

    assert_eq!(ended.stdout, "", "it must not say that it runs");

    let ended = run(program(SERVER, &["--order", "random"])).await;
    assert_eq!(ended.code, Some(2));
    for order in ["each", "pairs", "after-half-close"] {
        assert!(ended.stderr.contains(order), "{}", ended.stderr);
    }
}
