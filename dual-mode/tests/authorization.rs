//! Authorisation of callers: over both transports, on two ports and on one, and by the options of the program.

use std::{fs, net::SocketAddr, path::Path};

use dual_mode::Options;
use rustix::process::Signal;
use serving::{
    authorization::{Authorization, Tokens},
    limits::Limits,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "../../serving/tests/support/program.rs"]
mod program;
#[path = "common/started.rs"]
mod started;
use common::{
    PATIENCE, Served, http, pages,
    wire::{To, Whole, Wire, frame},
};
use program::{Running, program, run};
use started::{DUAL_MODE, FREE, start};

const ONE: &str = "GET /v1/get_greetings?messageType=Holi&year=2021";
const METHOD: &str = "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetings";
const HOLI: &[u8] = b"\x12\x04Holi\x18\xe5\x0f";
const SHOP: &str = "eiShoh3oow6AhW4rohSh";
const TILL: &str = "Xo6bei4aeg9Ahng0ooch==";
const UNKNOWN: &str = "aeNg1ahgh9kie3eeSh1e";

fn options() -> Options {
    let tokens = Tokens::new(&format!("shop {SHOP}\ntill {TILL}\n")).expect("these are tokens");
    Options {
        authorization: Authorization::by_tokens(tokens),
        ..pages(&["https://shop.example"])
    }
}

async fn served() -> Served {
    Served::to(options(), &[], &Limits::default()).await
}

/// The gRPC status in `answer`.
#[track_caller]
fn status(answer: &Whole) -> Status {
    let parts = [&answer.trailers, &answer.headers].into_iter();
    let status = parts.filter_map(Status::from_header_map).next();
    status.unwrap_or_else(|| panic!("no status: {answer:?}"))
}

/// Asserts that `answer` over REST is a problem with `challenge`.
#[track_caller]
fn asks_over_rest(answer: &Whole, challenge: &str) {
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("www-authenticate"), challenge);
    let problem = answer.json();
    assert_eq!(problem["reason"], "UNAUTHENTICATED");
    assert_eq!(problem["title"], "Unauthorized");
    assert_eq!(problem["requestId"], answer.header("x-request-id"));
}

/// The same over gRPC and gRPC-Web, whose clients read a status in an answer that went well.
#[track_caller]
fn asks_over_grpc(answer: &Whole, challenge: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("www-authenticate"), challenge);
    let status = status(answer);
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    let details = status.get_error_details();
    let info = details.error_info().expect("the fault table has it");
    assert_eq!(info.reason, "UNAUTHENTICATED");
}

#[tokio::test]
async fn everything_is_closed_to_strangers_but_health_and_readiness() {
    for served in [served().await, Served::to_on_one_port(options()).await] {
        let mut wire = Wire::to(&served).await;
        for closed in [
            ONE,
            "POST /v1/get_greetings",
            "POST /v1/get_greetings:batch",
            "POST /rpc",
            "GET /",
            "GET /openapi.json",
            "GET /nowhere",
            "GET /healthz/",
            "GET /healthz/../v1/get_greetings",
            "GET //readyz",
            "OPTIONS /v1/get_greetings",
        ] {
            for to in [To::Rest1, To::Rest2] {
                let answer = wire.send(to, closed, &[], "").await;
                asks_over_rest(&answer, "Bearer");
            }
        }
        for open in ["GET /healthz", "GET /readyz?x=y"] {
            let answer = wire.send(To::Rest1, open, &[], "").await;
            assert_eq!(answer.status, 200, "{open}: {answer:?}");
        }
        for closed in [
            METHOD,
            "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetingsBatch",
            "/rest_grpc_dual_mode.GreetingsGenerator/Nothing",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.health.v1.Health/List",
            "/healthz/x",
        ] {
            let grpc = wire.grpc(closed, &[], HOLI).await;
            asks_over_grpc(&grpc, "Bearer");
            assert_eq!(grpc.header("content-type"), "application/grpc");
            let web = wire.grpc_web(closed, &[], HOLI).await;
            asks_over_grpc(&web, "Bearer");
            assert_eq!(web.header("content-type"), "application/grpc-web+proto");
        }
        let check = "/grpc.health.v1.Health/Check";
        for answer in [
            wire.grpc(check, &[], b"").await,
            wire.grpc_web(check, &[], b"").await,
        ] {
            assert_eq!(status(&answer).code(), Code::Ok, "{answer:?}");
            assert_eq!(&answer.body[..], b"\x08\x01", "SERVING");
        }
        served.stop().await;
    }
}

