//! Health and reflection, as their contracts have them.

use std::{future::pending, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderName, Request};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serving::{
    CancellationToken,
    connection::Protocol::Http2,
    drain::ServeError,
    grpc::WithOperations,
    limits::Limits,
    operations::{Health, routes},
    refusal::GrpcStatus,
    server::Listener,
};
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use tonic::{
    Code, Status,
    body::Body,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1, v1alpha};
use tower::ServiceExt;

const PATIENCE: Duration = Duration::from_secs(120);

/// A server of health and reflection alone.
struct Served {
    channel: Channel,
    shutdown: CancellationToken,
    server: JoinHandle<Result<(), ServeError>>,
}

async fn serve(limits: Limits) -> Served {
    let socket = TcpListener::bind("127.0.0.1:0").await;
    let socket = socket.expect("loopback has a free port");
    let address = socket.local_addr().expect("it is bound");
    let shutdown = CancellationToken::new();
    let descriptors = tonic_health::pb::FILE_DESCRIPTOR_SET;
    let health = Health::new(shutdown.clone());
    let operations = routes(&health, &["a.Service"], descriptors);
    let (_reporter, other) = tonic_health::server::health_reporter();
    let listener = Listener {
        limits,
        ..Listener::from(socket)
    };
    // Health is asked of the operators' services: the other is under a name that nobody calls.
    let service = WithOperations::new(Unasked(other), operations);
    let server = tokio::spawn(listener.serve("gRPC", Http2, service, GrpcStatus, shutdown.clone()));
    let endpoint = Endpoint::try_from(format!("http://{address}")).expect("it is a URL");
    Served {
        channel: endpoint.connect().await.expect("it listens"),
        shutdown,
        server,
    }
}

#[derive(Clone)]
struct Unasked<S>(S);

impl<S> tonic::server::NamedService for Unasked<S> {
    const NAME: &'static str = "nobody.Calls";
}

impl<S: tower::Service<R>, R> tower::Service<R> for Unasked<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.0.call(request)
    }
}

fn watch(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

/// A reflection stream without a question ends with the longest stream, and shows that it is over.
#[tokio::test]
async fn a_watch_goes_on_after_the_longest_call_and_for_an_unknown_service_too() {
    let limits = Limits {
        longest_call: Duration::from_millis(300),
        longest_stream: Duration::from_millis(300),
        ..Limits::default()
    };
    let served = serve(limits).await;
    let mut health = HealthClient::new(served.channel.clone());
    let mut known = health.watch(watch("a.Service")).await.unwrap().into_inner();
    let first = known.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    let mut unknown = health.watch(watch("another")).await.unwrap().into_inner();
    let first = unknown.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);

    let mut reflection =
        v1::server_reflection_client::ServerReflectionClient::new(served.channel.clone());
    let nothing = stream::pending();
    let ended = match reflection.server_reflection_info(nothing).await {
        Ok(answers) => answers.into_inner().message().await.unwrap_err(),
        Err(status) => status,
    };
    assert_eq!(ended.code(), Code::DeadlineExceeded);

    // A caller may still set an end.
    let mut bounded = tonic::Request::new(watch(""));
    bounded.set_timeout(Duration::from_millis(100));
    let mut bounded = health.watch(bounded).await.unwrap().into_inner();
    assert!(bounded.message().await.unwrap().is_some());
    let ended = bounded.message().await.unwrap_err();
    assert!([Code::DeadlineExceeded, Code::Cancelled].contains(&ended.code()));

    served.shutdown.cancel();
    let news = timeout(PATIENCE, known.message()).await.unwrap();
    assert_eq!(news.unwrap().unwrap().status(), ServingStatus::NotServing);
    for watch in [&mut known, &mut unknown] {
        let end = timeout(PATIENCE, watch.message()).await.unwrap();
        assert_eq!(end.unwrap_err().code(), Code::Unavailable);
    }
    drop((health, reflection, served.channel));
    served.server.await.unwrap().unwrap();
}

