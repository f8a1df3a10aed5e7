//! Services of others on the listener: tower's, tonic's and axum's own layers around them, several of them, and what
//! their handlers find in a request.

#![allow(clippy::unwrap_used, reason = "it is a test, in its helpers too")]

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    extract::{ConnectInfo, Request as AxumRequest},
    middleware::{Next, from_fn},
    routing::get,
};
use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture, stream};
use http::{Request, Response, StatusCode, header::AUTHORIZATION, uri::PathAndQuery};
use serving::{
    CallContext, CancellationToken, Peer,
    connection::Protocol::{self, Either, Http2},
    drain::ServeError,
    grpc::WithOperations,
    layers::TelemetryLayer,
    limits::Limits,
    operations::{self, Health},
    refusal::{GrpcStatus, PlainText, Refuse},
    server::Listener,
    service::{BoxError, HttpService},
    status_mapping::StatusMappingLayer,
    telemetry::{Telemetry, codes::Transport},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};
use tonic::{
    Code, Status, Streaming,
    body::Body,
    client::Grpc as Client,
    server::{Grpc, NamedService},
    service::{InterceptorLayer, Routes},
    transport::Channel,
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_prost::ProstCodec;
use tower::{Layer, Service, buffer::Buffer, limit::ConcurrencyLimitLayer, service_fn};

#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/wire.rs"]
mod wire;

const PATIENCE: Duration = Duration::from_secs(120);

/// A server of one service.
struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    server: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    async fn start(
        protocol: Protocol,
        service: impl HttpService,
        refuse: impl Refuse + Sync,
        change: impl FnOnce(&mut Listener),
    ) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut listener = Listener::from(socket);
        change(&mut listener);
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let server = listener.serve("it", protocol, service, refuse, stop);
        let server = tokio::spawn(server);
        Self {
            address,
            shutdown,
            server,
        }
    }

    async fn grpc(service: impl HttpService) -> Self {
        Self::start(Http2, service, GrpcStatus, |_| {}).await
    }

    async fn rest(service: impl HttpService) -> Self {
        Self::start(Either, service, PlainText, |_| {}).await
    }

    async fn channel(&self) -> Channel {
        let address = self.address.to_string();
        serving::client::connect(&address).await.unwrap()
    }

    /// The whole answer to a GET of `path` over HTTP/1.1.
    async fn get(&self, path: &str, headers: &str) -> String {
        let headers = format!("connection: close\r\n{headers}");
        wire::rest(wire::http1(self.address, path, &headers).await).await
    }

    async fn stop(self) {
        self.shutdown.cancel();
        let ended = timeout(PATIENCE, self.server).await.unwrap();
        ended.unwrap().expect("no call is lost");
    }
}

/// Calls `path` with `message`.
async fn call(channel: Channel, path: &'static str, message: &str) -> Result<String, Status> {
    let request = tonic::Request::new(message.to_owned());
    let mut client = Client::new(channel);
    client.ready().await.unwrap();
    let codec = ProstCodec::<String, String>::default();
    let path = PathAndQuery::from_static(path);
    let answer = timeout(PATIENCE, client.unary(request, path, codec)).await;
    answer.unwrap().map(tonic::Response::into_inner)
}

/// Two gRPC services, by `N`, whose methods do what their names say.
#[derive(Clone)]
struct Say<const N: usize> {
    /// The calls that `Wait` has open, and those at the most.
    open: Arc<[AtomicUsize; 2]>,
    /// Lets `Wait` answer.
    release: watch::Sender<bool>,
}

impl<const N: usize> Say<N> {
    fn new() -> Self {
        Self {
            open: Arc::default(),
            release: watch::Sender::new(false),
        }
    }

    async fn answer(&self, method: &str, request: tonic::Request<String>) -> String {
        match method {
            "Wait" => {
                let [open, most] = &*self.open;
                most.fetch_max(open.fetch_add(1, SeqCst) + 1, SeqCst);
                let mut released = self.release.subscribe();
                let _ = released.wait_for(|released| *released).await;
                open.fetch_sub(1, SeqCst);
                request.into_inner()
            }
            "Who" => {
                let remote = request.remote_addr().expect("it is a socket");
                let peer = Peer::of(request.extensions()).expect("it is on a listener");
                assert_eq!(remote, peer.remote());
                let local = peer.local().expect("it is bound");
                format!("{remote} {local} {}", peer.certificates().count())
            }
            _ => format!("{N}: {}", request.into_inner()),
        }
    }
}

