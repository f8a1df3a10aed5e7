//! The errors of a client when there is no answer.

use std::time::Duration;

use serving::client::{CallError, call_error, code_name, connect, watched, with_deadline};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
    time::timeout,
};
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/wire.rs"]
mod wire;

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn an_address_is_read_with_or_without_a_scheme() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    for address in [&address, &format!("http://{address}")] {
        let connected = timeout(PATIENCE, connect(address)).await.unwrap();
        assert!(connected.is_ok(), "{address}: {connected:?}");
    }
}

#[tokio::test]
async fn a_refused_connection_names_the_address_without_its_scheme() {
    // Bound but not listening: nobody else can take the port meanwhile.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    for written in [&address, &format!("http://{address}/")] {
        let refused = timeout(PATIENCE, connect(written)).await.unwrap();
        match refused {
            Err(CallError::Refused { address: named }) => assert_eq!(named, address),
            other => panic!("{written}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_told_apart_from_one_that_cannot_be_reached() {
    for (address, expected) in [
        ("", "it is not a URL"),
        ("/", "it is not a URL"),
        ("https://localhost:1", "its scheme is not http"),
        ("http://:1", "it has no host"),
        ("http://localhost:", "its port is not between 1 and 65535"),
        ("localhost:0", "its port is not between 1 and 65535"),
        ("localhost:65536", "its port is not between 1 and 65535"),
        ("9:99999", "its port is not between 1 and 65535"),
        ("[::1]:65536", "its port is not between 1 and 65535"),
        ("9@localhost:99999", "its port is not between 1 and 65535"),
    ] {
        match timeout(PATIENCE, connect(address)).await.unwrap() {
            Err(CallError::Address { address: a, reason }) => {
                assert_eq!((a.as_str(), reason.as_str()), (address, expected));
            }
            other => panic!("{address:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_host_without_an_address_is_unknown() {
    // A label has at most 63 characters (RFC 1035), so no network is asked.
    let host = format!("{}.invalid", "a".repeat(64));
    match timeout(PATIENCE, connect(&host)).await.unwrap() {
        Err(CallError::UnknownHost { host: named }) => assert_eq!(named, host),
        other => panic!("{other:?}"),
    }
}

const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;

/// A server that answers the call on each stream with the bytes that `answer` has for it.
async fn answering(answer: impl Fn(u32) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        loop {
            let (mut peer, _) = listener.accept().await.expect("a client comes");
            peer.read_exact(&mut [0; 24])
                .await
                .expect("the preface comes");
            peer.write_all(&wire::frame(4, 0, 0, &[]))
                .await
                .expect("the client reads");
            while let Some((kind, _, stream, _)) = wire::read_frame(&mut peer).await {
                if kind == 1 {
                    let answer = answer(stream);
                    peer.write_all(&answer).await.expect("the client reads");
                }
            }
        }
    });
    address.to_string()
}

/// One that answers each call with a frame of the kind `answer`, RST_STREAM or GOAWAY, with the error code
/// `reason` (RFC 9113 §6 and §7).
async fn ends(answer: u8, reason: u8) -> String {
    answering(move |stream| match answer {
        GOAWAY => wire::frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, reason]),
        _ => wire::frame(RST_STREAM, 0, stream, &[0, 0, 0, reason]),
    })
    .await
}

#[tokio::test]
async fn a_call_that_is_ended_on_purpose_is_not_one_to_try_again() {
    for (kind, reason, unavailable, says) in [
        (
            RST_STREAM,
            1,
            false,
            "INTERNAL: it ended the call with PROTOCOL_ERROR",
        ),
        (
            RST_STREAM,
            2,
            false,
            "INTERNAL: it ended the call with INTERNAL_ERROR",
        ),
        (RST_STREAM, 7, true, "the connection broke off"),
        (
            RST_STREAM,
            8,
            false,
            "CANCELLED: it ended the call with CANCEL",
        ),
        (
            RST_STREAM,
            11,
            false,
            "EXHAUSTED: it ended the call with ENHANCE_YOUR_CALM",
        ),
        (GOAWAY, 0, true, "the connection broke off"),
        (GOAWAY, 2, true, "the connection broke off"),
        (
            GOAWAY,
            11,
            false,
            "EXHAUSTED: it ended the call with ENHANCE_YOUR_CALM",
        ),
    ] {
        let channel = connect(&ends(kind, reason).await).await.unwrap();
        let mut health = HealthClient::new(channel);
        let status = health
            .check(HealthCheckRequest::default())
            .await
            .unwrap_err();
        let error = call_error(&status, Duration::from_secs(1));
        assert_eq!(
            error.is_unavailable(),
            unavailable,
            "{kind} {reason}: {error}"
        );
        assert!(error.to_string().contains(says), "{kind} {reason}: {error}");
    }
}

#[tokio::test]
async fn a_server_of_something_else_is_told_from_one_that_is_unavailable() {
    for speaks in [
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "\x15\x03\x01\0\x02\x02\x32",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.unwrap();
            peer.write_all(speaks.as_bytes()).await.unwrap();
            // What the client writes is read, so that nothing is broken off.
            while peer.read(&mut [0; 512]).await.is_ok_and(|read| read > 0) {}
        });
        let mut health = HealthClient::new(connect(&address).await.unwrap());
        let status = timeout(PATIENCE, health.check(HealthCheckRequest::default())).await;
        let error = call_error(&status.unwrap().unwrap_err(), PATIENCE);
        assert!(!error.is_unavailable(), "{speaks:?}: {error}");
        assert!(error.to_string().contains("TLS?"), "{speaks:?}: {error}");
    }
}

