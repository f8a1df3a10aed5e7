//! The status mapping over a real socket: what a caller does wrong has the code that gRPC's documents give it,
//! and writes no line of an error into the log; what fails inside says nothing about it.

use std::{
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serving::{
    CancellationToken,
    connection::Protocol::Http2,
    grpc::WithOperations,
    operations::{Health, routes},
    refusal::GrpcStatus,
    server::Listener,
    status_mapping::{Messages, StatusMappingLayer},
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tonic::{
    Code, Status,
    body::Body,
    server::NamedService,
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::{Layer, ServiceExt, service_fn};
use tracing_subscriber::fmt::MakeWriter;

const PATIENCE: Duration = Duration::from_secs(120);
const LIMIT: usize = 1000;

const CHECK: &str = "/grpc.health.v1.Health/Check";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/// Of a server as a whole; and a question for its services.
const ALL: &[u8] = b"";
const LIST: &[u8] = b"\x3a\x01*";

/// One message with its head.
fn message(flag: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len())
        .expect("it is short")
        .to_be_bytes();
    [&[flag][..], &length, bytes].concat()
}

/// The text of a log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Collects what this thread logs.
    fn of_this_thread() -> (Self, tracing::subscriber::DefaultGuard) {
        let lines = Self::default();
        let log = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::INFO)
            .with_ansi(false)
            .with_writer(lines.clone())
            .finish();
        let guard = tracing::subscriber::set_default(log);
        (lines, guard)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("it is text")
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Health and reflection alone, mapped.
async fn serve() -> (std::net::SocketAddr, impl Future<Output = ()>) {
    #[derive(Clone)]
    struct Nobody;
    impl NamedService for Nobody {
        const NAME: &'static str = "nobody.Calls";
    }
    impl<B> tower::Service<Request<B>> for Nobody {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Self::Response, Infallible>>;
        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Infallible>> {
            std::task::Poll::Ready(Ok(()))
        }
        fn call(&mut self, _: Request<B>) -> Self::Future {
            std::future::ready(Ok(Status::unimplemented("").into_http()))
        }
    }
    let socket = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("loopback works");
    let address = socket.local_addr().expect("it works");
    let shutdown = CancellationToken::new();
    let descriptors = tonic_health::pb::FILE_DESCRIPTOR_SET;
    let health = Health::new(shutdown.clone());
    let operations = routes(&health, &["a.Service"], descriptors);
    let service = StatusMappingLayer::new(LIMIT).layer(WithOperations::new(Nobody, operations));
    let server = Listener::from(socket).serve("gRPC", Http2, service, GrpcStatus, shutdown.clone());
    let server = tokio::spawn(server);
    let stop = async move {
        shutdown.cancel();
        let ended = timeout(PATIENCE, server).await;
        ended
            .expect("the server should end")
            .expect("no panic")
            .expect("nothing is cut");
    };
    (address, stop)
}

/// The answer to a request: the HTTP status, and headers and trailers together.
async fn ask(
    address: std::net::SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (StatusCode, HeaderMap) {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request
        .body(Full::new(Bytes::from(body)))
        .expect("it works");
    let exchange = async {
        let stream = TokioIo::new(TcpStream::connect(address).await.expect("loopback works"));
        let (mut client, driver) = http2::handshake(TokioExecutor::new(), stream)
            .await
            .expect("it works");
        tokio::spawn(driver);
        let (head, body) = client
            .send_request(request)
            .await
            .expect("loopback works")
            .into_parts();
        let mut headers = head.headers;
        let body = body.collect().await.expect("loopback works");
        headers.extend(body.trailers().cloned().unwrap_or_default());
        (head.status, headers)
    };
    timeout(PATIENCE, exchange).await.expect("an answer")
}

/// Its name, the path, headers, the body, and the code that comes of it.
type Case = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    Vec<u8>,
    &'static str,
);

#[tokio::test]
async fn what_a_caller_does_wrong_has_the_code_of_grpcs_documents_and_no_line_in_the_log() {
    let (lines, _guard) = Lines::of_this_thread();
    let (address, stop) = serve().await;
    let one = message(0, ALL);
    const PLAIN: (&str, &str) = ("content-type", "application/grpc");
    let cases: &[Case] = &[
        ("one message", CHECK, &[PLAIN], one.clone(), "0"),
        (
            "capitals",
            CHECK,
            &[("content-type", "Application/GRPC")],
            one.clone(),
            "0",
        ),
        (
            "a parameter",
            CHECK,
            &[("content-type", "application/grpc+PROTO; charset=utf-8")],
            one.clone(),
            "0",
        ),
        ("no message", CHECK, &[PLAIN], Vec::new(), "12"),
        ("two messages", CHECK, &[PLAIN], one.repeat(2), "12"),
        (
            "no method",
            "/grpc.health.v1.Health/Ask",
            &[PLAIN],
            one.clone(),
            "12",
        ),
        (
            "the compressed flag without an encoding",
            CHECK,
            &[PLAIN],
            message(1, ALL),
            "13",
        ),
        (
            "the compressed flag with identity",
            CHECK,
            &[PLAIN, ("grpc-encoding", "identity")],
            message(1, ALL),
            "13",
        ),
        (
            "an encoding that is not read",
            CHECK,
            &[PLAIN, ("grpc-encoding", "zstd")],
            message(1, ALL),
            "12",
        ),
        ("another flag", CHECK, &[PLAIN], message(2, ALL), "3"),
        (
            "bytes that are no protobuf",
            CHECK,
            &[PLAIN],
            message(0, b"\xff"),
            "3",
        ),
        (
            "a message cut off",
            CHECK,
            &[PLAIN],
            message(0, b"\x0a\x01x")[..7].to_vec(),
            "3",
        ),
        ("a head cut off", CHECK, &[PLAIN], vec![0, 0, 0], "3"),
        (
            "a message above the limit",
            CHECK,
            &[PLAIN],
            message(0, &[0; LIMIT + 1]),
            "8",
        ),
        (
            "its head alone",
            CHECK,
            &[PLAIN],
            message(0, &[0; LIMIT + 1])[..5].to_vec(),
            "8",
        ),
        (
            "a stream",
            REFLECTION,
            &[PLAIN],
            message(0, LIST).repeat(3),
            "0",
        ),
        ("an empty stream", REFLECTION, &[PLAIN], Vec::new(), "0"),
        (
            "a stream that is no protobuf",
            REFLECTION,
            &[PLAIN],
            [message(0, LIST), message(0, b"\xff")].concat(),
            "3",
        ),
        (
            "a stream cut off",
            REFLECTION,
            &[PLAIN],
            [message(0, LIST), vec![0, 0]].concat(),
            "3",
        ),
        (
            "a stream with the compressed flag",
            REFLECTION,
            &[PLAIN],
            [message(0, LIST), message(1, LIST)].concat(),
            "13",
        ),
        (
            "a stream with a message above the limit",
            REFLECTION,
            &[PLAIN],
            [message(0, LIST), message(0, &[0; LIMIT + 1])].concat(),
            "8",
        ),
    ];
    for (name, path, headers, body, code) in cases {
        let (status, headers) = ask(address, Method::POST, path, headers, body.clone()).await;
        assert_eq!(status, StatusCode::OK, "{name}: {headers:?}");
        assert_eq!(headers["grpc-status"], *code, "{name}: {headers:?}");
    }
    let (status, headers) = ask(address, Method::GET, CHECK, &[PLAIN], Vec::new()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(headers["allow"], "POST");
    let wrong: [&[(&str, &str)]; 4] = [
        &[("content-type", "application/grpc+json")],
        &[("content-type", "application/grpcx")],
        &[("content-type", "text/plain")],
        &[],
    ];
    for headers in wrong {
        let (status, said) = ask(address, Method::POST, CHECK, headers, one.clone()).await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{headers:?}");
        assert_eq!(said["grpc-status"], "12", "{headers:?}");
    }
    let (status, _) = ask(address, Method::GET, "/healthz", &[], Vec::new()).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    stop.await;
    assert!(!lines.text().contains("ERROR"), "{}", lines.text());
}

/// The status that a caller gets of a service that has read its request, waited, and answers with `own`.
async fn mapped(own: Status, waits: bool) -> Status {
    mapped_by(StatusMappingLayer::new(LIMIT), own, waits).await
}

async fn mapped_by(mapping: StatusMappingLayer, own: Status, waits: bool) -> Status {
    let service = service_fn(move |request: Request<Messages<Full<Bytes>, GrpcStatus>>| {
        let own = own.clone();
        async move {
            let _ = request.into_body().collect().await;
            if waits {
                tokio::task::yield_now().await;
            }
            Ok::<Response<Body>, Infallible>(own.into_http())
        }
    });
    let request = Request::post(CHECK).header("content-type", "application/grpc");
    let request = request.body(Full::from(message(0, ALL))).expect("it works");
    let answer = mapping.layer(service).oneshot(request);
    Status::from_header_map(answer.await.expect("it works").headers()).expect("it works")
}

#[tokio::test]
async fn a_handlers_own_status_passes() {
    for own in [
        Status::resource_exhausted("the quota is used up"),
        Status::unimplemented("not before spring"),
        Status::out_of_range("there is no such page"),
        Status::unavailable("the database is away"),
        Status::invalid_argument("the year is missing"),
    ] {
        let passed = mapped(own.clone(), true).await;
        assert_eq!(
            (passed.code(), passed.message()),
            (own.code(), own.message())
        );
    }
}

#[tokio::test]
async fn what_fails_inside_of_a_handler_is_not_the_callers_fault_and_says_nothing() {
    let (lines, _guard) = Lines::of_this_thread();
    for own in [
        Status::internal("postgres://user:word@db refused"),
        Status::unknown("postgres://user:word@db refused"),
        Status::data_loss("postgres://user:word@db refused"),
        // What the codec of a client behind the handler says, of the answer that the client got.
        Status::internal("failed to decode Protobuf message: postgres:// is no varint"),
        Status::internal("protocol error: postgres://"),
    ] {
        for waits in [false, true] {
            let told = mapped(own.clone(), waits).await;
            assert_eq!(told.code(), Code::Internal, "{own:?}");
            assert_eq!(told.message(), "internal error");
        }
    }
    assert_eq!(lines.text().matches("postgres://").count(), 10);
    let own = Status::unavailable("tcp connect error: 10.0.0.7:5432");
    let told = mapped(own, true).await;
    assert_eq!(told.code(), Code::Unavailable);
    assert!(!told.message().contains("10.0.0.7"), "{told:?}");
    // One that was too large for the client is no quota of the caller's.
    let large = "Error, decoded message length too large: found 9 bytes, the limit is: 1 bytes";
    for own in [
        Status::out_of_range(large),
        Status::resource_exhausted(large),
    ] {
        let told = mapped(own, true).await;
        assert_eq!(told.code(), Code::Internal, "{told:?}");
        assert_eq!(told.message(), "internal error");
    }
}

#[tokio::test]
async fn a_cause_that_a_handler_has_added_changes_nothing() {
    let mut own = Status::not_found("no such order");
    own.set_source(std::sync::Arc::new(std::io::Error::other("row 7")));
    let told = mapped(own, true).await;
    assert_eq!(
        (told.code(), told.message()),
        (Code::NotFound, "no such order")
    );
    let own = Status::invalid_argument("client error: the year is missing");
    let told = mapped(own, true).await;
    assert_eq!(told.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_service_may_write_its_failures_for_its_callers() {
    let passing = || StatusMappingLayer::new(LIMIT).pass_failures();
    for code in [Code::Internal, Code::Unknown, Code::DataLoss] {
        let own = Status::with_details(code, "row 7 is lost", b"a detail".as_slice().into());
        let passed = mapped_by(passing(), own.clone(), true).await;
        assert_eq!(passed.code(), code);
        assert_eq!(passed.message(), "row 7 is lost");
        assert_eq!(passed.details(), b"a detail");
    }
    // What is behind it still says nothing.
    let own = Status::unknown("tcp connect error: 10.0.0.7:5432");
    let told = mapped_by(passing(), own, true).await;
    assert_eq!(told.code(), Code::Internal);
    assert!(!told.message().contains("10.0.0.7"), "{told:?}");
}

#[tokio::test]
async fn the_failed_call_of_a_client_in_a_handler_names_nobody() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = gone.local_addr().unwrap().port();
    drop(gone);
    let behind = Endpoint::try_from(format!("http://127.0.0.1:{port}")).unwrap();
    let channel = behind.connect_lazy();
    let mut client = HealthClient::new(channel);
    let failed = client.check(HealthCheckRequest::default()).await;
    let failed = failed.unwrap_err();
    assert!(std::error::Error::source(&failed).is_some(), "{failed:?}");
    let told = mapped(failed, true).await;
    assert_eq!(told.code(), Code::Unavailable);
    assert!(told.message().contains("try again"), "{told:?}");
}

#[tokio::test]
async fn on_the_server_of_tonic_it_is_the_same() {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let server = Server::builder()
        .layer(StatusMappingLayer::new(LIMIT))
        .add_service(health);
    let server = tokio::spawn(server.serve_with_incoming(incoming));
    let plain = [("content-type", "application/grpc")];
    for (body, code) in [
        (message(0, ALL), "0"),
        (message(0, ALL).repeat(2), "12"),
        (Vec::new(), "12"),
        (message(0, b"\xff"), "3"),
        (message(0, &[0; LIMIT + 1]), "8"),
    ] {
        let (_, headers) = ask(address, Method::POST, CHECK, &plain, body.clone()).await;
        assert_eq!(headers["grpc-status"], code, "{body:?}");
    }
    server.abort();
}
