//! Which host a request may name, and whose pages may ask, on every port.

use std::net::SocketAddr;

use rustix::process::Signal;

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "../../serving/tests/support/program.rs"]
mod program;
use common::{
    Answer, Served,
    wire::{To, Wire, frame},
    written,
};
use program::{Running, program};
use serving::limits::Limits;

const DUAL_MODE: &str = env!("CARGO_BIN_EXE_dual-mode");
const METHOD: &str = "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetings";
const HOLI: &[u8] = b"\x12\x04Holi\x18\xe5\x0f";
const JSON: &str = r#"{"messageType":"Holi","year":2021}"#;

/// The program with `more` options, and where its REST, gRPC and metrics are.
async fn start(more: &[&str]) -> (Running, [SocketAddr; 3]) {
    let ports = ["--rest-port", "0", "--grpc-port", "0", "--admin-port", "0"];
    let mut server = Running::start(program(DUAL_MODE, &[&ports, more].concat()));
    let rest = server.address("REST").await;
    let grpc = server.address("gRPC").await;
    let metrics = server.address("metrics").await;
    (server, [rest, grpc, metrics])
}

/// The answer to `GET target` with `headers`.
async fn get(to: SocketAddr, target: &str, version: &str, headers: &str) -> Answer {
    let request = format!("GET {target} HTTP/{version}\r\n{headers}connection: close\r\n\r\n");
    written(to, request.as_bytes()).await
}

#[tokio::test]
async fn a_request_that_does_not_name_one_host_is_refused_on_every_port() {
    let (server, ports) = start(&[]).await;
    for port in ports {
        for headers in [
            "",
            "host: a\r\nhost: b\r\n",
            "host: a\r\nhost: a\r\n",
            "host: a b/c@\r\n",
            "host: me@a\r\n",
            "host:\r\n",
            "host: a:b\r\n",
        ] {
            let answer = get(port, "/healthz", "1.1", headers).await;
            assert_eq!(answer.status, 400, "{port} {headers}: {answer:?}");
        }
        for (version, headers) in [("1.1", "host: any.example:1\r\n"), ("1.0", "")] {
            let answer = get(port, "/healthz", version, headers).await;
            let is_grpc = port == ports[1];
            let status = if is_grpc { 415 } else { 200 };
            assert_eq!(answer.status, status, "{port} {headers}: {answer:?}");
        }
    }
    server.signal(Signal::TERM);
    assert_eq!(server.end().await.code, Some(0));
}

#[tokio::test]
async fn a_server_that_knows_its_hosts_answers_to_no_other_on_any_port() {
    let (server, ports) = start(&["--allowed-host", "shop.example,b.example"]).await;
    for port in ports {
        for (host, is_known) in [
            ("shop.example:8080", true),
            ("B.example", true),
            ("localhost", true),
            ("x.localhost:1", true),
            ("127.0.0.1", true),
            ("[::1]:7", true),
            ("evil.example", false),
        ] {
            let by_header = get(port, "/healthz", "1.1", &format!("host: {host}\r\n")).await;
            let target = format!("http://{host}/healthz");
            let by_target = get(port, &target, "1.1", "host: localhost\r\n").await;
            for answer in [by_header, by_target] {
                let is_misdirected = answer.status == 421;
                assert_eq!(is_misdirected, !is_known, "{port} {host}: {answer:?}");
                let way_out = answer.body.contains("--allowed-host")
                    || answer
                        .header("grpc-message")
                        .is_some_and(|text| text.contains("--allowed-host"));
                assert_eq!(way_out, is_misdirected, "{answer:?}");
            }
        }
    }
    server.signal(Signal::TERM);
    assert_eq!(server.end().await.code, Some(0));
}

