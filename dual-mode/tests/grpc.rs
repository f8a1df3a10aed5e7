//! gRPC over a real socket: frames written by hand, and what operators ask.

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
use common::{PATIENCE, Served, wire::Wire};
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http2, header::HeaderMap};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serving::limits::Limits;
use tokio::{net::TcpStream, time::timeout};
use tokio_stream::once;
use tonic::{Code, Status};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1, v1alpha};
use tonic_types::StatusExt;

/// Sends one message, framed as PROTOCOL-HTTP2.md says, and returns the body of the answer and its
/// headers with its trailers.
async fn call(served: &Served, path: &str, message: &[u8]) -> (Vec<u8>, HeaderMap) {
    let length = u32::try_from(message.len()).expect("it is short");
    let body = [&[0], &length.to_be_bytes()[..], message].concat();
    let request = Request::post(format!("http://{}{path}", served.grpc))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from(body)))
        .expect("it is a request");
    let exchange = async {
        let connection = TcpStream::connect(served.grpc).await?;
        let connection = TokioIo::new(connection);
        let (mut client, driver) = http2::handshake(TokioExecutor::new(), connection).await?;
        tokio::spawn(driver);
        let answer = client.send_request(request).await?;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "application/grpc");
        let mut headers = answer.headers().clone();
        let body = answer.into_body().collect().await?;
        headers.extend(body.trailers().cloned().unwrap_or_default());
        Ok::<_, Box<dyn std::error::Error>>((body.to_bytes().to_vec(), headers))
    };
    let answer = timeout(PATIENCE, exchange).await;
    answer.expect("an answer should come").expect("and whole")
}

const METHOD: &str = "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetings";

#[tokio::test]
async fn the_originals_request_gets_the_originals_answer_byte_by_byte() {
    let served = Served::start().await;
    let request = b"\x0a\x04gRPC\x12\x04Holi\x18\xe5\x0f";
    let (body, headers) = call(&served, METHOD, request).await;
    let answer = b"\x0a\x3fHere is your greetings --> Today is a special day! (Holi, 2021)\x10\x01";
    assert_eq!(body[..5], [0, 0, 0, 0, 67]);
    assert_eq!(body[5..], answer[..]);
    assert_eq!(headers["grpc-status"], "0");
    served.stop().await;
}

#[tokio::test]
async fn a_request_with_fields_of_a_later_contract_is_answered() {
    let served = Served::start().await;
    let request = b"\x12\x04Holi\x18\xe5\x0f\x9a\x06\x03new";
    let (body, headers) = call(&served, METHOD, request).await;
    assert!(body.ends_with(b"(Holi, 2021)\x10\x01"), "{body:?}");
    assert_eq!(headers["grpc-status"], "0");
    served.stop().await;
}

#[tokio::test]
async fn what_cannot_be_answered_has_a_status_that_says_whose_fault_it_is() {
    let served = Served::start().await;
    let unknown_service = "/rest_grpc_dual_mode.Nobody/GRPCGetGreetings";
    let unknown_method = "/rest_grpc_dual_mode.GreetingsGenerator/Nothing";
    for (path, message, status, named) in [
        (METHOD, &b""[..], "3", "messageType"),
        (METHOD, b"\x12\x04Holi", "3", "year"),
        (METHOD, b"\x18\xe5\x0f", "3", "messageType"),
        (unknown_service, b"", "12", ""),
        (unknown_method, b"", "12", ""),
    ] {
        let (body, headers) = call(&served, path, message).await;
        assert_eq!(headers["grpc-status"], status, "{path}: {headers:?}");
        let text = headers
            .get("grpc-message")
            .map_or("", |m| m.to_str().unwrap());
        assert!(text.contains(named), "{path}: {headers:?}");
        assert!(body.is_empty(), "{path}: {body:?}");
    }
    served.stop().await;
}

#[tokio::test]
async fn the_server_and_its_service_report_that_they_serve() {
    let served = Served::start().await;
    let channel = serving::client::connect(&served.grpc.to_string()).await;
    let mut health = HealthClient::new(channel.unwrap());
    for service in ["", "rest_grpc_dual_mode.GreetingsGenerator"] {
        let service = service.to_owned();
        let answer = health.check(HealthCheckRequest { service }).await;
        assert_eq!(
            answer.unwrap().into_inner().status(),
            ServingStatus::Serving
        );
    }
    served.stop().await;
}

