//! Extras that browsers, proxies and thrifty clients ask for beside the answer: CORS, gzip, HEAD,
//! OPTIONS, gRPC-Web as text.

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
use common::{
    Served,
    wire::{To, Whole, Wire, frame},
};
use serving::limits::Limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

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
            // What may change something is not even asked for it.
            assert_eq!(rest.status, 200, "{rest:?}");
            assert_eq!(grpc.status, if on_grpc { 200 } else { 403 }, "{grpc:?}");
            for (answer, read) in [(&rest, on_rest), (&grpc, on_grpc)] {
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
async fn a_page_that_may_read_answers_may_read_refusals_of_any_kind() {
    let shop = ("origin", "https://shop.example");
    let web = ("content-type", "application/grpc-web+proto");
    let soon = ("grpc-timeout", "50m");
    let full = Limits {
        calls: 0,
        ..Limits::default()
    };
    let served = Served::with(&Limits::default(), &[shop.1]).await;
    let refusing = Served::with(&full, &[shop.1]).await;
    let mut wire = Wire::to(&served).await;
    let mut overloaded = Wire::to(&refusing).await;
    let long = |path: &str| format!("{path}?{}", "x".repeat(9000));
    let soon_json = [shop, soon];
    let soon_web = [shop, soon, web, ("te", "trailers")];
    let malformed = [shop, web, ("grpc-timeout", "soon")];
    let answers = [
        (404, wire.send(To::Rest1, "GET /nothing", &[shop], "").await),
        (
            405,
            wire.send(To::Rest1, &ONE.replace("POST", "PUT"), &[shop], "")
                .await,
        ),
        (
            415,
            wire.send(To::Rest1, ONE, &[shop, ("content-type", "x/y")], "")
                .await,
        ),
        (414, wire.send(To::Rest1, &long("GET /"), &[shop], "").await),
        (400, wire.send(To::Rest1, ONE, &malformed, "{}").await),
        (
            504,
            wire.send_unfinished(To::Rest2, ONE, &soon_json, b"{").await,
        ),
        (503, overloaded.send(To::Rest1, ONE, &[shop], "{}").await),
        (415, wire.send(To::Grpc1, METHOD, &[shop], "").await),
        (
            405,
            wire.send(To::Grpc1, &METHOD.replace("POST", "GET"), &[shop, web], "")
                .await,
        ),
        (
            200,
            wire.send(To::Grpc1, &long(METHOD), &[shop, web], "").await,
        ),
        (200, wire.send(To::Grpc1, METHOD, &malformed, "").await),
        (
            200,
            wire.send_unfinished(To::Grpc2, METHOD, &soon_web, b"\0\0")
                .await,
        ),
        (
            200,
            overloaded.send(To::Grpc1, METHOD, &[shop, web], "").await,
        ),
    ];
    for (status, answer) in answers {
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(admitted(&answer), shop.1, "{answer:?}");
        let read = answer.header("access-control-expose-headers");
        assert!(
            read.contains("grpc-status") && read.contains("retry-after"),
            "{answer:?}"
        );
        let greeted = answer.status == 200 && answer.header("grpc-status") == "0";
        assert!(!greeted, "{answer:?}");
    }
    // What the browser asks beforehand takes no place: the page is told of the overload itself.
    let asks = [shop, ("access-control-request-method", "POST")];
    for (to, path) in [(To::Rest1, ONE), (To::Grpc1, METHOD)] {
        let path = path.replace("POST", "OPTIONS");
        let answer = overloaded.send(to, &path, &asks, "").await;
        assert_eq!((answer.status.as_u16(), admitted(&answer)), (204, shop.1));
        assert_eq!(answer.header("access-control-allow-methods"), "GET,POST");
    }
    served.stop().await;
    refusing.stop().await;
}

#[tokio::test]
async fn where_no_page_may_read_answers_no_header_speaks_of_it() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    let from = [
        ("origin", "https://shop.example"),
        ("access-control-request-method", "POST"),
        ("accept-encoding", "gzip"),
    ];
    for path in [
        &format!("GET {GET}"),
        "OPTIONS /v1/get_greetings",
        "GET /no",
    ] {
        let answer = wire.send(To::Rest1, path, &from, "").await;
        for name in answer.headers.keys() {
            assert!(!name.as_str().starts_with("access-control"), "{answer:?}");
        }
        assert!(!varies_by(&answer).contains(&"origin"), "{answer:?}");
        // It is an ordinary question about the path.
        assert!(!path.starts_with("OPTIONS") || answer.header("allow").contains("POST"));
    }
    served.stop().await;
}