#[tokio::test]
async fn what_is_no_call_at_the_grpc_port_is_told_by_http() {
    let served = served().await;
    let mut wire = Wire::to(&served).await;
    for to in ["GET /", &format!("GET {METHOD}")] {
        let answer = wire.send(To::Grpc1, to, &[], "").await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    served.stop().await;
}

#[tokio::test]
async fn one_known_token_lets_in_and_nothing_else_does() {
    let served = served().await;
    let mut wire = Wire::to(&served).await;
    let invalid = "Bearer error=\"invalid_token\"";
    let longest = "x".repeat(4000);
    for (headers, asked) in [
        (&[format!("Bearer {SHOP}")][..], None),
        (&[format!("Bearer {TILL}")], None),
        (&[format!("bearer {SHOP}")], None),
        (&[format!("BEARER   {SHOP}")], None),
        (&[format!("Bearer {UNKNOWN}")], Some(invalid)),
        (&[format!("Bearer {}", &SHOP[1..])], Some(invalid)),
        (&[format!("Bearer {SHOP}x")], Some(invalid)),
        (&[format!("Bearer {}", SHOP.to_lowercase())], Some(invalid)),
        (&[format!("Bearer {SHOP} {TILL}")], Some(invalid)),
        (&[format!("Bearer {SHOP},{TILL}")], Some(invalid)),
        (&[format!("Bearer {longest}")], Some(invalid)),
        (&["Bearer ".to_owned()], Some("Bearer")),
        (&["Bearer".to_owned()], Some("Bearer")),
        (&[SHOP.to_owned()], Some("Bearer")),
        (&[format!("Bearer{SHOP}")], Some("Bearer")),
        (&[format!("Basic {SHOP}")], Some("Bearer")),
        (
            &[format!("Bearer {SHOP}"), format!("Bearer {SHOP}")],
            Some(invalid),
        ),
        (
            &[format!("Bearer {UNKNOWN}"), format!("Bearer {SHOP}")],
            Some(invalid),
        ),
    ] {
        let sent: Vec<_> = headers
            .iter()
            .map(|value| ("authorization", &value[..]))
            .collect();
        let rest = [
            wire.send(To::Rest1, ONE, &sent, "").await,
            wire.send(To::Rest2, ONE, &sent, "").await,
        ];
        let grpc = [
            wire.grpc(METHOD, &sent, HOLI).await,
            wire.grpc_web(METHOD, &sent, HOLI).await,
        ];
        match asked {
            None => {
                assert!(rest.iter().all(|answer| answer.status == 200), "{rest:?}");
                for answer in &grpc {
                    assert_eq!(status(answer).code(), Code::Ok, "{headers:?}: {answer:?}");
                }
            }
            Some(challenge) => {
                for answer in &rest {
                    asks_over_rest(answer, challenge);
                }
                for answer in &grpc {
                    asks_over_grpc(answer, challenge);
                }
            }
        }
        for answer in rest.iter().chain(&grpc) {
            let answer = format!("{answer:?}");
            assert!(
                !answer.contains(&SHOP[1..]) && !answer.contains(UNKNOWN),
                "{answer}"
            );
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn a_caller_that_is_known_may_still_be_kept_from_a_call() {
    let rest_only = |caller: &serving::authorization::Identity, path: &str| {
        caller.name() == "shop" || path.starts_with("/v1/")
    };
    let options = Options {
        authorization: options()
            .authorization
            .permit(move |caller, _, path| rest_only(caller, path)),
        ..options()
    };
    let served = Served::to(options, &[], &Limits::default()).await;
    let mut wire = Wire::to(&served).await;
    for (token, may) in [(SHOP, true), (TILL, false)] {
        let token = format!("Bearer {token}");
        let sent = [("authorization", &token[..])];
        let rest = wire.send(To::Rest1, ONE, &sent, "").await;
        assert_eq!(rest.status, 200, "{rest:?}");
        let rpc = wire.send(To::Rest1, "POST /rpc", &sent, "").await;
        assert_eq!(rpc.status == 403, !may, "{rpc:?}");
        assert_eq!(rpc.header("www-authenticate"), "");
        for answer in [
            wire.grpc(METHOD, &sent, HOLI).await,
            wire.grpc_web(METHOD, &sent, HOLI).await,
        ] {
            let code = if may {
                Code::Ok
            } else {
                Code::PermissionDenied
            };
            assert_eq!(status(&answer).code(), code, "{answer:?}");
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn a_browser_asks_beforehand_without_a_token_and_its_page_reads_the_refusal() {
    let served = served().await;
    let mut wire = Wire::to(&served).await;
    for to in [To::Rest1, To::Grpc1] {
        for (origin, is_named) in [("https://shop.example", true), ("https://a.example", false)] {
            let asks = [
                ("origin", origin),
                ("access-control-request-method", "POST"),
                (
                    "access-control-request-headers",
                    "authorization,content-type",
                ),
            ];
            let path = if to == To::Rest1 {
                "/v1/get_greetings"
            } else {
                METHOD
            };
            let answer = wire.send(to, &format!("OPTIONS {path}"), &asks, "").await;
            assert_ne!(answer.status, 401, "{answer:?}");
            let admitted = answer.header("access-control-allow-origin") == origin;
            assert_eq!(admitted, is_named, "{answer:?}");
            let headers = answer.header("access-control-allow-headers");
            assert_eq!(headers.contains("authorization"), is_named);
        }
    }
    let page = [("origin", "https://shop.example")];
    let answer = wire
        .send(To::Rest1, "POST /v1/get_greetings", &page, "{}")
        .await;
    asks_over_rest(&answer, "Bearer");
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "https://shop.example"
    );
    served.stop().await;
}

#[tokio::test]
async fn it_is_decided_before_the_body_is_read() {
    let served = served().await;
    // Who waits for leave to send the body gets the answer, and no leave.
    let head = format!(
        "POST /v1/get_greetings HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
         authorization: Bearer {UNKNOWN}\r\ncontent-length: 1000000\r\n\r\n"
    );
    let mut stream = TcpStream::connect(served.rest).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    let read = timeout(PATIENCE, stream.read_exact(&mut answer)).await;
    read.expect("an answer should come").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
    // A body that never ends keeps no answer back.
    let mut wire = Wire::to(&served).await;
    let post = format!("POST {METHOD}");
    for (to, path, kind) in [
        (To::Rest2, "POST /v1/get_greetings", "application/json"),
        (To::Grpc2, &post, "application/grpc"),
        (To::Grpc1, &post, "application/grpc-web"),
    ] {
        let kind = [("content-type", kind)];
        let answer = wire.send_unfinished(to, path, &kind, b"\0").await;
        match to {
            To::Rest2 => asks_over_rest(&answer, "Bearer"),
            _ => asks_over_grpc(&answer, "Bearer"),
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn who_sends_a_large_body_over_http_1_reads_the_refusal() {
    let served = served().await;
    let large = vec![b' '; 16 * 1024 * 1024];
    let answer = http(served.rest, "POST /v1/get_greetings", "", &large).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(answer.body.contains("UNAUTHENTICATED"), "{answer:?}");
    let web = "content-type: application/grpc-web\r\n";
    let answer = http(
        served.grpc,
        &format!("POST {METHOD}"),
        web,
        frame(0, &large),
    )
    .await;
    assert_eq!(answer.header("grpc-status"), Some("16"), "{answer:?}");
    served.stop().await;
}

/// A file with tokens.
struct File(TempDir);

impl File {
    fn new(text: &str) -> Self {
        let file = Self(tempfile::tempdir().expect("there is room"));
        file.write(text);
        file
    }

    fn path(&self) -> String {
        self.0
            .path()
            .join("tokens")
            .to_str()
            .expect("it is text")
            .to_owned()
    }

    /// Writes it whole beside the old one.
    fn write(&self, text: &str) {
        let beside = self.0.path().join("new");
        fs::write(&beside, text).expect("there is room");
        fs::rename(beside, Path::new(&self.path())).expect("it is there");
    }
}

/// The status over REST, and the code over gRPC, with `token`.
async fn asked(rest: SocketAddr, grpc: SocketAddr, token: &str) -> (u16, Code) {
    let mut wire = Wire::to_addresses(rest, grpc).await;
    let token = format!("Bearer {token}");
    let sent = [("authorization", &token[..])];
    let rest = wire.send(To::Rest1, ONE, &sent, "").await;
    let grpc = wire.grpc(METHOD, &sent, HOLI).await;
    (rest.status.as_u16(), status(&grpc).code())
}

const LET_IN: (u16, Code) = (200, Code::Ok);
const REFUSED: (u16, Code) = (401, Code::Unauthenticated);

#[tokio::test]
async fn a_file_of_tokens_is_read_again_and_no_token_is_told_to_anybody() {
    let file = File::new(&format!("# ours\nshop {SHOP}\n"));
    let options = [
        "--auth-tokens",
        &file.path(),
        "--auth-reload",
        "50ms",
        "--log",
        "debug",
    ];
    let (server, rest, grpc) = start(&options).await;
    assert_eq!(asked(rest, grpc, SHOP).await, LET_IN);
    assert_eq!(asked(rest, grpc, TILL).await, REFUSED);

    file.write(&format!("till {TILL}\n"));
    let read = async { while asked(rest, grpc, TILL).await != LET_IN {} };
    timeout(PATIENCE, read)
        .await
        .expect("the new file should be used");
    assert_eq!(asked(rest, grpc, SHOP).await, REFUSED);

    // What cannot be used is not used, and each such file is said once.
    file.write(&format!("{SHOP}\n"));
    for _ in 0..20 {
        assert_eq!(asked(rest, grpc, TILL).await, LET_IN);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    file.write(&format!("shop {SHOP}\ntill {TILL}\n"));
    let read = async { while asked(rest, grpc, SHOP).await != LET_IN {} };
    timeout(PATIENCE, read)
        .await
        .expect("it should go on reading");

    server.signal(Signal::TERM);
    let ended = server.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let log = ended.stderr;
    assert!(log.contains("new tokens are in use"), "{log}");
    let said = "line 1 must be a name and a token";
    assert_eq!(log.matches(said).count(), 1, "{log}");
    assert!(log.contains("those from before stay in use"), "{log}");
    for token in [SHOP, TILL] {
        assert!(!log.contains(token), "{log}");
    }
}

#[tokio::test]
async fn tokens_over_cleartext_are_taken_on_loopback_and_behind_a_tls_proxy_alone() {
    let file = File::new(&format!("shop {SHOP}\n"));
    let path = file.path();
    let file = ["--auth-tokens", &path];
    for bind in ["0.0.0.0", "::", "::ffff:0.0.0.0"] {
        let args = [&FREE[..], &file, &["--bind", bind]].concat();
        let ended = run(program(DUAL_MODE, &args)).await;
        let line = ended.one_line_of_error();
        assert!(
            line.contains("--tls-cert") && line.contains("--behind-tls-proxy"),
            "{line}"
        );
        assert_eq!((ended.code, &ended.stdout[..]), (Some(1), ""));
    }
    for more in [
        &["--bind", "127.0.0.2"][..],
        &["--bind", "0.0.0.0", "--behind-tls-proxy"],
    ] {
        // Systems other than Linux have one address of loopback.
        if cfg!(not(target_os = "linux")) && more[1] == "127.0.0.2" {
            continue;
        }
        let args = [&FREE[..], &file, more].concat();
        let mut server = Running::start(program(DUAL_MODE, &args));
        let rest = server.address("REST").await;
        let grpc = server.address("gRPC").await;
        let reached = |at: SocketAddr| match at.ip().is_unspecified() {
            true => SocketAddr::from(([127, 0, 0, 1], at.port())),
            false => at,
        };
        assert_eq!(asked(reached(rest), reached(grpc), SHOP).await, LET_IN);
        assert_eq!(asked(reached(rest), reached(grpc), UNKNOWN).await, REFUSED);
        server.signal(Signal::TERM);
        assert_eq!(server.end().await.code, Some(0));
    }
}

/// The one line of error of the program with the file of tokens at `path`.
async fn refused(path: &str) -> String {
    let args = [&FREE[..], &["--auth-tokens", path]].concat();
    let ended = run(program(DUAL_MODE, &args)).await;
    ended.one_line_of_error().to_owned()
}

#[tokio::test]
async fn a_file_that_cannot_be_used_at_the_start_is_an_error_that_quotes_nothing() {
    let file = File::new("");
    let path = file.path();
    for (text, said) in [
        ("", "there is no token"),
        (SHOP, "line 1 must be a name and a token"),
        ("shop short", "the token in line 1 must have 16 to 128"),
        (
            &format!("shop {SHOP}\ntill {SHOP}"),
            "the token in line 2 stands in another line too",
        ),
    ] {
        file.write(text);
        let line = refused(&path).await;
        let start = format!("error: --auth-tokens {path} cannot be used: {said}");
        assert!(line.starts_with(&start), "{line}");
        assert!(!line.contains(SHOP), "{line}");
    }
    let none = format!("{path}-of-nobody");
    let line = refused(&none).await;
    assert!(
        line.starts_with(&format!("error: --auth-tokens {none} cannot be read")),
        "{line}"
    );
}