/// Reads a stream in a task of its own, and says how many messages there were.
async fn count(request: tonic::Request<Streaming<String>>) -> Result<usize, Status> {
    let messages = request.into_inner();
    let read = tokio::spawn(messages.fold(Ok(0), async |count, message| {
        message.and_then(|_| count.map(|count| count + 1))
    }));
    read.await.unwrap()
}

impl NamedService for Say<1> {
    const NAME: &'static str = "test.First";
}

impl NamedService for Say<2> {
    const NAME: &'static str = "test.Second";
}

impl<const N: usize, B> Service<Request<B>> for Say<N>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError> + Send> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let says = self.clone();
        let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
        let mut grpc = Grpc::new(ProstCodec::<String, String>::default());
        Box::pin(async move {
            if method == "Count" {
                let count = service_fn(async |request| {
                    let count = count(request).await?;
                    Ok::<_, Status>(tonic::Response::new(count.to_string()))
                });
                return Ok(grpc.client_streaming(count, request).await);
            }
            let answer = service_fn(move |request| {
                let (says, method) = (says.clone(), method.clone());
                async move {
                    let answer = says.answer(&method, request).await;
                    Ok::<_, Status>(tonic::Response::new(answer))
                }
            });
            Ok(grpc.unary(answer, request).await)
        })
    }
}

#[tokio::test]
async fn a_concurrency_limit_inside_makes_calls_wait_and_no_longer_than_their_deadlines() {
    let say = Say::<1>::new();
    let service = ConcurrencyLimitLayer::new(1).layer(say.clone());
    let running = Running::grpc(service).await;
    let channel = running.channel().await;
    let waits: Vec<_> = (0..3)
        .map(|_| tokio::spawn(call(channel.clone(), "/test.First/Wait", "one")))
        .collect();
    // tonic's client would not wait for the server's word.
    let mut client = wire::Client::connect(running.address).await;
    let late = client.call("/test.First/Wait", &[("grpc-timeout", "300m")]);
    late.await.ended(Code::DeadlineExceeded, false);
    say.release.send_replace(true);
    for wait in waits {
        assert_eq!(wait.await.unwrap().unwrap(), "one");
    }
    let [open, most] = &*say.open;
    assert_eq!((open.load(SeqCst), most.load(SeqCst)), (0, 1));
    running.stop().await;
}

#[tokio::test]
async fn health_is_told_although_the_service_beside_it_is_not_ready() {
    let say = Say::<1>::new();
    let limited = ConcurrencyLimitLayer::new(1).layer(say.clone());
    let health = Health::new(CancellationToken::new());
    let descriptors = tonic_health::pb::FILE_DESCRIPTOR_SET;
    let operations = operations::routes(&health, &["test.First"], descriptors);
    let service = WithOperations::new(Named(limited), operations);
    let running = Running::grpc(service).await;
    let channel = running.channel().await;
    let waits = tokio::spawn(call(channel.clone(), "/test.First/Wait", "one"));
    while say.open[0].load(SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let request = HealthCheckRequest::default();
    let mut client = HealthClient::new(channel);
    let health = timeout(PATIENCE, client.check(request)).await.unwrap();
    assert_eq!(health.unwrap().into_inner().status, 1);
    say.release.send_replace(true);
    assert_eq!(waits.await.unwrap().unwrap(), "one");
    running.stop().await;
}

/// Gives a layered service the name of what is inside.
#[derive(Clone)]
struct Named<S>(S);

impl<S> NamedService for Named<S> {
    const NAME: &'static str = "test.First";
}

impl<S, Q> Service<Q> for Named<S>
where
    S: Service<Q>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Q) -> S::Future {
        self.0.call(request)
    }
}