/// The names in `vary`, in their order.
fn varies_by(answer: &Whole) -> Vec<&str> {
    let values = answer.headers.get_all("vary").iter();
    let values = values.flat_map(|value| value.to_str().expect("ASCII").split(','));
    let mut names: Vec<_> = values.map(str::trim).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn caches_are_told_by_what_an_answer_varies_and_once() {
    let shop = ("origin", "https://shop.example");
    let gzip = ("accept-encoding", "gzip");
    let open = Served::with(&Limits::default(), &[shop.1]).await;
    let closed = Served::start().await;
    let get = &format!("GET {GET}")[..];
    for (served, more) in [(&open, &["origin"][..]), (&closed, &[])] {
        let mut wire = Wire::to(served).await;
        for (path, names) in [
            (get, &["accept"][..]),
            ("GET /openapi.json", &["accept-encoding"]),
            ("GET /no", &[]),
        ] {
            for headers in [&[][..], &[gzip], &[shop], &[shop, gzip]] {
                let answer = wire.send(To::Rest1, path, headers, "").await;
                let what = format!("{path}, {headers:?}: {answer:?}");
                assert_eq!(varies_by(&answer), [names, more].concat(), "{what}");
            }
        }
    }
    open.stop().await;
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
async fn grpc_web_is_known_by_its_media_type_whatever_its_parameters() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    for (kind, status) in [
        ("application/grpc-web; charset=utf-8", 200),
        ("application/grpc-web+proto;x=y", 200),
        ("application/grpc-web+json", 415),
        ("application/grpc-website", 415),
    ] {
        let kind = [("content-type", kind)];
        let answer = wire.send(To::Grpc1, METHOD, &kind, frame(0, HOLI)).await;
        assert_eq!(answer.status, status, "{kind:?} {answer:?}");
        let problem = answer.header("content-type") == "application/problem+json";
        assert_eq!(problem, status != 200, "{answer:?}");
    }
    served.stop().await;
}

#[tokio::test]
async fn a_request_over_grpc_web_that_breaks_off_is_told_so_without_our_inside() {
    let served = Served::start().await;
    let head =
        "HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc-web\r\ncontent-length: 50\r\n\r\n";
    let mut half = TcpStream::connect(served.grpc).await.unwrap();
    let request = format!("{METHOD} {head}half");
    half.write_all(request.as_bytes()).await.unwrap();
    half.shutdown().await.unwrap();
    let mut answer = String::new();
    half.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("grpc-status: 1\r\n"), "{answer}");
    assert!(answer.contains("or%20broke%20off"), "{answer}");
    assert!(!answer.contains("hyper"), "{answer}");
    served.stop().await;
}

#[tokio::test]
async fn what_the_server_ends_or_refuses_over_grpc_web_is_told_in_its_own_form() {
    let served = Served::start().await;
    let mut wire = Wire::to(&served).await;
    let watch = "/grpc.health.v1.Health/Watch";
    let answer = wire.grpc_web(watch, &[("grpc-timeout", "300m")], b"").await;
    // SERVING, and the status behind it in the last frame of the body.
    assert_eq!(answer.body, b"\x08\x01"[..], "{answer:?}");
    assert_eq!(answer.trailers["grpc-status"], "4", "{answer:?}");

    let text = [
        ("content-type", "application/grpc-web-text"),
        ("accept", "application/grpc-web-text"),
        ("grpc-timeout", "300m"),
    ];
    let post = format!("POST {watch}");
    let answer = wire.send(To::Grpc1, &post, &text, "AAAAAAA=").await;
    // Each frame is encoded by itself: `\0\0\0\0\x02\x08\x01`, and `\x80\0\0` of the last one.
    assert!(answer.body.starts_with(b"AAAAAAIIAQ==gAAA"), "{answer:?}");

    let answer = wire
        .grpc_web(&METHOD[5..], &[("grpc-timeout", "soon")], HOLI)
        .await;
    assert_eq!(answer.header("content-type"), "application/grpc-web+proto");
    assert_eq!(answer.header("grpc-status"), "3", "{answer:?}");
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