#[tokio::test]
async fn rest_over_http2_is_told_as_what_it_is() {
    // `:status: 404` of HPACK's static table.
    let error = error_of_http(&[0x8d]).await.to_string();
    assert!(
        error.starts_with("what came back is no gRPC (HTTP 404 Not Found); is it the port"),
        "{error}"
    );
}

/// As the specification has it (http-grpc-status-mapping.md).
#[tokio::test]
async fn a_gateway_without_its_server_is_unavailable() {
    // `:status` of the static table, and a value of three bytes.
    let head = [&[0x08, 3][..], b"503"].concat();
    let error = error_of_http(&head).await;
    assert!(error.is_unavailable(), "{error}");
    assert!(
        error.to_string().contains("HTTP 503 Service Unavailable"),
        "{error}"
    );
}

/// The error of a client for an answer over HTTP/2 with this head, as HPACK has it, and a body that is not gRPC.
async fn error_of_http(head: &[u8]) -> CallError {
    let head = head.to_vec();
    let answer = move |stream| {
        let head = wire::frame(1, 0x4, stream, &head);
        let body = wire::frame(0, 0x1, stream, b"<html>Nobody is here</html>");
        [head, body].concat()
    };
    let address = answering(answer).await;
    let mut health = HealthClient::new(connect(&address).await.expect("somebody listens"));
    let status = health.check(HealthCheckRequest::default()).await;
    call_error(&status.expect_err("it is no gRPC"), PATIENCE)
}

/// A header as HPACK has it without an index, by a name of its static table or of its own.
fn header(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    [&[0][..], &text(name), &text(value)].concat()
}

/// The error of a client that watches its call, for an answer over HTTP/2 with these headers beside `:status: 200`,
/// this body, and these trailers.
async fn watched_error(
    headers: &[(&str, &str)],
    body: &'static [u8],
    trailers: &[(&str, &str)],
) -> CallError {
    let block = |fields: &[(&str, &str)]| {
        let fields = fields.iter().map(|(name, value)| header(name, value));
        fields.collect::<Vec<_>>().concat()
    };
    let (head, trailers) = ([vec![0x88], block(headers)].concat(), block(trailers));
    let address = answering(move |stream| {
        let head = wire::frame(1, 0x4, stream, &head);
        let last = u8::from(trailers.is_empty());
        let body = wire::frame(0, last, stream, body);
        match last {
            1 => [head, body].concat(),
            _ => [head, body, wire::frame(1, 0x5, stream, &trailers)].concat(),
        }
    })
    .await;
    let channel = connect(&address).await.expect("somebody listens");
    let (channel, witness) = watched(channel);
    let status = HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await;
    witness.error(&status.expect_err("it is no answer"), PATIENCE)
}

#[tokio::test]
async fn a_page_with_200_is_no_grpc() {
    let html = [("content-type", "text/html")];
    let error = watched_error(&html, b"<html>Welcome</html>", &[]).await;
    assert!(!error.is_unavailable());
    assert!(
        error
            .to_string()
            .starts_with("what came back is no gRPC (HTTP 200 OK with text/html); is it the port"),
        "{error}"
    );
}

