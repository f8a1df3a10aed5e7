//! What browsers, proxies and thrifty clients ask for beside the answer: CORS, gzip, HEAD, OPTIONS,
//! gRPC-Web as text.

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
use common::{
    Served,
    wire::{To, Whole, Wire, frame},
};
use serving::limits::Limits;

const GET: &str = "/v1/get_greetings?messageType=Holi&year=2021";
const ONE: &str = "POST /v1/get_greetings";
const BATCH: &str = "POST /v1/get_greetings:batch";
const METHOD: &str = "POST /rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetings";
const BATCH_METHOD: &str = "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetingsBatch";
const HOLI: &[u8] = b"\x12\x04Holi\x18\xe5\x0f";

/// A batch of a hundred in protobuf.
fn hundred() -> Vec<u8> {
    [&[0x0a, HOLI.len() as u8], HOLI].concat().repeat(100)
}

fn admitted(answer: &Whole) -> &str {
    answer.header("access-control-allow-origin")
}

#[tokio::test]
async fn head_is_get_without_the_body_and_options_says_what_a_path_takes() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    for to in [To::Rest1, To::Rest2] {
        let get = wire.send(to, &format!("GET {GET}"), &[], "").await;
        let head = wire.send(to, &format!("HEAD {GET}"), &[], "").await;
        assert_eq!((head.status, head.body.len()), (get.status, 0));
        for name in ["content-type", "content-length", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{name}");
        }
        for (path, allow) in [
            ("/v1/get_greetings", "GET, HEAD, POST, OPTIONS"),
            ("/v1/get_greetings:batch", "POST, OPTIONS"),
            ("/readyz", "GET, HEAD, OPTIONS"),
        ] {
            let answer = wire.send(to, &format!("OPTIONS {path}"), &[], "").await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("allow")),
                (204, allow)
            );
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn a_long_answer_is_compressed_for_those_who_ask_and_a_short_one_is_not() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    let protobuf = ("content-type", "application/protobuf");
    let plain = wire.send(To::Rest1, BATCH, &[protobuf], hundred()).await;
    assert_eq!(plain.header("content-encoding"), "");
    for accepted in ["gzip", "gzip, deflate, br, zstd", "br;q=1, gzip;q=0.5"] {
        let asked = [protobuf, ("accept-encoding", accepted)];
        let answer = wire.send(To::Rest1, BATCH, &asked, hundred()).await;
        assert_eq!(answer.header("content-encoding"), "gzip", "{accepted}");
        assert!(answer.header("vary").contains("accept-encoding"));
        assert!(answer.body.starts_with(b"\x1f\x8b"), "gzip begins so");
        assert!(answer.body.len() < plain.body.len() / 5);
    }
    let short = wire
        .send(
            To::Rest1,
            ONE,
            &[protobuf, ("accept-encoding", "gzip")],
            HOLI,
        )
        .await;
    assert_eq!(short.header("content-encoding"), "");
    let none = [protobuf, ("accept-encoding", "gzip;q=0, br")];
    let none = wire.send(To::Rest1, BATCH, &none, hundred()).await;
    assert_eq!(none.header("content-encoding"), "");
    served.stop().await;
}

#[tokio::test]
async fn grpc_compresses_a_long_message_for_those_who_ask_and_not_a_short_one() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    let headers = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-accept-encoding", "identity, deflate, gzip"),
    ];
    for (path, message, compressed) in [
        (METHOD, HOLI.to_vec(), 0),
        (&format!("POST {BATCH_METHOD}")[..], hundred(), 1),
    ] {
        let answer = wire
            .send(To::Grpc2, path, &headers, frame(0, &message))
            .await;
        assert_eq!(answer.header("grpc-status"), "0", "{answer:?}");
        assert_eq!(answer.body[0], compressed, "{path}");
    }
    let plain = wire.grpc(BATCH_METHOD, &[], &hundred()).await;
    assert!(plain.body.ends_with(b"(Holi, 2021)\x10\x01"));
    served.stop().await;
}