#[tokio::test]
async fn both_versions_of_reflection_know_the_method_and_the_details_of_errors() {
    let served = Served::start().await;
    let channel = serving::client::connect(&served.grpc.to_string()).await;
    let channel = channel.unwrap();
    // The two versions are the same messages in two packages.
    macro_rules! file {
        ($version:ident, $symbol:expr) => {{
            use $version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest,
                server_reflection_response::MessageResponse,
            };
            let request = ServerReflectionRequest {
                host: String::new(),
                message_request: Some(MessageRequest::FileContainingSymbol($symbol.to_owned())),
            };
            let mut client = ServerReflectionClient::new(channel.clone());
            let answers = client.server_reflection_info(once(request)).await;
            let answer = answers.unwrap().into_inner().message().await.unwrap();
            match answer.unwrap().message_response.unwrap() {
                MessageResponse::FileDescriptorResponse(file) => file.file_descriptor_proto,
                other => panic!("{other:?} is not a file"),
            }
        }};
    }
    for (symbol, name) in [
        (
            "rest_grpc_dual_mode.GreetingsGenerator.GRPCGetGreetings",
            &b"rest_grpc_dual_mode.proto"[..],
        ),
        ("google.rpc.BadRequest", b"error_details.proto"),
    ] {
        for files in [file!(v1, symbol), file!(v1alpha, symbol)] {
            assert!(files[0].windows(name.len()).any(|bytes| bytes == name));
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn a_refusal_has_the_details_that_programs_read() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    let id = [("x-request-id", "2b7e")];
    for (message, reason, fields) in [
        (&b""[..], "INVALID_ARGUMENT", &["messageType", "year"][..]),
        (b"\xff", "MALFORMED", &[]),
    ] {
        let answer = wire.grpc(METHOD, &id, message).await;
        let status = Status::from_header_map(&answer.headers).expect("a refusal has no message");
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let info = details.error_info().expect("always");
        assert_eq!(info.reason, reason);
        assert_eq!(info.domain, "rest_grpc_dual_mode.GreetingsGenerator");
        let bad = details.bad_request().map(|bad| &bad.field_violations[..]);
        let named: Vec<_> = bad
            .unwrap_or_default()
            .iter()
            .map(|v| &v.field[..])
            .collect();
        assert_eq!(named, fields);
        assert_eq!(
            details.request_info().expect("it was sent").request_id,
            "2b7e"
        );
        assert!(details.retry_info().is_none(), "the same again fails again");
    }
    served.stop().await;

    let full = Limits {
        calls: 0,
        ..Limits::default()
    };
    let served = Served::with(&full, &[]).await;
    let mut wire = Wire::to(&served).await;
    let answer = wire.grpc(METHOD, &[], b"").await;
    let status = Status::from_header_map(&answer.headers).expect("it is refused");
    let retry = status.get_error_details().retry_info().cloned();
    let delay = retry.and_then(|retry| retry.retry_delay);
    assert_eq!(delay, Some(serving::refusal::RETRY_AFTER));
    served.stop().await;
}

#[tokio::test]
async fn a_fault_with_many_violations_fits_the_headers_that_clients_take() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    // A thousand empty requests.
    let batch = b"\x0a\0".repeat(1000);
    let path = "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetingsBatch";
    let answer = wire.grpc(path, &[], &batch).await;
    let status = Status::from_header_map(&answer.headers).expect("it is refused");
    assert!(status.message().ends_with(", and 1999 more"), "{status:?}");
    let headers = answer.headers.iter();
    let size: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len() + 32)
        .sum();
    assert!(size < 8 * 1024, "{size} bytes of headers");
    served.stop().await;
}

#[tokio::test]
async fn bytes_behind_a_message_are_an_error_over_every_transport() {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use common::wire::{To, frame};
    use std::io::Write;
    const HOLI: &[u8] = b"\x12\x04Holi\x18\xe5\x0f";
    let gzip = |bytes: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    };
    let (whole, one) = (gzip(HOLI), frame(0, HOLI));
    let members = [gzip(&HOLI[..6]), gzip(&HOLI[6..])].concat();
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    for (body, packed, is_right) in [
        (one.clone(), false, true),
        ([&one[..], b"x"].concat(), false, false),
        // The head of a message of which nothing comes.
        ([&one[..], b"\0\0\0\0\x05"].concat(), false, false),
        (one[..8].to_vec(), false, false),
        (frame(1, &whole), true, true),
        (frame(1, &members), true, true),
        (frame(1, &[&whole[..], b"more"].concat()), true, false),
        (
            [&frame(1, &whole)[..], b"\0\0\0\0\x05"].concat(),
            true,
            false,
        ),
        // Nobody said that it is in gzip.
        (frame(1, &whole), false, false),
    ] {
        for (to, kind) in [
            (To::Grpc2, "application/grpc"),
            (To::Grpc1, "application/grpc-web"),
            (To::Grpc1, "application/grpc-web-text"),
        ] {
            let text = BASE64_STANDARD.encode(&body);
            let sent = match kind.ends_with("text") {
                true => text.into_bytes(),
                false => body.clone(),
            };
            let mut headers = vec![("content-type", kind), ("te", "trailers")];
            headers.extend(packed.then_some(("grpc-encoding", "gzip")));
            let answer = wire
                .send(to, &format!("POST {METHOD}"), &headers, sent)
                .await;
            // INVALID_ARGUMENT: all that was sent has come, and it is no message. Of a flag without an
            // encoding gRPC's compression.md wants INTERNAL.
            let code = match (body[0], packed) {
                (1, false) => "13",
                _ => "3",
            };
            let refused = answer.header("grpc-status") == code;
            assert_eq!(refused, !is_right, "{kind} {body:?}: {answer:?}");
            let is_greeted = matches!(answer.header("grpc-status"), "" | "0");
            assert_eq!(is_greeted, is_right, "{kind} {body:?}: {answer:?}");
        }
    }
    served.stop().await;
}
