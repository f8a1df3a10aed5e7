//! The server under attack.
#![cfg(target_os = "linux")]

#[path = "../../serving/tests/support/attacks/mod.rs"]
#[allow(dead_code, reason = "the attacks on REST have no target here")]
mod attacks;
#[path = "../../serving/tests/support/program.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod program;

use proto::bidirectional::{Message, bidirectional_client::BidirectionalClient};

const SERVER: attacks::Target = attacks::Target {
    program: env!("CARGO_BIN_EXE_server"),
    args: &["--grpc-port", "0"],
    call: |channel| {
        Box::pin(async {
            let messages = ["one", "two", "three"].map(|message| Message {
                message: message.to_owned(),
            });
            let sent = tokio_stream::iter(messages.clone());
            let mut client = BidirectionalClient::new(channel);
            let mut answers = client.get_server_response(sent).await?.into_inner();
            for message in messages {
                assert_eq!(answers.message().await?, Some(message));
            }
            assert_eq!(answers.message().await?, None);
            Ok(())
        })
    },
    path: "/bidirectional.Bidirectional/GetServerResponse",
    request: |length| attacks::text_field(1, length),
    get: "",
};

attacks::attack_grpc!(crate::SERVER);
attacks::attack_echo!(crate::SERVER);

/// The other side of the limit: a stream on which both sides are silent waits for nobody's window.
#[tokio::test]
async fn a_silent_conversation_is_not_a_stalled_one() {
    let siege = attacks::Siege::begin(&SERVER, &["--stalled-write", "200ms"]).await;
    let channel = serving::client::connect(&siege.grpc().to_string()).await;
    let mut client = BidirectionalClient::new(channel.expect("the server listens"));
    let (questions, receiver) = tokio::sync::mpsc::channel(1);
    let call = client.get_server_response(tokio_stream::wrappers::ReceiverStream::new(receiver));
    let mut answers = call.await.expect("the call is taken").into_inner();
    for message in ["before", "after"] {
        let question = Message {
            message: message.to_owned(),
        };
        let sent = questions.send(question.clone()).await;
        sent.expect("the stream is open");
        assert_eq!(answers.message().await.unwrap(), Some(question));
        siege
            .processor_time(std::time::Duration::from_secs(1))
            .await;
    }
    drop((questions, answers, client));
    siege.end().await;
}