#[tokio::test]
async fn what_the_client_finds_is_not_said_to_be_the_servers_word() {
    let grpc = [("content-type", "application/grpc")];
    // A message that is no protobuf: the text is that of the client's own codec.
    let error = watched_error(&grpc, b"\0\0\0\0\x01\xff", &[("grpc-status", "0")]).await;
    let said = error.to_string();
    let begin = "the client cannot use what the server answered: failed to decode";
    assert!(said.starts_with(begin), "{said}");
    // The same text, if it is the server that says it.
    let text = "failed to decode Protobuf message";
    let trailers = [("grpc-status", "3"), ("grpc-message", text)];
    let error = watched_error(&grpc, b"", &trailers).await;
    assert_eq!(
        error.to_string(),
        format!("the server answered INVALID_ARGUMENT: {text}")
    );
}

#[tokio::test]
async fn details_that_cannot_be_read_take_nothing_from_the_status() {
    let grpc = [("content-type", "application/grpc")];
    let status = [
        ("grpc-status", "5"),
        ("grpc-message", "not there"),
        ("grpc-status-details-bin", "%%%"),
    ];
    let error = watched_error(&grpc, b"", &status).await;
    assert_eq!(
        error.to_string(),
        "the server answered NOT_FOUND: not there"
    );
}

#[tokio::test]
async fn the_status_is_that_of_the_trailers_where_there_are_any() {
    let head = [("content-type", "application/grpc"), ("grpc-status", "8")];
    let trailers = [("grpc-status", "9"), ("grpc-message", "not yet")];
    let error = watched_error(&head, b"", &trailers).await;
    assert_eq!(
        error.to_string(),
        "the server answered FAILED_PRECONDITION: not yet"
    );
    // A body that ends without any has no status, whatever its head says.
    let error = watched_error(&head, b"", &[]).await;
    assert!(
        error
            .to_string()
            .starts_with("the client cannot use what the server answered"),
        "{error}"
    );
}

#[tokio::test]
async fn the_time_that_a_server_asks_for_comes_with_its_status() {
    use tonic_types::{ErrorDetails, StatusExt};
    let asked = Duration::from_secs(7);
    let details = ErrorDetails::with_retry_info(Some(asked));
    let status = Status::with_error_details(Code::ResourceExhausted, "later", details);
    let error = call_error(&status, PATIENCE);
    assert_eq!(error.retry_after(), Some(asked), "{error}");
    let status = Status::resource_exhausted("never");
    assert_eq!(call_error(&status, PATIENCE).retry_after(), None);
}

#[tokio::test]
async fn the_timer_of_the_transport_is_the_deadline_too() {
    // The system accepts the connection; nobody ever reads from it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut health = HealthClient::new(connect(&address).await.unwrap());
    let deadline = Duration::from_millis(10);
    let request = with_deadline(HealthCheckRequest::default(), deadline);
    let status = timeout(PATIENCE, health.check(request)).await.unwrap();
    let status = status.unwrap_err();
    let error = call_error(&status, deadline);
    assert!(matches!(error, CallError::Deadline { .. }), "{error}");
}

#[test]
fn a_status_is_told_by_its_name_in_the_specification_on_one_line() {
    let deadline = Duration::from_secs(2);
    for (status, line) in [
        (
            Status::deadline_exceeded("late"),
            "DEADLINE_EXCEEDED: no answer within 2s; --deadline sets how long to wait",
        ),
        (
            Status::invalid_argument("year must\nbe\u{1b}[31m"),
            "the server answered INVALID_ARGUMENT: year must be [31m",
        ),
        (
            Status::cancelled("by the server"),
            "the server answered CANCELLED: by the server",
        ),
        (
            Status::unknown(""),
            "the server answered UNKNOWN: it gave no reason",
        ),
        (
            Status::unimplemented(""),
            "the server answered UNIMPLEMENTED: it has no such service or method; is it another server?",
        ),
    ] {
        assert_eq!(call_error(&status, deadline).to_string(), line);
    }
}

#[test]
fn every_code_has_the_name_of_the_specification() {
    let names: Vec<_> = (0..=16)
        .map(|code| code_name(Code::from_i32(code)))
        .collect();
    // https://grpc.io/docs/guides/status-codes/, in the order of their numbers.
    let expected = "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND \
                    ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION \
                    ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS \
                    UNAUTHENTICATED";
    assert_eq!(names.join(" "), expected);
}
