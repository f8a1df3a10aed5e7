//! REST and gRPC on one port: which of the two a request goes to, and what holds for both together.

use proto::rest_grpc_dual_mode::{
    RequestMessage, greetings_generator_client::GreetingsGeneratorClient,
};
use rustix::process::Signal;
use tokio::{net::TcpListener, time::timeout};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
#[allow(dead_code, reason = "the other tests use the rest of it")]
#[path = "../../serving/tests/support/program.rs"]
mod program;
use common::{
    PATIENCE, Served, http,
    wire::{To, Wire},
};
use program::{Running, program};

const GOOD: &str = "GET /v1/get_greetings?messageType=Diwali&year=2023";
const METHOD: &str = "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetings";

/// messageType is Holi, and year 2021.
const MESSAGE: &[u8] = b"\x12\x04Holi\x18\xe5\x0f";

#[tokio::test]
async fn the_content_type_decides_and_nothing_else() {
    let served = Served::on_one_port(&[]).await;
    let mut wire = Wire::to(&served).await;
    let framed = [&[0, 0, 0, 0, 9], MESSAGE].concat();
    let post = format!("POST {METHOD}");
    // As REST sees it, there is nothing at this path, whatever the version of HTTP.
    for to in [To::Rest1, To::Rest2] {
        for content_type in ["application/json", "application/protobuf", "text/grpc"] {
            let headers = [("content-type", content_type)];
            let answer = wire.send(to, &post, &headers, framed.clone()).await;
            assert_eq!(answer.status, 404, "{to:?} {content_type}: {answer:?}");
            assert_eq!(answer.json()["reason"], "UNKNOWN_PATH");
        }
    }
    for content_type in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc-web",
        "application/grpc-web+proto",
    ] {
        let headers = [("content-type", content_type)];
        let answer = wire.send(To::Rest2, &post, &headers, framed.clone()).await;
        assert_eq!(answer.status, 200, "{content_type}: {answer:?}");
        let body = String::from_utf8_lossy(&answer.body);
        assert!(body.contains("(Holi, 2021)"), "{content_type}: {answer:?}");
    }
    // As gRPC sees it, there is no such method, and no gRPC over HTTP/1.1.
    let headers = [("content-type", "application/grpc")];
    let answer = wire.send(
        To::Rest2,
        "POST /v1/get_greetings",
        &headers,
        framed.clone(),
    );
    assert_eq!(answer.await.header("grpc-status"), "12");
    let answer = wire.send(To::Rest1, &post, &headers, framed.clone()).await;
    assert_eq!(answer.status, 415);
    // Only who asks beforehand says by this what is to come.
    let asks = [("access-control-request-headers", "x-grpc-web")];
    let answer = wire.send(To::Rest1, GOOD, &asks, "").await;
    assert_eq!(answer.status, 200);
    drop(wire);
    served.stop().await;
}

#[tokio::test]
async fn a_page_of_a_named_origin_may_ask_for_either() {
    let served = Served::on_one_port(&["https://shop.example"]).await;
    let mut wire = Wire::to(&served).await;
    for (path, will_send) in [
        ("/v1/get_greetings", "content-type"),
        (METHOD, "content-type,x-grpc-web"),
    ] {
        for (origin, admitted) in [
            ("https://shop.example", true),
            ("https://evil.example", false),
        ] {
            let headers = [
                ("origin", origin),
                ("access-control-request-method", "POST"),
                ("access-control-request-headers", will_send),
            ];
            let ask = format!("OPTIONS {path}");
            let answer = wire.send(To::Rest1, &ask, &headers, "").await;
            let allowed = answer.header("access-control-allow-origin");
            assert_eq!(allowed == origin, admitted, "{path} {origin}: {answer:?}");
        }
    }
    drop(wire);
    served.stop().await;
}

#[tokio::test]
async fn the_program_opens_one_port_counts_both_transports_and_ends_well() {
    // Where gRPC would have its own port, there is somebody else.
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let args = [
        "--one-port",
        "--rest-port",
        "0",
        "--grpc-port",
        &port,
        "--admin-port",
        "0",
    ];
    let mut running = Running::start(program(env!("CARGO_BIN_EXE_dual-mode"), &args));
    let rest = running.address("REST").await;
    let grpc = running.address("gRPC").await;
    let admin = running.address("metrics").await;
    assert_eq!(rest, grpc);

    assert_eq!(http(rest, GOOD, "", "").await.status, 200);
    let channel = serving::client::connect(&rest.to_string()).await.unwrap();
    let request = RequestMessage {
        message_type: "Holi".to_owned(),
        year: 2021,
        ..RequestMessage::default()
    };
    let mut stub = GreetingsGeneratorClient::new(channel.clone());
    stub.grpc_get_greetings(request).await.unwrap();
    let health = HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await;
    assert_eq!(
        health.unwrap().into_inner().status(),
        ServingStatus::Serving
    );

    let counted = async {
        loop {
            let metrics = http(admin, "GET /metrics", "", "").await.body;
            let one =
                |labels: &str| metrics.contains(&format!("server_calls_total{{{labels}}} 1\n"));
            if one(r#"transport="REST",method="/v1/get_greetings",code="200""#)
                && one(&format!(r#"transport="gRPC",method="{METHOD}",code="OK""#))
            {
                break;
            }
        }
    };
    timeout(PATIENCE, counted)
        .await
        .expect("both should be counted");
    running.signal(Signal::TERM);
    let ended = running.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
