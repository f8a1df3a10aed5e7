//! The call itself, over a real socket: what is answered, and what the client tells the server.

use std::time::Duration;

use proto::unary::{
    Message, MessageResponse,
    unary_server::{Unary, UnaryServer},
};
use serving::{CancellationToken, retry::Retry};
use tokio::{net::TcpListener, sync::mpsc, time::timeout};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

const PATIENCE: Duration = Duration::from_secs(120);

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    (listener, address)
}

#[tokio::test]
async fn the_answer_quotes_the_message_and_says_that_it_was_received() {
    let (listener, address) = listen().await;
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(unary::serve(listener, shutdown.clone()));
    for (message, answer) in [
        (
            "Hello Server you there?",
            "Hello I am up and running received \"Hello Server you there?\" message from you",
        ),
        (
            "",
            "Hello I am up and running received \"\" message from you",
        ),
        (
            "नमस्ते 👋",
            "Hello I am up and running received \"नमस्ते 👋\" message from you",
        ),
        (
            "say \"hi\" {message}\n\\",
            "Hello I am up and running received \"say \"hi\" {message}\n\\\" message from you",
        ),
    ] {
        let given = unary::ask(&address, message.to_owned(), PATIENCE, Retry::default()).await;
        let expected = MessageResponse {
            message: answer.to_owned(),
            received: true,
        };
        assert_eq!(given.unwrap(), expected);
    }
    shutdown.cancel();
    let ended = timeout(PATIENCE, server).await;
    ended.expect("the server should end").unwrap().unwrap();
}

/// A server that passes on the `grpc-timeout` header of each call.
struct Recorder(mpsc::UnboundedSender<Option<String>>);

#[tonic::async_trait]
impl Unary for Recorder {
    async fn get_server_response(
        &self,
        request: Request<Message>,
    ) -> Result<Response<MessageResponse>, Status> {
        let header = request.metadata().get("grpc-timeout");
        let header = header.and_then(|value| Some(value.to_str().ok()?.to_owned()));
        self.0.send(header).expect("the test listens to the end");
        Ok(Response::new(MessageResponse::default()))
    }
}

#[tokio::test]
async fn the_server_is_told_the_deadline() {
    let (listener, address) = listen().await;
    let (sender, mut headers) = mpsc::unbounded_channel();
    let server = Server::builder()
        .add_service(UnaryServer::new(Recorder(sender)))
        .serve_with_incoming(TcpIncoming::from(listener));
    let server = tokio::spawn(server);
    // A TimeoutValue has at most eight digits, the unit follows from it (gRPC PROTOCOL-HTTP2.md).
    // What connecting took is gone from it: at most 10 s, on whatever machine.
    for (deadline, told) in [
        (Duration::from_secs(30), (20_000_000..=30_000_000, 'u')),
        (Duration::from_secs(3600), (3_590_000..=3_600_000, 'm')),
        (Duration::MAX, (99_999_999..=99_999_999, 'H')),
    ] {
        let answer = unary::ask(&address, String::new(), deadline, Retry::default()).await;
        answer.unwrap();
        let header = headers.recv().await.unwrap().unwrap();
        let (value, unit) = header.split_at(header.len() - 1);
        let value: u64 = value.parse().unwrap();
        assert!(told.0.contains(&value), "{header} of {deadline:?}");
        assert_eq!(unit, told.1.to_string(), "{header} of {deadline:?}");
    }
    server.abort();
}

#[tokio::test]
async fn a_call_may_be_compressed_and_so_is_its_answer() {
    use proto::unary::unary_client::UnaryClient;
    use tonic::{codec::CompressionEncoding::Gzip, transport::Endpoint};

    let (listener, address) = listen().await;
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(unary::serve(listener, shutdown.clone()));
    let endpoint = Endpoint::try_from(format!("http://{address}")).unwrap();
    let client = UnaryClient::new(endpoint.connect().await.unwrap()).send_compressed(Gzip);
    for length in [10, 10_000] {
        let message = "x".repeat(length);
        let request = Message { message };
        let mut client = client.clone().accept_compressed(Gzip);
        let answer = client.get_server_response(request.clone()).await.unwrap();
        assert_eq!(answer.metadata().get("grpc-encoding").unwrap(), "gzip");
        assert!(answer.get_ref().message.contains(&request.message));
    }
    drop(client);
    shutdown.cancel();
    let ended = timeout(PATIENCE, server).await;
    ended.expect("the server should end").unwrap().unwrap();
}
