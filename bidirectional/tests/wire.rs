//! The service over a real socket, with a client that writes and reads by hand.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bidirectional::order::{MOST_HELD, Order};
use futures_util::{StreamExt, TryStreamExt, stream};
use proto::bidirectional::{Message, bidirectional_client::BidirectionalClient};
use serving::{CancellationToken, drain::ServeError};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Streaming,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

const PATIENCE: Duration = Duration::from_secs(120);
const ORDERS: [Order; 3] = [Order::Each, Order::Pairs, Order::AfterHalfClose];

/// A server that runs, a connection to it, and what stops it.
struct Served {
    channel: Channel,
    shutdown: CancellationToken,
    server: JoinHandle<Result<(), ServeError>>,
}

impl Served {
    async fn with(order: Order) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let endpoint = Endpoint::try_from(format!("http://{address}"));
        let shutdown = CancellationToken::new();
        let server = bidirectional::serve(listener, order, shutdown.clone());
        let server = tokio::spawn(server);
        let channel = endpoint.expect("it is a URL").connect().await;
        Self {
            channel: channel.expect("the listener is bound"),
            shutdown,
            server,
        }
    }

    /// Stops the server, which fails if a call is still open when the grace ends.
    async fn stop(self) {
        self.shutdown.cancel();
        let ended = timeout(PATIENCE, self.server).await;
        let ended = ended.expect("the server should end");
        ended.expect("it should not panic").expect("nothing is cut");
    }
}

/// One call, both sides in the hand of the test.
struct Call {
    client: Option<mpsc::Sender<Message>>,
    answers: Streaming<Message>,
}

impl Call {
    async fn open(channel: &Channel) -> Self {
        let (client, messages) = mpsc::channel(1);
        let mut stub = BidirectionalClient::new(channel.clone());
        let call = stub.get_server_response(ReceiverStream::new(messages));
        // The headers come before the first message is sent.
        let call = timeout(PATIENCE, call).await.expect("headers should come");
        let answers = call.expect("the call should be taken").into_inner();
        let client = Some(client);
        Self { client, answers }
    }

    async fn say(&self, message: &str) {
        let message = message.to_owned();
        let client = self.client.as_ref().expect("not yet half-closed");
        let sent = client.send(Message { message }).await;
        sent.expect("the call should be open");
    }

    fn half_close(&mut self) {
        self.client = None;
    }

    /// The next answer, or `None` at the end of the stream.
    async fn hear(&mut self) -> Option<String> {
        let answer = timeout(PATIENCE, self.answers.message()).await;
        let answer = answer.expect("an answer should come");
        answer.expect("the call should end well").map(|m| m.message)
    }
}

#[tokio::test]
async fn by_default_each_answer_comes_while_the_next_message_is_not_yet_sent() {
    let served = Served::with(Order::default()).await;
    let mut call = Call::open(&served.channel).await;
    for message in ["First message", "", "नमस्ते 👋"] {
        call.say(message).await;
        assert_eq!(call.hear().await.as_deref(), Some(message));
    }
    call.half_close();
    assert_eq!(call.hear().await, None);
    served.stop().await;
}

#[tokio::test]
async fn in_pairs_two_answers_come_while_the_third_message_is_not_yet_sent() {
    let served = Served::with(Order::Pairs).await;
    let mut call = Call::open(&served.channel).await;
    for pair in [["1", "2"], ["3", "4"]] {
        for message in pair {
            call.say(message).await;
        }
        for message in pair {
            assert_eq!(call.hear().await.as_deref(), Some(message));
        }
    }
    drop(call);
    served.stop().await;
}

#[tokio::test]
async fn every_order_answers_a_thousand_messages_in_their_order() {
    let texts: Vec<_> = (0..1001).map(|n| n.to_string()).collect();
    for order in ORDERS {
        let served = Served::with(order).await;
        let messages = texts.clone().into_iter().map(|message| Message { message });
        let mut stub = BidirectionalClient::new(served.channel.clone());
        let call = stub.get_server_response(stream::iter(messages));
        let answers = timeout(PATIENCE, call).await.unwrap().unwrap().into_inner();
        let answers = answers
            .map_ok(|answer| answer.message)
            .try_collect::<Vec<_>>();
        let answers = timeout(PATIENCE, answers).await.unwrap().unwrap();
        assert_eq!(answers, texts, "{order:?}");
        served.stop().await;
    }
}

#[tokio::test]
async fn a_client_that_never_half_closes_is_refused_when_too_much_is_held() {
    let served = Served::with(Order::AfterHalfClose).await;
    let messages = stream::iter(vec![Message::default(); MOST_HELD + 1]).chain(stream::pending());
    let mut stub = BidirectionalClient::new(served.channel.clone());
    let call = timeout(PATIENCE, stub.get_server_response(messages)).await;
    let mut answers = call.unwrap().unwrap().into_inner();
    let refused = timeout(PATIENCE, answers.message()).await.unwrap();
    assert_eq!(refused.unwrap_err().code(), Code::ResourceExhausted);
    drop(answers);
    served.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_ends_the_work_of_its_call() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        default(panic);
    }));
    for order in ORDERS {
        let served = Served::with(order).await;
        // The connection stays open: only the calls go away.
        let answered = Call::open(&served.channel).await;
        answered.say("1").await;
        answered.say("2").await;
        let silent = Call::open(&served.channel).await;
        drop((answered, silent));
        served.stop().await;
    }
    assert_eq!(PANICS.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn the_server_and_its_service_report_that_they_serve() {
    let served = Served::with(Order::default()).await;
    let mut health = HealthClient::new(served.channel);
    for service in ["", "bidirectional.Bidirectional"] {
        let service = service.to_owned();
        let answer = health.check(HealthCheckRequest { service }).await;
        assert_eq!(
            answer.unwrap().into_inner().status(),
            ServingStatus::Serving
        );
    }
}