/// Asks one thing after another of one version of reflection, which are the same messages in two packages.
macro_rules! ask {
    ($version:ident, $channel:expr) => {{
        use $version::{
            ExtensionRequest, ServerReflectionRequest,
            server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let questions = [
            MessageRequest::FileContainingSymbol("nope".to_owned()),
            MessageRequest::FileByFilename("nope.proto".to_owned()),
            MessageRequest::FileContainingExtension(ExtensionRequest {
                containing_type: "nope".to_owned(),
                extension_number: 1,
            }),
            MessageRequest::AllExtensionNumbersOfType("nope".to_owned()),
            MessageRequest::FileContainingSymbol("grpc.health.v1.Health.Watch".to_owned()),
            MessageRequest::ListServices(String::new()),
        ];
        let requests = questions.map(|question| ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question),
        });
        // It stays open: whether it goes on is asked of the server.
        let requests = stream::iter(requests).chain(stream::once(pending()));
        let mut client = ServerReflectionClient::new($channel.clone());
        let answers = client.server_reflection_info(requests).await.unwrap();
        let answers = answers.into_inner().take(6).map(|answer| {
            match answer.unwrap().message_response.unwrap() {
                MessageResponse::ErrorResponse(error) => {
                    format!("{:?}", Code::from(error.error_code))
                }
                MessageResponse::FileDescriptorResponse(files) => {
                    format!("{} file", files.file_descriptor_proto.len())
                }
                MessageResponse::ListServicesResponse(list) => {
                    format!("{} services", list.service.len())
                }
                other => format!("{other:?}"),
            }
        });
        answers.collect::<Vec<_>>().await
    }};
}

#[tokio::test]
async fn reflection_answers_on_after_what_it_does_not_know() {
    let served = serve(Limits::default()).await;
    let expected = [
        "NotFound",
        "NotFound",
        "NotFound",
        "NotFound",
        "1 file",
        "3 services",
    ];
    assert_eq!(ask!(v1, served.channel), expected);
    assert_eq!(ask!(v1alpha, served.channel), expected);
    served.shutdown.cancel();
    drop(served.channel);
    served.server.await.unwrap().unwrap();
}

/// A message that is incomplete when the request ends is not dropped in silence, with trailers or
/// without.
#[tokio::test]
async fn a_message_that_is_cut_is_an_error_with_trailers_behind_it_too() {
    let served = serve(Limits::default()).await;
    // The question for all services, and some of another message.
    let question = Bytes::from_static(&[0, 0, 0, 0, 2, 0x3a, 0]);
    let cut = Bytes::from_static(&[0, 0, 0, 0, 9, 1]);
    let trailers =
        HeaderMap::from_iter([(HeaderName::from_static("x-more"), "1".parse().unwrap())]);
    let head = cut.slice(..5);
    for (last, code) in [(vec![], "0"), (vec![cut], "13"), (vec![head], "13")] {
        let data = [vec![question.clone()], last]
            .concat()
            .into_iter()
            .map(Frame::data);
        let frames = data.chain([Frame::trailers(trailers.clone())]);
        let frames = stream::iter(frames.map(Ok::<_, Status>).collect::<Vec<_>>());
        let request = Request::post("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
            .header("content-type", "application/grpc")
            .body(Body::new(StreamBody::new(frames)))
            .unwrap();
        let answer = served.channel.clone().oneshot(request).await.unwrap();
        let answer = answer.into_body().collect().await.unwrap();
        assert_eq!(answer.trailers().unwrap()["grpc-status"], code);
    }
    served.shutdown.cancel();
    drop(served.channel);
    served.server.await.unwrap().unwrap();
}

/// Whoever watches has to know whom to ask next, and takes no place of those who call.
#[tokio::test]
async fn a_watch_ends_with_its_connection_and_says_so_and_one_connection_has_few() {
    use tonic_types::StatusExt;
    let limits = Limits {
        connection_age: Duration::from_secs(2),
        longest_call: Duration::from_secs(1),
        longest_stream: Duration::from_secs(1),
        ..Limits::default()
    };
    let served = serve(limits).await;
    let mut health = HealthClient::new(served.channel.clone());
    let mut watches = Vec::new();
    let refused = loop {
        let begun = health.watch(watch("")).await;
        match begun {
            Ok(begun) => watches.push(begun.into_inner()),
            Err(refused) => break refused,
        }
    };
    assert_eq!(watches.len(), 8);
    assert_eq!(refused.code(), Code::ResourceExhausted);
    // One that ends makes room.
    drop(watches.pop());
    let again = async {
        loop {
            if let Ok(begun) = health.watch(watch("")).await {
                return begun.into_inner();
            }
        }
    };
    watches.push(timeout(PATIENCE, again).await.expect("there is room"));
    for mut watch in watches {
        assert!(watch.message().await.unwrap().is_some());
        let end = timeout(PATIENCE, watch.message()).await.expect("it ends");
        let end = end.expect_err("a Watch has no good end");
        assert_eq!(end.code(), Code::Unavailable, "{end:?}");
        let details = end.get_error_details();
        assert!(details.retry_info().is_some(), "{end:?}");
    }
    served.shutdown.cancel();
    drop((health, served.channel));
    served.server.await.unwrap().unwrap();
}
