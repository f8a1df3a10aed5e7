//! The operators' view of the server: metrics, request ids, traces and the log.

use std::{
    convert::Infallible,
    net::{Shutdown, SocketAddr},
};

use futures_util::{StreamExt, stream};
use http_body_util::StreamBody;
use hyper::{
    body::{Bytes, Frame},
    client::conn::http2,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use opentelemetry_proto::tonic::{common::v1::any_value::Value, trace::v1::Span};
use proto::rest_grpc_dual_mode::{
    RequestMessage, greetings_generator_client::GreetingsGeneratorClient,
};
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
#[allow(dead_code, reason = "the other tests use the rest of it")]
#[path = "../../serving/tests/support/program.rs"]
mod program;
use common::{PATIENCE, http};
use program::{Running, program, run};

const DUAL_MODE: &str = env!("CARGO_BIN_EXE_dual-mode");
const ANY: [&str; 6] = ["--rest-port", "0", "--grpc-port", "0", "--admin-port", "0"];
const GOOD: &str = "GET /v1/get_greetings?messageType=Diwali&year=2023";
const METHOD: &str = "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetings";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

struct Server {
    running: Running,
    rest: SocketAddr,
    grpc: SocketAddr,
    admin: SocketAddr,
}

async fn start(more: &[&str]) -> Server {
    let mut running = Running::start(program(DUAL_MODE, &[&ANY, more].concat()));
    Server {
        rest: running.address("REST").await,
        grpc: running.address("gRPC").await,
        admin: running.address("metrics").await,
        running,
    }
}

impl Server {
    /// The value of the line of /metrics that begins with `series`; none where there is no such line.
    async fn metric(&self, series: &str) -> Option<f64> {
        let answer = http(self.admin, "GET /metrics", "", "").await;
        assert_eq!(answer.status, 200);
        assert!(answer.body.ends_with("# EOF\n"), "{}", answer.body);
        let mut lines = answer.body.lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map(|value| value.parse().expect("a number"))
    }

    /// Waits until the line of /metrics that begins with `series` says `value`: a client may have its
    /// answer before the server has counted it.
    async fn settles(&self, series: &str, value: f64) {
        let reached = async { while self.metric(series).await != Some(value) {} };
        if timeout(PATIENCE, reached).await.is_err() {
            let metrics = http(self.admin, "GET /metrics", "", "").await.body;
            panic!("{series} should become {value}:\n{metrics}");
        }
    }

    async fn greet(
        &self,
        year: i32,
        metadata: &[(&'static str, &str)],
    ) -> Result<Response<()>, Status> {
        let channel = serving::client::connect(&self.grpc.to_string()).await;
        let mut stub = GreetingsGeneratorClient::new(channel.expect("it listens"));
        let mut request = Request::new(RequestMessage {
            data_comm_type: String::new(),
            message_type: "Holi".to_owned(),
            year,
        });
        for (name, value) in metadata {
            let value = value.parse().expect("it is visible ASCII");
            request.metadata_mut().insert(*name, value);
        }
        let answer = stub.grpc_get_greetings(request).await?;
        Ok(answer.map(|_| ()))
    }
}

#[tokio::test]
async fn calls_are_counted_by_transport_method_and_real_code() {
    let server = start(&[]).await;
    for _ in 0..3 {
        assert_eq!(http(server.rest, GOOD, "", "").await.status, 200);
    }
    let head = GOOD.replace("GET", "HEAD");
    assert_eq!(http(server.rest, &head, "", "").await.status, 200);
    let bad = http(server.rest, "GET /v1/get_greetings", "", "").await;
    assert_eq!(bad.status, 400);
    for path in ["GET /a", "GET /b", "GET /c\"\\"] {
        assert_eq!(http(server.rest, path, "", "").await.status, 404);
    }
    server.greet(2021, &[]).await.unwrap();
    server.greet(2021, &[]).await.unwrap();
    let refused = server.greet(0, &[]).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    // gRPC-Web says its code in the body, here in base64.
    let kind = "application/grpc-web-text";
    let headers = format!("content-type: {kind}\r\naccept: {kind}\r\n");
    let post = format!("POST {METHOD}");
    let web = http(server.grpc, &post, &headers, "AAAAAAkSBEhvbGkY5Q8=").await;
    assert_eq!(web.status, 200);

    for (transport, method, code, calls) in [
        ("REST", "/v1/get_greetings", "200", 4.0),
        ("REST", "/v1/get_greetings", "400", 1.0),
        ("REST", "other", "404", 3.0),
        ("gRPC", METHOD, "OK", 3.0),
        ("gRPC", METHOD, "INVALID_ARGUMENT", 1.0),
    ] {
        let labels = format!(r#"{{transport="{transport}",method="{method}",code="{code}"}}"#);
        server
            .settles(&format!("server_calls_total{labels}"), calls)
            .await;
    }
    for (transport, method, calls) in [("REST", "/v1/get_greetings", 5.0), ("gRPC", METHOD, 4.0)] {
        let labels = format!(r#"{{transport="{transport}",method="{method}"}}"#);
        let count = format!("server_call_duration_seconds_count{labels}");
        server.settles(&count, calls).await;
        let sum = format!("server_call_duration_seconds_sum{labels}");
        assert!(server.metric(&sum).await.unwrap() > 0.0);
        let in_flight = format!("server_calls_in_flight{labels}");
        server.settles(&in_flight, 0.0).await;
    }
    let opened = server.metric(r#"server_connections_total{listener="gRPC"}"#);
    assert_eq!(opened.await, Some(4.0));
    server
        .settles(r#"server_connections_open{listener="REST"}"#, 0.0)
        .await;
    server.running.signal(Signal::TERM);
    assert_eq!(server.running.end().await.code, Some(0));
}

#[tokio::test]
async fn a_call_is_in_flight_until_it_is_over_and_one_whose_caller_goes_is_not_counted_as_good() {
    let server = start(&[]).await;
    let mut half = TcpStream::connect(server.rest).await.unwrap();
    let head = b"POST /v1/get_greetings HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{";
    half.write_all(head).await.unwrap();
    let rest = r#"transport="REST",method="/v1/get_greetings""#;
    let in_flight = format!("server_calls_in_flight{{{rest}}}");
    server.settles(&in_flight, 1.0).await;
    let open = r#"server_connections_open{listener="REST"}"#;
    server.settles(open, 1.0).await;
    drop(half);
    server.settles(&in_flight, 0.0).await;
    server.settles(open, 0.0).await;
    let gone = format!("server_calls_total{{{rest},code=\"499\"}}");
    server.settles(&gone, 1.0).await;
    // Who writes what is no body of HTTP/1 can still be told.
    let mut malformed = TcpStream::connect(server.rest).await.unwrap();
    let post =
        "POST /v1/get_greetings HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    malformed.write_all(post.as_bytes()).await.unwrap();
    let mut told = String::new();
    malformed.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 4"), "{told}");
    let told = format!("server_calls_total{{{rest},code=\"{}\"}}", &told[9..12]);
    server.settles(&told, 1.0).await;

    let channel = serving::client::connect(&server.grpc.to_string()).await;
    let mut health = HealthClient::new(channel.unwrap());
    let watch = health.watch(HealthCheckRequest::default()).await.unwrap();
    let grpc = r#"transport="gRPC",method="/grpc.health.v1.Health/Watch""#;
    server
        .settles(&format!("server_calls_in_flight{{{grpc}}}"), 1.0)
        .await;
    drop(watch);
    let cancelled = format!("server_calls_total{{{grpc},code=\"CANCELLED\"}}");
    server.settles(&cancelled, 1.0).await;
    server.running.signal(Signal::TERM);
    assert_eq!(server.running.end().await.code, Some(0));
}

/// It is no failure of the server either, for which its log would have a line.
#[tokio::test]
async fn a_caller_who_goes_in_the_middle_of_a_message_has_cancelled_it() {
    let server = start(&[]).await;
    let labels = format!(r#"{{transport="gRPC",method="{METHOD}""#);
    let in_flight = format!("server_calls_in_flight{labels}}}");
    let cancelled = format!(r#"server_calls_total{labels},code="CANCELLED"}}"#);
    let socket = std::net::TcpStream::connect(server.grpc).unwrap();
    socket.set_nonblocking(true).unwrap();
    let stream = TcpStream::from_std(socket.try_clone().unwrap()).unwrap();
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, driver) = handshake.await.unwrap();
    tokio::spawn(driver);
    for (call, with_its_connection) in [(1.0, false), (2.0, true)] {
        let half = Bytes::from_static(b"\0\0\0\0\x09\x12\x04Ho");
        let half = stream::iter([Ok::<_, Infallible>(Frame::data(half))]);
        let body = StreamBody::new(half.chain(stream::pending()));
        let request = hyper::Request::post(format!("http://localhost{METHOD}"));
        let request = request.header("content-type", "application/grpc");
        let answer = tokio::spawn(sender.send_request(request.body(body).unwrap()));
        server.settles(&in_flight, 1.0).await;
        match with_its_connection {
            true => socket.shutdown(Shutdown::Both).unwrap(),
            false => answer.abort(),
        }
        server.settles(&cancelled, call).await;
        server.settles(&in_flight, 0.0).await;
    }
    server.running.signal(Signal::TERM);
    let ended = server.running.end().await;
    assert_eq!(ended.code, Some(0));
    assert!(!ended.stderr.contains("ERROR"), "{}", ended.stderr);
}

#[tokio::test]
async fn limits_that_are_hit_are_counted() {
    let first = ["--first-bytes", "3s", "--max-connections", "2"];
    let bodies = ["--body-pause", "1s", "--max-intake", "1"];
    let server = start(&[first, bodies].concat()).await;
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(TcpStream::connect(server.rest).await.unwrap());
    }
    for mut stream in silent {
        let read = timeout(PATIENCE, stream.read_u8()).await;
        read.expect("it should be cut").unwrap_err();
    }
    let long = format!("GET /{}", "x".repeat(9000));
    assert_eq!(http(server.rest, &long, "", "").await.status, 414);
    let post = "POST /v1/get_greetings";
    let kind = "content-type: application/json\r\n";
    let mut half = TcpStream::connect(server.rest).await.unwrap();
    let head = format!("{post} HTTP/1.1\r\nhost: x\r\n{kind}content-length: 9\r\n\r\n{{");
    half.write_all(head.as_bytes()).await.unwrap();
    let large = "x".repeat(2 * 1024 * 1024);
    assert_eq!(http(server.rest, post, kind, &large).await.status, 503);
    for (limit, hits) in [
        ("first bytes", 2.0),
        ("path and query", 1.0),
        ("body pause", 1.0),
        ("half-sent messages", 1.0),
        ("calls", 0.0),
    ] {
        let series = format!(r#"server_limits_hit_total{{listener="REST",limit="{limit}"}}"#);
        server.settles(&series, hits).await;
    }
    // Where no side's own service is asked.
    let stream = TokioIo::new(TcpStream::connect(server.grpc).await.unwrap());
    let (mut sender, driver) = http2::handshake(TokioExecutor::new(), stream)
        .await
        .unwrap();
    tokio::spawn(driver);
    let head = stream::iter([Bytes::from_static(&[0, 0, 0x30, 0, 0])]);
    let large = head.chain(stream::repeat(Bytes::from_static(&[0; 16 * 1024])).take(100));
    let body = StreamBody::new(large.map(|data| Ok::<_, Infallible>(Frame::data(data))));
    let reflection = "http://localhost/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let request = hyper::Request::post(reflection).header("content-type", "application/grpc");
    let answer = tokio::spawn(sender.send_request(request.body(body).unwrap()));
    let series = r#"server_limits_hit_total{listener="gRPC",limit="half-sent messages"}"#;
    server.settles(series, 1.0).await;
    drop(answer);
    let full = server.metric(r#"server_limits_hit_total{listener="REST",limit="connections"}"#);
    assert!(full.await.unwrap() >= 1.0);
    server.running.signal(Signal::TERM);
    assert_eq!(server.running.end().await.code, Some(0));
}

#[tokio::test]
async fn an_answer_names_its_call_as_the_caller_did_or_anew() {
    let server = start(&[]).await;
    let named = http(server.rest, GOOD, "x-request-id: mine-1\r\n", "").await;
    assert_eq!(named.header("x-request-id"), Some("mine-1"));
    let refused = http(server.rest, "GET /nothing", "x-request-id: mine-2\r\n", "").await;
    assert_eq!(refused.header("x-request-id"), Some("mine-2"));
    let anew = http(server.rest, GOOD, "x-request-id: two words\r\n", "").await;
    let id = anew.header("x-request-id").expect("an id").to_owned();
    assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let another = http(server.rest, GOOD, "", "").await;
    assert_ne!(another.header("x-request-id").expect("an id"), id);

    let answer = server
        .greet(2021, &[("x-request-id", "mine-3")])
        .await
        .unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "mine-3");
    let status = server
        .greet(0, &[("x-request-id", "mine-4")])
        .await
        .unwrap_err();
    assert_eq!(status.metadata().get("x-request-id").unwrap(), "mine-4");
    // Over gRPC a made id goes where something refers to it.
    let well = server.greet(2021, &[]).await.unwrap();
    assert!(well.metadata().get("x-request-id").is_none());
    let badly = server.greet(0, &[]).await.unwrap_err();
    let id = badly.metadata().get("x-request-id").expect("an id");
    let details = tonic_types::StatusExt::get_error_details(&badly);
    let told = details.request_info().expect("the same").request_id.clone();
    assert_eq!(id.to_str().unwrap(), told);
    server.running.signal(Signal::TERM);
    assert_eq!(server.running.end().await.code, Some(0));
}

#[tokio::test]
async fn a_call_is_a_line_of_the_log_only_where_asked_with_its_ids_and_its_real_code() {
    let parent = format!("traceparent: 00-{TRACE}-b7ad6b7169203331-00\r\n");
    for (level, logged) in [("info", false), ("debug", true)] {
        let server = start(&["--log", level, "--log-format", "json"]).await;
        let headers = format!("x-request-id: mine-1\r\n{parent}");
        http(server.rest, GOOD, &headers, "").await;
        let _ = server.greet(0, &[("x-request-id", "mine-2")]).await;
        server.running.signal(Signal::TERM);
        let ended = server.running.end().await;
        let lines = ended.stderr.lines().map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            line
        });
        let calls: Vec<_> = lines
            .filter(|line| line["message"] == "a call ended")
            .collect();
        if !logged {
            assert_eq!(calls.len(), 0);
            continue;
        }
        assert_eq!(calls.len(), 2, "{}", ended.stderr);
        let [rest, grpc] = [&calls[0], &calls[1]];
        assert_eq!(
            (&rest["request_id"], &rest["trace_id"]),
            (&"mine-1".into(), &TRACE.into())
        );
        assert_eq!(
            (&rest["method"], &rest["code"]),
            (&"GET".into(), &"200".into())
        );
        assert_eq!(rest["path"], "/v1/get_greetings");
        assert_eq!(
            (&grpc["request_id"], &grpc["code"]),
            (&"mine-2".into(), &"INVALID_ARGUMENT".into())
        );
        assert_eq!(grpc["path"], METHOD);
        assert_eq!(grpc["trace_id"].as_str().map(str::len), Some(32));
        // What the service says meanwhile carries the same names.
        let said = format!(r#""request_id":"mine-1","trace_id":"{TRACE}""#);
        let mut lines = ended.stderr.lines();
        assert!(
            lines.any(|line| line.contains("Diwali, 2023") && line.contains(&said)),
            "{}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn the_process_says_what_it_takes_under_the_names_that_all_use() {
    let server = start(&[]).await;
    let cpu = server.metric("process_cpu_seconds_total").await.unwrap();
    assert!(cpu > 0.0 && cpu < 60.0, "{cpu}");
    for _ in 0..20 {
        assert_eq!(http(server.rest, GOOD, "", "").await.status, 200);
    }
    let later = server.metric("process_cpu_seconds_total").await.unwrap();
    assert!(later > cpu, "{later} after {cpu}");
    if cfg!(target_os = "linux") {
        let memory = server.metric("process_resident_memory_bytes").await;
        assert!(memory.unwrap() > 1e6, "{memory:?}");
    }
}

#[tokio::test]
async fn the_admin_listener_says_that_the_process_lives_and_when_it_goes_away() {
    let server = start(&["--drain-pause", "1h"]).await;
    let get = async |path| {
        let answer = http(server.admin, path, "", "").await;
        (answer.status, answer.body)
    };
    assert_eq!(get("GET /healthz").await.0, 200);
    assert_eq!(get("GET /readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(get("GET /").await.0, 404);
    assert_eq!(get("POST /metrics").await.0, 405);
    server.running.signal(Signal::TERM);
    let going = async { while get("GET /readyz").await.0 != 503 {} };
    timeout(PATIENCE, going).await.expect("it should say so");
    assert_eq!(get("GET /healthz").await.0, 200);
    let ended = server.running.end_by(Signal::TERM).await;
    assert_eq!(ended.code, Some(130));
}

/// An orchestrator that asked a full server for its health, and was refused, would kill it.
#[tokio::test]
async fn the_admin_listener_answers_where_it_is_told_to_and_while_no_more_calls_are_taken() {
    // All of 127.0.0.0/8 is loopback on Linux; elsewhere it is one address.
    let own = if cfg!(target_os = "linux") {
        "127.0.0.2"
    } else {
        "127.0.0.1"
    };
    let server = start(&["--admin-bind", own, "--max-calls", "1"]).await;
    assert_eq!(server.admin.ip().to_string(), own);
    let mut open = TcpStream::connect(server.rest).await.unwrap();
    let half = b"POST /v1/get_greetings HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{";
    open.write_all(half).await.unwrap();
    let rest = r#"{transport="REST",method="/v1/get_greetings"}"#;
    server
        .settles(&format!("server_calls_in_flight{rest}"), 1.0)
        .await;
    let answer = http(server.rest, "GET /healthz", "", "").await;
    assert_eq!(answer.status, 503);
    let answer = http(server.admin, "GET /healthz", "", "").await;
    assert_eq!((answer.status, &*answer.body), (200, "alive\n"));
    drop(open);
    let ended = server.running.end_by(Signal::TERM).await;
    assert_eq!(ended.code, Some(0));
}

#[tokio::test]
async fn a_taken_admin_port_that_was_asked_for_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let port = address.port().to_string();
    let args = [
        "--rest-port",
        "0",
        "--grpc-port",
        "0",
        "--admin-port",
        &port,
    ];
    let ended = run(program(DUAL_MODE, &args)).await;
    assert_eq!(
        ended.one_line_of_error(),
        format!(
            "error: the admin listener cannot listen on {address}: the port is taken; stop what \
             uses it, or choose another with --admin-port"
        )
    );
}

/// A collector that hands on what it is sent.
struct Collector(mpsc::Sender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let sent = self.0.send(request.into_inner()).await;
        sent.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Starts one. Its address, and the batches that come.
async fn collector() -> (String, mpsc::Receiver<ExportTraceServiceRequest>) {
    let socket = TcpListener::bind("127.0.0.1:0").await;
    let socket = socket.expect("loopback has a free port");
    let address = socket.local_addr().expect("it listens");
    let endpoint = format!("http://{address}");
    let (sender, received) = mpsc::channel(16);
    let collector = tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(Collector(sender)))
        .serve_with_incoming(TcpListenerStream::new(socket));
    tokio::spawn(collector);
    (endpoint, received)
}

#[tokio::test]
async fn spans_of_sampled_calls_reach_the_collector_at_the_latest_when_the_server_ends() {
    let (endpoint, mut received) = collector().await;

    // Only those that the caller samples.
    let server = start(&["--otlp-endpoint", &endpoint, "--trace-sample", "0"]).await;
    let parent = |flags| format!("traceparent: 00-{TRACE}-b7ad6b7169203331-{flags}\r\n");
    http(server.rest, GOOD, "", "").await;
    http(server.rest, GOOD, &parent("00"), "").await;
    http(server.rest, GOOD, &parent("01"), "").await;
    let sampled = format!("00-{TRACE}-b7ad6b7169203331-01");
    let _ = server.greet(0, &[("traceparent", &sampled)]).await;
    server.running.signal(Signal::TERM);
    assert_eq!(server.running.end().await.code, Some(0));
    // One batch, or two where the first had waited for long enough. All came before the end.
    let mut spans = Vec::new();
    while let Ok(batch) = received.try_recv() {
        let resource = &batch.resource_spans[0];
        let name = &resource.resource.as_ref().expect("a resource").attributes;
        assert!(name.iter().any(|pair| {
            pair.key == "service.name" && format!("{pair:?}").contains("dual-mode")
        }));
        spans.extend(resource.scope_spans[0].spans.clone());
    }
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(
        names,
        ["GET /v1/get_greetings", METHOD.trim_start_matches('/')]
    );
    for span in &spans {
        let trace: String = span
            .trace_id
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(trace, TRACE);
        assert_eq!(span.parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    }
    assert!(format!("{:?}", spans[1].attributes).contains("INVALID_ARGUMENT"));
}

/// The attributes of a span, as their names and values.
fn attributes(span: &Span) -> Vec<String> {
    let mut attributes = Vec::new();
    for pair in &span.attributes {
        let value = pair.value.as_ref().and_then(|value| value.value.as_ref());
        let value = match value {
            Some(Value::StringValue(text)) => format!("{text:?}"),
            Some(Value::IntValue(number)) => number.to_string(),
            other => panic!("{}: {other:?}", pair.key),
        };
        if pair.key != "request.id" {
            attributes.push(format!("{} = {value}", pair.key));
        }
    }
    attributes.sort();
    attributes
}

#[tokio::test]
async fn spans_are_described_as_opentelemetry_has_it_and_hold_no_path_of_a_strangers() {
    let (endpoint, mut received) = collector().await;
    let args = ["--otlp-endpoint", &endpoint, "--trace-sample", "1"];
    let edge = [&args[..], &["--ignore-traceparent"]].concat();
    let server = start(&edge).await;
    let parent = format!("traceparent: 00-{TRACE}-b7ad6b7169203331-01\r\n");
    http(server.rest, GOOD, &parent, "").await;
    http(server.rest, "GET /secret/of/a/stranger?x=1", &parent, "").await;
    http(server.rest, "BREW /v1/get_greetings", &parent, "").await;
    let _ = server.greet(0, &[]).await;
    let _ = http(
        server.rest,
        "POST /rpc",
        "content-type: application/json\r\n",
        r#"{"jsonrpc":"2.0","id":1,"method":"none"}"#,
    )
    .await;
    server.running.signal(Signal::TERM);
    assert_eq!(server.running.end().await.code, Some(0));
    let mut spans = Vec::new();
    while let Ok(batch) = received.try_recv() {
        spans.extend(batch.resource_spans[0].scope_spans[0].spans.clone());
    }
    let trace: Vec<u8> = (0..16)
        .map(|at| u8::from_str_radix(&TRACE[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    for span in &spans {
        assert_ne!(span.trace_id, trace, "the caller's is not believed");
        assert!(span.parent_span_id.is_empty(), "{span:?}");
        assert!(!format!("{span:?}").contains("stranger"), "{span:?}");
    }
    let http = |method: &str, status: u16, route: &[&str]| {
        let mut all = vec![
            format!("http.request.method = {method:?}"),
            format!("http.response.status_code = {status}"),
            "network.protocol.version = \"1.1\"".to_owned(),
            "url.scheme = \"http\"".to_owned(),
        ];
        for route in route {
            all.push(format!("http.route = {route:?}"));
            all.push(format!("url.path = {route:?}"));
        }
        all.sort();
        all
    };
    let greetings = ["/v1/get_greetings"];
    let method = METHOD.trim_start_matches('/');
    let expected = [
        ("GET /v1/get_greetings", http("GET", 200, &greetings)),
        ("GET", http("GET", 404, &[])),
        ("HTTP /v1/get_greetings", http("_OTHER", 405, &greetings)),
        (
            method,
            vec![
                "network.protocol.version = \"2\"".to_owned(),
                format!("rpc.method = {method:?}"),
                "rpc.response.status_code = \"INVALID_ARGUMENT\"".to_owned(),
                "rpc.system.name = \"grpc\"".to_owned(),
            ],
        ),
        ("POST /rpc", http("POST", 200, &["/rpc"])),
    ];
    for (span, (name, all)) in spans.iter().zip(&expected) {
        assert_eq!(
            &(span.name.as_str(), attributes(span)),
            &(*name, all.clone())
        );
    }
    assert_eq!(spans.len(), expected.len());
}

#[tokio::test]
async fn an_error_of_json_rpc_is_counted_as_what_it_is() {
    let server = start(&[]).await;
    let json = "content-type: application/json\r\n";
    let good = r#"{"jsonrpc":"2.0","id":1,"method":"get_greetings","params":{"messageType":"Holi","year":2021}}"#;
    let bad = r#"{"jsonrpc":"2.0","id":1,"method":"get_greetings","params":{}}"#;
    let unknown = r#"{"jsonrpc":"2.0","id":1,"method":"none"}"#;
    for body in [
        good,
        bad,
        unknown,
        "{",
        &format!("[{good},{bad}]"),
        &format!("[{good},{good}]"),
    ] {
        let answer = http(server.rest, "POST /rpc", json, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    for (code, calls) in [("200", 2.0), ("400", 3.0), ("404", 1.0)] {
        let labels = format!(r#"{{transport="REST",method="/rpc",code="{code}"}}"#);
        server
            .settles(&format!("server_calls_total{labels}"), calls)
            .await;
    }
    server.running.signal(Signal::TERM);
    assert_eq!(server.running.end().await.code, Some(0));
}

#[tokio::test]
async fn a_collector_that_is_not_there_keeps_neither_callers_nor_the_end() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let server = start(&["--otlp-endpoint", &endpoint, "--trace-sample", "1"]).await;
    for _ in 0..100 {
        assert_eq!(http(server.rest, GOOD, "", "").await.status, 200);
    }
    server.running.signal(Signal::TERM);
    let ended = timeout(PATIENCE, server.running.end()).await;
    assert_eq!(ended.expect("it should end").code, Some(0));
}