#[tokio::test]
async fn a_message_that_unpacks_to_more_than_the_limit_is_refused() {
    use std::io::Write;
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![0; 64 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    let headers = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-encoding", "gzip"),
    ];
    let answer = wire
        .send(To::Grpc2, METHOD, &headers, frame(1, &bomb))
        .await;
    assert_eq!(answer.header("grpc-status"), "8", "{answer:?}");
    served.stop().await;
}

#[tokio::test]
async fn no_page_but_the_servers_own_may_read_answers_unless_it_is_named() {
    let shop = "https://shop.example";
    let served = Served::with(&Limits::default(), &[shop]).await;
    let closed = Served::start().await;
    let mut wires = [Wire::to(&served).await, Wire::to(&closed).await];
    let own = format!("http://127.0.0.1:{}", served.rest.port());
    for (named, wire) in [(true, 0), (false, 1)].map(|(named, w)| (named, w)) {
        let wire = &mut wires[wire];
        let web = ("content-type", "application/grpc-web+proto");
        for (origin, on_rest, on_grpc) in [
            (shop, named, named),
            ("https://evil.example", false, false),
            ("https://shop.example.evil.example", false, false),
            ("null", false, false),
            (&own, false, named),
        ] {
            let from = ("origin", origin);
            let rest = wire
                .send(To::Rest1, &format!("GET {GET}"), &[from], "")
                .await;
            let grpc = wire
                .send(To::Grpc1, METHOD, &[web, from], frame(0, HOLI))
                .await;
            for (answer, read) in [(&rest, on_rest), (&grpc, on_grpc)] {
                assert_eq!(answer.status, 200);
                assert_eq!(
                    admitted(answer),
                    if read { origin } else { "" },
                    "{answer:?}"
                );
            }
            let asked = [
                from,
                ("access-control-request-method", "POST"),
                (
                    "access-control-request-headers",
                    "content-type,x-grpc-web,grpc-timeout",
                ),
            ];
            let grpc = wire
                .send(To::Grpc1, &METHOD.replace("POST", "OPTIONS"), &asked, "")
                .await;
            assert_eq!(
                admitted(&grpc),
                if on_grpc { origin } else { "" },
                "{grpc:?}"
            );
            if on_grpc {
                let headers = grpc.header("access-control-allow-headers");
                assert!(headers.contains("x-grpc-web"), "{headers}");
            }
        }
    }
    let plain = wires[0]
        .send(To::Rest1, &format!("GET {GET}"), &[], "")
        .await;
    assert_eq!(admitted(&plain), "");
    served.stop().await;
    closed.stop().await;
}

#[tokio::test]
async fn grpc_web_works_as_text_and_over_http2_too() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    // The frame of HOLI in base64.
    let text = "AAAAAAkSBEhvbGkY5Q8=";
    let kind = "application/grpc-web-text";
    let headers = [
        ("content-type", kind),
        ("accept", kind),
        ("x-grpc-web", "1"),
    ];
    for to in [To::Grpc1, To::Grpc2] {
        let answer = wire.send(to, METHOD, &headers, text).await;
        assert_eq!(
            answer.header("content-type"),
            "application/grpc-web-text+proto"
        );
        // `\0\0\0\0\x43\x0a\x3fHere` in base64.
        assert!(answer.body.starts_with(b"AAAAAEMKP0hlcmU"), "{answer:?}");
    }
    served.stop().await;
}

#[tokio::test]
async fn grpc_over_http_1_is_told_what_to_speak() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    for headers in [&[("content-type", "application/grpc")][..], &[]] {
        let answer = wire.send(To::Grpc1, METHOD, headers, frame(0, HOLI)).await;
        assert_eq!(answer.status, 415);
        assert!(
            answer.header("accept").contains("application/grpc-web"),
            "{answer:?}"
        );
    }
    served.stop().await;
}