#[tokio::test]
async fn a_page_under_a_name_of_its_own_is_not_the_servers() {
    let served = Served::start().await;
    let known = Served::called(&["shop.example"], &Limits::default(), &[]).await;
    for (served, name, is_own) in [
        (&served, "evil.example", false),
        (&served, "localhost", true),
        (&known, "shop.example", true),
        (&known, "evil.example", false),
    ] {
        let request = format!(
            "OPTIONS {METHOD} HTTP/1.1\r\nhost: {name}:{}\r\norigin: http://{name}:{}\r\n\
             access-control-request-method: POST\r\nconnection: close\r\n\r\n",
            served.grpc.port(),
            served.rest.port()
        );
        let answer = written(served.grpc, request.as_bytes()).await;
        let admitted = answer.header("access-control-allow-origin").is_some();
        assert_eq!(admitted, is_own, "{name}: {answer:?}");
    }
    known.stop().await;
    served.stop().await;
}

#[tokio::test]
async fn a_post_of_a_foreign_page_is_refused_whatever_its_content_type() {
    let shop = "https://shop.example";
    let served = Served::with(&Limits::default(), &[shop]).await;
    let mut wire = Wire::to(&served).await;
    let own = format!("http://{}", served.rest);
    let rpc = r#"{"jsonrpc":"2.0","method":"get_greetings","params":{"messageType":"a","year":1},"id":1}"#;
    let (evil, null) = ("http://evil.example", "null");
    for (from, site, is_foreign) in [
        ("", "", false),
        ("", "none", false),
        ("", "cross-site", true),
        (evil, "", true),
        (evil, "cross-site", true),
        (null, "cross-site", true),
        (shop, "cross-site", false),
        (&own, "", false),
        (&own, "same-origin", false),
    ] {
        for kind in ["", "application/json", "application/x-www-form-urlencoded"] {
            let headers = [
                ("origin", from),
                ("sec-fetch-site", site),
                ("content-type", kind),
            ];
            let headers: Vec<_> = headers
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .collect();
            for (to, body) in [("POST /v1/get_greetings", JSON), ("POST /rpc", rpc)] {
                for over in [To::Rest1, To::Rest2] {
                    let answer = wire.send(over, to, &headers, body).await;
                    let status = if is_foreign { 403 } else { 200 };
                    assert_eq!(answer.status, status, "{from} {site} {kind}: {answer:?}");
                }
            }
        }
        let web = [
            ("content-type", "application/grpc-web"),
            ("origin", from),
            ("sec-fetch-site", site),
        ];
        let web: Vec<_> = web
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let to = format!("POST {METHOD}");
        let answer = wire.send(To::Grpc1, &to, &web, frame(0, HOLI)).await;
        assert_eq!(
            answer.status == 403,
            is_foreign,
            "{from} {site}: {answer:?}"
        );
        assert_eq!(
            answer.header("grpc-status") == "7",
            is_foreign,
            "{answer:?}"
        );
    }
    served.stop().await;
}

#[tokio::test]
async fn the_page_of_a_server_behind_a_proxy_is_named() {
    let public = "https://public.example";
    let (server, [rest, grpc, _]) = start(&["--public-origin", public]).await;
    for (from, is_own) in [(public, true), ("https://evil.example", false)] {
        let head = format!("HTTP/1.1\r\nhost: inside\r\nconnection: close\r\norigin: {from}\r\n");
        let post = format!(
            "POST /v1/get_greetings {head}content-length: {}\r\n\r\n{JSON}",
            JSON.len()
        );
        let status = written(rest, post.as_bytes()).await.status;
        assert_eq!(status, if is_own { 200 } else { 403 }, "{from}");
        let asked = format!("OPTIONS {METHOD} {head}access-control-request-method: POST\r\n\r\n");
        let answer = written(grpc, asked.as_bytes()).await;
        let admitted = answer.header("access-control-allow-origin");
        assert_eq!(admitted, is_own.then_some(from));
    }
    server.signal(Signal::TERM);
    assert_eq!(server.end().await.code, Some(0));
}