#[tokio::test]
async fn a_buffer_inside_lets_one_instance_serve_all_connections() {
    let mut calls = 0;
    // It has a state and no clone.
    let service = tower::util::MapRequest::new(Say::<2>::new(), move |request: Request<_>| {
        calls += 1;
        assert!(calls < 100, "{calls}");
        request
    });
    let running = Running::grpc(Buffer::new(service, 1)).await;
    for _ in 0..2 {
        let channel = running.channel().await;
        let calls = (0..20).map(|_| call(channel.clone(), "/test.Second/Echo", "hi"));
        for answer in futures_util::future::join_all(calls).await {
            assert_eq!(answer.unwrap(), "2: hi");
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn an_error_of_a_service_is_an_internal_one_and_its_text_is_not_told() {
    let fails = service_fn(async |request: Request<serving::Body>| {
        let error: BoxError = match request.uri().path() {
            "/busy" => serving::refusal::Refusal::Overloaded.into(),
            "/shed" => tower::load_shed::error::Overloaded::new().into(),
            _ => "a secret".into(),
        };
        Err::<Response<String>, _>(error)
    });
    let running = Running::rest(fails).await;
    for (path, status) in [("/busy", "503"), ("/shed", "503"), ("/x", "500")] {
        let answer = running.get(path, "").await;
        let line = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&line), "{path}: {answer}");
        assert!(!answer.contains("secret"), "{answer}");
    }
    running.stop().await;
    let running = Running::grpc(fails).await;
    let status = call(running.channel().await, "/x", "").await;
    let status = status.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    assert!(!status.message().contains("secret"), "{status:?}");
    running.stop().await;
}

#[tokio::test]
async fn tonics_interceptor_stands_around_a_service_alone_and_beside_the_operators() {
    let interceptor = |request: tonic::Request<()>| {
        assert!(request.remote_addr().is_some());
        match request.metadata().get("authorization") {
            Some(_) => Ok(request),
            None => Err(Status::unauthenticated("who are you?")),
        }
    };
    let layer = InterceptorLayer::new(interceptor);
    let descriptors = tonic_health::pb::FILE_DESCRIPTOR_SET;
    let health = Health::new(CancellationToken::new());
    let operations = operations::routes(&health, &["test.First"], descriptors);
    let beside = WithOperations::new(layer.layer(Say::<1>::new()), operations);
    let mapping = StatusMappingLayer::new(Limits::default().message);
    for running in [
        Running::grpc(layer.layer(Say::<1>::new())).await,
        Running::grpc(mapping.layer(beside)).await,
    ] {
        let channel = running.channel().await;
        let refused = call(channel.clone(), "/test.First/Echo", "hi").await;
        assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
        let mut client = Client::new(channel);
        client.ready().await.unwrap();
        let mut request = tonic::Request::new("hi".to_owned());
        let token = "Bearer 1".parse().unwrap();
        request.metadata_mut().insert("authorization", token);
        let codec = ProstCodec::<String, String>::default();
        let path = PathAndQuery::from_static("/test.First/Echo");
        let answer = client.unary(request, path, codec).await.unwrap();
        assert_eq!(answer.into_inner(), "1: hi");
        running.stop().await;
    }
}

#[tokio::test]
async fn axums_from_fn_stands_around_a_router_and_handlers_learn_who_calls() {
    let guarded = async |request: AxumRequest, next: Next| {
        if request.headers().contains_key(AUTHORIZATION) {
            next.run(request).await
        } else {
            let mut answer = axum::response::Response::default();
            *answer.status_mut() = StatusCode::UNAUTHORIZED;
            answer
        }
    };
    let who = async |ConnectInfo(remote): ConnectInfo<SocketAddr>, request: AxumRequest| {
        let peer = Peer::of(request.extensions()).expect("it is on a listener");
        assert_eq!(peer.remote(), remote);
        format!("it is {remote} at {}", peer.local().expect("it is bound"))
    };
    let router = Router::new()
        .route("/who", get(who))
        .layer(from_fn(guarded));
    let running = Running::rest(router).await;
    let answer = running.get("/who", "").await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    let answer = running.get("/who", "authorization: Bearer 1\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let local = running.address;
    assert!(answer.contains("it is 127.0.0.1:"), "{answer}");
    assert!(answer.ends_with(&format!(" at {local}")), "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn two_services_stand_on_one_listener_with_a_health_name_each() {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<Say<1>>().await;
    reporter.set_not_serving::<Say<2>>().await;
    let routes = Routes::new(health)
        .add_service(Say::<1>::new())
        .add_service(Say::<2>::new());
    let running = Running::grpc(routes).await;
    let channel = running.channel().await;
    for (path, said, name, status) in [
        ("/test.First/Echo", "1: hi", "test.First", 1),
        ("/test.Second/Echo", "2: hi", "test.Second", 2),
    ] {
        let answer = call(channel.clone(), path, "hi").await;
        assert_eq!(answer.unwrap(), said);
        let service = name.to_owned();
        let health = HealthClient::new(channel.clone())
            .check(HealthCheckRequest { service })
            .await;
        assert_eq!(health.unwrap().into_inner().status, status, "{name}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_handler_may_read_its_stream_in_a_task_of_its_own() {
    let running = Running::start(Http2, Say::<1>::new(), GrpcStatus, |listener| {
        listener.limits.intake = 64 * 1024;
    })
    .await;
    let mut client = Client::new(running.channel().await);
    let count = async |client: &mut Client<Channel>, messages: Vec<String>| {
        client.ready().await.unwrap();
        let codec = ProstCodec::<String, String>::default();
        let path = PathAndQuery::from_static("/test.First/Count");
        let request = tonic::Request::new(stream::iter(messages));
        let answer = client.client_streaming(request, path, codec);
        timeout(PATIENCE, answer).await.unwrap()
    };
    let many = vec!["x".repeat(20 * 1024); 20];
    let answer = count(&mut client, many).await.unwrap();
    assert_eq!(answer.into_inner(), "20");
    // What it reads is counted there, too.
    let large = vec!["x".repeat(100 * 1024)];
    let refused = count(&mut client, large).await.unwrap_err();
    assert_ne!(refused.code(), Code::Ok, "{refused:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_grpc_handler_learns_who_calls() {
    let running = Running::grpc(Say::<1>::new()).await;
    let answer = call(running.channel().await, "/test.First/Who", "").await;
    let (answer, local) = (answer.unwrap(), running.address);
    let (remote, rest) = answer.split_once(' ').unwrap();
    assert!(remote.starts_with("127.0.0.1:"), "{answer}");
    assert_eq!(rest, format!("{local} 0"));
    running.stop().await;
}

#[tokio::test]
async fn a_call_has_one_name_and_one_peer_however_many_layers_stand_around_it() {
    let handler = async |call: CallContext, request: AxumRequest| {
        let peer = Peer::of(request.extensions()).expect("a listener knows it");
        format!(
            "{:?} {}",
            call.request_id().unwrap(),
            peer.local().is_some()
        )
    };
    let telemetry = TelemetryLayer::new(&Telemetry::default(), "inside", Transport::Rest, ["/"]);
    let router = Router::new().route("/", get(handler)).layer(telemetry);
    let running = Running::rest(router).await;
    let answer = running.get("/", "").await;
    let (_, id) = answer.split_once("x-request-id: ").expect("it is told");
    let id = &id[..16];
    // The local address is the listener's alone to know.
    assert!(answer.ends_with(&format!("\"{id}\" true")), "{answer}");
    running.stop().await;
}

/// Certificates made for the test.
#[cfg(feature = "tls")]
mod mutual_tls {
    use super::*;

    use std::{fs, path::PathBuf};

    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa,
        KeyPair,
    };
    use serving::tls::TlsArgs;
    use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

    type Authority = CertifiedIssuer<'static, KeyPair>;

    fn authority() -> Authority {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    /// A certificate of `authority` for `localhost`, in DER and as PEM, and its key.
    fn issue(authority: &Authority) -> (Vec<u8>, String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let certificate = params.signed_by(&key, authority).unwrap();
        let (der, pem) = (certificate.der().to_vec(), certificate.pem());
        (der, pem, key.serialize_pem())
    }

    #[tokio::test]
    async fn a_handler_learns_the_certificates_that_its_caller_proved_to_have() {
        let authority = authority();
        let (_, cert, key) = issue(&authority);
        let files = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| -> PathBuf {
            let path = files.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let tls = TlsArgs {
            tls_cert: Some(write("cert", &cert)),
            tls_key: Some(write("key", &key)),
            tls_client_ca: Some(write("ca", &authority.pem())),
            tls_reload: Duration::from_secs(60),
        };
        let tls = tls.start().unwrap();
        let (own, pem, key) = issue(&authority);
        let own = Arc::new(own);
        let expected = Arc::clone(&own);
        let routes = Routes::new(
            InterceptorLayer::new(move |request: tonic::Request<()>| {
                let certificates = request.peer_certs().expect("the caller has shown some");
                assert_eq!(certificates[0].as_ref(), &**expected);
                let peer = Peer::of(request.extensions()).expect("it is on a listener");
                assert!(peer.is_tls());
                assert_eq!(peer.certificates().next(), Some(&expected[..]));
                Ok(request)
            })
            .layer(Say::<1>::new()),
        );
        let running = Running::start(Http2, routes, GrpcStatus, |listener| {
            listener.tls = tls;
        })
        .await;
        let config = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(authority.pem()))
            .identity(Identity::from_pem(pem, key))
            .domain_name("localhost");
        let endpoint = Endpoint::new(format!("https://{}", running.address)).unwrap();
        let channel = endpoint
            .tls_config(config)
            .unwrap()
            .connect()
            .await
            .unwrap();
        let answer = call(channel, "/test.First/Who", "").await.unwrap();
        assert!(answer.ends_with(" 1"), "{answer}");
        running.stop().await;
    }
}
