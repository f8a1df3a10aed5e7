//! The client against servers that are within the protocol and not like ours.

use std::pin::Pin;

use futures_util::{Stream, StreamExt, stream};
use proto::bidirectional::{
    Message,
    bidirectional_server::{Bidirectional, BidirectionalServer},
};
use tokio::net::{TcpListener, TcpSocket};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Server, server::TcpIncoming},
};

#[allow(dead_code, reason = "here programs run to their end")]
#[path = "../../serving/tests/support/program.rs"]
mod program;
use program::{Ended, program, run};

/// The odd behaviour of a server.
#[derive(Clone, Copy, Debug)]
enum Odd {
    /// It sends its headers only when the first message has come.
    Withholds,
    /// It ends the stream well after the second message.
    EndsAfterTwo,
    /// It ends the stream well after the fifth message, without waiting for the half-close.
    EndsAfterFive,
    /// It reads all five messages, answers two, and ends the stream well.
    AnswersTwoOfFive,
    /// It ends the stream badly after the second message.
    FailsAfterTwo,
    /// It refuses the call.
    Refuses,
    /// It takes the call and says nothing.
    IsSilent,
    /// It never takes the call.
    NeverTakes,
}

#[tonic::async_trait]
impl Bidirectional for Odd {
    type GetServerResponseStream = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

    async fn get_server_response(
        &self,
        request: Request<Streaming<Message>>,
    ) -> Result<Response<Self::GetServerResponseStream>, Status> {
        let mut messages = request.into_inner();
        let failure = async { Err(Status::data_loss("lost it")) };
        Ok(Response::new(match self {
            Self::Withholds => {
                let first = messages.message().await?.expect("the client speaks");
                stream::iter([Ok(first)]).chain(messages).boxed()
            }
            Self::EndsAfterTwo => messages.take(2).boxed(),
            Self::AnswersTwoOfFive => {
                let all: Vec<_> = messages.collect().await;
                stream::iter(all).take(2).boxed()
            }
            Self::EndsAfterFive => messages.take(5).boxed(),
            Self::FailsAfterTwo => messages.take(2).chain(stream::once(failure)).boxed(),
            Self::Refuses => return Err(Status::permission_denied("not you")),
            Self::IsSilent => stream::pending().boxed(),
            Self::NeverTakes => std::future::pending().await,
        }))
    }
}

/// Runs the client with its five messages against an odd server.
async fn converse(odd: Odd, args: &[&str]) -> Ended {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let server = Server::builder()
        .add_service(BidirectionalServer::new(odd))
        .serve_with_incoming(TcpIncoming::from(listener));
    let server = tokio::spawn(server);
    let args = [&["--address", &address], args].concat();
    let ended = run(program(env!("CARGO_BIN_EXE_client"), &args)).await;
    server.abort();
    ended
}

/// The lines of standard error that tell of an error; the others tell of the half-close.
fn errors(ended: &Ended) -> Vec<&str> {
    let lines = ended.stderr.lines();
    lines.filter(|line| !line.starts_with('(')).collect()
}

fn answers(ended: &Ended) -> usize {
    let answer = "Hello from the server received your ";
    ended.stdout.matches(answer).count()
}

#[tokio::test]
async fn a_server_that_waits_for_the_first_message_and_a_client_do_not_wait_for_each_other() {
    let ended = converse(Odd::Withholds, &["--patience=30s", "--deadline=30s"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(answers(&ended), 5);
}

#[tokio::test]
async fn a_server_that_ends_the_stream_when_all_is_answered_has_done_its_work() {
    // Which the client learns first, the last answer or the end, is a matter of luck.
    for _ in 0..10 {
        let ended = converse(Odd::EndsAfterFive, &["--patience=30s", "--deadline=30s"]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(answers(&ended), 5);
    }
}

#[tokio::test]
async fn what_goes_wrong_is_one_line_and_the_answers_before_it_are_printed() {
    let early =
        "error: the server ended the stream after 2 answers, before every message was answered";
    let deadline =
        "error: DEADLINE_EXCEEDED: no answer within 200ms; --deadline sets how long to wait";
    let failed = "error: the server answered DATA_LOSS: lost it";
    let refused = "error: the server answered PERMISSION_DENIED: not you";
    let patient = ["--patience=30s", "--deadline=30s"];
    let hurried = ["--patience=1ms", "--deadline=30s"];
    let silent = ["--patience=1ms", "--deadline=200ms"];
    for (odd, args, answered, error) in [
        (Odd::EndsAfterTwo, &patient, 2, early),
        (Odd::EndsAfterTwo, &hurried, 2, early),
        (Odd::AnswersTwoOfFive, &hurried, 2, early),
        (Odd::FailsAfterTwo, &patient, 2, failed),
        (Odd::FailsAfterTwo, &hurried, 2, failed),
        (Odd::Refuses, &patient, 0, refused),
        (Odd::Refuses, &hurried, 0, refused),
        (Odd::IsSilent, &silent, 0, deadline),
        (Odd::NeverTakes, &silent, 0, deadline),
    ] {
        let ended = converse(odd, args).await;
        assert_eq!(ended.code, Some(1), "{odd:?} {args:?}: {ended:?}");
        assert_eq!(errors(&ended), [error], "{odd:?} {args:?}");
        assert_eq!(answers(&ended), answered, "{odd:?} {args:?}: {ended:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_one_line() {
    // Bound but not listening: nobody else can take the port meanwhile.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let ended = run(program(
        env!("CARGO_BIN_EXE_client"),
        &["--address", &address],
    ))
    .await;
    let expected = format!(
        "error: {address} refused the connection; is the server running there? (--address names \
         another)"
    );
    assert_eq!(ended.one_line_of_error(), expected);
    assert_eq!(ended.stdout, "");
}
