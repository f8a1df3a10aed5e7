//! Requests of operators to a server, beside its own service: health, reflection, and to stop.

use std::time::Duration;

use serving::CancellationToken;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_stream::once;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1, v1alpha};

const PATIENCE: Duration = Duration::from_secs(120);

/// A server that runs, a connection to it, and what stops it.
struct Served {
    channel: Channel,
    address: String,
    shutdown: CancellationToken,
    server: tokio::task::JoinHandle<Result<(), serving::drain::ServeError>>,
}

async fn serve() -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let endpoint = Endpoint::try_from(format!("http://{address}"));
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(unary::serve(listener, shutdown.clone()));
    let channel = endpoint.expect("it is a URL").connect().await;
    Served {
        channel: channel.expect("the listener is bound"),
        address,
        shutdown,
        server,
    }
}

fn check(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

#[tokio::test]
async fn the_server_and_its_service_report_that_they_serve() {
    let mut health = HealthClient::new(serve().await.channel);
    for service in ["", "unary.Unary"] {
        let answer = health.check(check(service)).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
}

#[tokio::test]
async fn the_health_of_an_unknown_service_is_not_found() {
    let mut health = HealthClient::new(serve().await.channel);
    let status = health.check(check("unary.Unari")).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn both_versions_of_reflection_list_the_service() {
    let channel = serve().await.channel;
    // The two versions are the same messages in two packages.
    macro_rules! listed {
        ($version:ident) => {{
            use $version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest,
                server_reflection_response::MessageResponse,
            };
            let request = ServerReflectionRequest {
                host: String::new(),
                message_request: Some(MessageRequest::ListServices(String::new())),
            };
            let mut client = ServerReflectionClient::new(channel.clone());
            let answers = client.server_reflection_info(once(request)).await;
            let answer = answers.unwrap().into_inner().message().await.unwrap();
            match answer.unwrap().message_response.unwrap() {
                MessageResponse::ListServicesResponse(list) => {
                    list.service.into_iter().map(|s| s.name).collect::<Vec<_>>()
                }
                other => panic!("{other:?} is not a list"),
            }
        }};
    }
    for names in [listed!(v1), listed!(v1alpha)] {
        for name in ["unary.Unary", "grpc.health.v1.Health"] {
            assert!(names.iter().any(|n| n == name), "no {name} in {names:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_says_so_and_then_refuses_connections() {
    let served = serve().await;
    let mut health = HealthClient::new(served.channel);
    let mut watch = health.watch(check("")).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);

    served.shutdown.cancel();
    let next = timeout(PATIENCE, watch.message()).await.unwrap();
    let next = next.unwrap().unwrap();
    assert_eq!(next.status(), ServingStatus::NotServing);

    // The watch is not dropped: the server ends it, and says why.
    let end = timeout(PATIENCE, watch.message()).await.unwrap();
    assert_eq!(end.unwrap_err().code(), tonic::Code::Unavailable);
    let ended = timeout(PATIENCE, served.server).await;
    ended.unwrap().unwrap().unwrap();
    let refused = TcpStream::connect(&served.address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}
