//! Refusals by the frameworks and the server before the business is asked, as they come out of each
//! listener.

use std::{net::SocketAddr, time::Duration};

use dual_mode::Options;
use serving::{
    authorization::{Authorization, Tokens},
    limits::Limits,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::common::{
    Served, http,
    panics::{FATAL, panics},
    wire::{To, Whole, Wire, frame},
};

const ONE: &str = "POST /v1/get_greetings";
const METHOD: &str = "/rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetings";
const TOKEN: &str = "eiShoh3oow6AhW4rohSh";
/// `messageType` "Holi", `year` 2021.
const HOLI: &[u8] = b"\x12\x04Holi\x18\xe5\x0f";

/// The table for the README.
pub(crate) async fn table() -> String {
    let limits = Limits {
        message: 1000,
        // Longer than the deadline that passes.
        body_pause: Duration::from_millis(500),
        ..Limits::default()
    };
    let served = Served::with(&limits, &[]).await;
    let mut wire = Wire::to(&served).await;
    let wire = &mut wire;
    let mut table = "| fault | REST | gRPC | gRPC-Web |\n|---|---|---|---|\n".to_owned();
    let mut row = |fault: &str, [rest, grpc, web]: [String; 3]| {
        table += &format!("| {fault} | {rest} | {grpc} | {web} |\n");
    };

    let unreadable = b"\x12\x04Ho";
    row(
        "bytes that are no request",
        each(wire, ONE, &[], b"{", METHOD, unreadable).await,
    );
    row("an unknown field", {
        let json = br#"{"messageType":"Holi","year":2021,"yeer":1}"#;
        each(wire, ONE, &[], json, METHOD, &[HOLI, b"\x20\x01"].concat()).await
    });
    let nowhere = "/rest_grpc_dual_mode.GreetingsGenerator/Nothing";
    row("an unknown path or method", {
        each(wire, "POST /v1/nothing", &[], b"{}", nowhere, HOLI).await
    });
    row("a wrong HTTP method", {
        let put = wire
            .send(To::Rest1, "PUT /v1/get_greetings", &[], "{}")
            .await;
        let get = [("content-type", "application/grpc-web")];
        let get = wire
            .send(To::Grpc1, &format!("GET {METHOD}"), &get, "")
            .await;
        assert_eq!(put.header("allow"), "GET, HEAD, POST, OPTIONS");
        [said(&put), "–".to_owned(), said(&get)]
    });
    row("a wrong media type", {
        let text = [("content-type", "text/plain")];
        let post = format!("POST {METHOD}");
        let rest = wire.send(To::Rest1, ONE, &text, "{}").await;
        assert_eq!(
            rest.header("accept"),
            "application/json, application/protobuf"
        );
        let grpc = wire.send(To::Grpc2, &post, &text, frame(0, HOLI)).await;
        let web = wire.send(To::Grpc1, &post, &text, frame(0, HOLI)).await;
        [said(&rest), said(&grpc), said(&web)]
    });
    row("a compression that is not read", {
        let zstd = [("content-encoding", "zstd"), ("grpc-encoding", "zstd")];
        each(wire, ONE, &zstd, b"{}", METHOD, HOLI).await
    });
    row("none or two messages in one call", {
        let none = framed(wire, Vec::new()).await;
        let two = framed(wire, frame(0, HOLI).repeat(2)).await;
        assert_eq!(none, two);
        two
    });
    row(
        "a compressed message without a compression",
        framed(wire, frame(1, HOLI)).await,
    );
    let large = [HOLI, b"\x22\xff\x07", &[b' '; 1023]].concat();
    row(
        "a request that is too large",
        each(wire, ONE, &[], &large, METHOD, &large).await,
    );
    let long = format!("{METHOD}?{}", "x".repeat(9000));
    row("a path that is too long", {
        each(
            wire,
            &format!("GET /?{}", "x".repeat(9000)),
            &[],
            b"",
            &long,
            HOLI,
        )
        .await
    });
    row("a deadline that cannot be read", {
        each(wire, ONE, &[("grpc-timeout", "soon")], b"{}", METHOD, HOLI).await
    });
    row("a page of another origin", {
        let from = [("origin", "https://evil.example")];
        each(wire, ONE, &from, b"{}", METHOD, HOLI).await
    });
    row("a deadline that passes", unfinished(wire).await);
    row("a request that pauses for too long", paused(wire).await);
    row("a bug of the server", panicked(wire).await);
    row("a head that is too large", too_many_headers(wire).await);
    row(
        "a head that is not HTTP",
        [
            garbled(served.rest).await,
            "–".to_owned(),
            garbled(served.grpc).await,
        ],
    );
    row(
        "a stream when the server goes away",
        drained(wire, &served).await,
    );
    served.stop().await;

    let served = Served::called(&["api.example"], &Limits::default(), &[]).await;
    let mut wire = Wire::to(&served).await;
    row("a host that the server does not answer to", {
        let path = "http://evil.example/v1/get_greetings";
        let rest = said(
            &wire
                .send(To::Rest1, &format!("POST {path}"), &[], "{}")
                .await,
        );
        [rest, "–".to_owned(), "–".to_owned()]
    });
    served.stop().await;

    let tokens = Tokens::new(&format!("till {TOKEN}\n")).expect("it is a token");
    let nothing = Authorization::by_tokens(tokens).permit(|_, _, _| false);
    let options = Options {
        authorization: nothing,
        ..Options::default()
    };
    let served = Served::to(options, &[], &Limits::default()).await;
    let mut wire = Wire::to(&served).await;
    row(
        "a caller that the server does not know",
        each(&mut wire, ONE, &[], b"{}", METHOD, HOLI).await,
    );
    row("a caller that may not make the call", {
        let token = format!("Bearer {TOKEN}");
        let token = [("authorization", &token[..])];
        each(&mut wire, ONE, &token, b"{}", METHOD, HOLI).await
    });
    served.stop().await;

    let full = Limits {
        calls: 0,
        ..Limits::default()
    };
    let served = Served::with(&full, &[]).await;
    let mut wire = Wire::to(&served).await;
    row(
        "an overloaded server",
        each(&mut wire, ONE, &[], b"{}", METHOD, HOLI).await,
    );
    let rest = wire.send(To::Rest1, ONE, &[], "{}").await;
    assert_eq!(rest.header("retry-after"), "1");
    served.stop().await;
    table
}

/// The same fault over every transport.
async fn each(
    wire: &mut Wire,
    rest: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    method: &str,
    message: &[u8],
) -> [String; 3] {
    let id = [headers, &[("x-request-id", "of-this-test")]].concat();
    let rest = wire.send(To::Rest1, rest, &id, body.to_vec()).await;
    let grpc = wire.grpc(method, &id, message).await;
    let web = wire.grpc_web(method, &id, message).await;
    [said(&rest), said(&grpc), said(&web)]
}

/// A call whose messages are `body`, over the transports that have messages.
async fn framed(wire: &mut Wire, body: Vec<u8>) -> [String; 3] {
    let post = format!("POST {METHOD}");
    let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
    let grpc = wire.send(To::Grpc2, &post, &grpc, body.clone()).await;
    let web = [("content-type", "application/grpc-web")];
    let web = wire.send(To::Grpc1, &post, &web, body).await;
    ["–".to_owned(), said(&grpc), said(&web)]
}

/// A call whose request never ends.
async fn unfinished(wire: &mut Wire) -> [String; 3] {
    let soon = |kind| {
        [
            ("grpc-timeout", "50m"),
            ("content-type", kind),
            ("te", "trailers"),
        ]
    };
    let post = format!("POST {METHOD}");
    let rest = soon("application/json");
    let rest = wire.send_unfinished(To::Rest2, ONE, &rest, b"{").await;
    let grpc = soon("application/grpc");
    let grpc = wire.send_unfinished(To::Grpc2, &post, &grpc, b"\0\0").await;
    let web = soon("application/grpc-web");
    let web = wire.send_unfinished(To::Grpc2, &post, &web, b"\0\0").await;
    [said(&rest), said(&grpc), said(&web)]
}

/// A request whose rest never comes. Of gRPC's, whose streams may pause, only a deadline is the end.
async fn paused(wire: &mut Wire) -> [String; 3] {
    let post = format!("POST {METHOD}");
    let rest = wire.send_unfinished(To::Rest2, ONE, &[], b"{").await;
    let web = [("content-type", "application/grpc-web")];
    let web = wire.send_unfinished(To::Grpc2, &post, &web, b"\0\0").await;
    [said(&rest), "–".to_owned(), said(&web)]
}

/// A call at which the business panics.
async fn panicked(wire: &mut Wire) -> [String; 3] {
    let _panics = panics();
    let json = format!(r#"{{"messageType":"{FATAL}","year":2021}}"#);
    let message = [b"\x12\x08", FATAL.as_bytes(), b"\x18\xe5\x0f"].concat();
    let rest = wire.send(To::Rest1, ONE, &[], json).await;
    let grpc = wire.grpc(METHOD, &[], &message).await;
    let web = wire.grpc_web(METHOD, &[], &message).await;
    [rest, grpc, web].map(|answer| {
        assert!(!format!("{answer:?}").contains("bound to happen"));
        said(&answer)
    })
}

/// More headers than HTTP/1 may have, and longer ones than HTTP/2 may.
async fn too_many_headers(wire: &mut Wire) -> [String; 3] {
    let many = vec![("x-many", "x"); Limits::default().headers + 1];
    let long = "x".repeat(Limits::default().header_list as usize);
    let long = [("content-type", "application/grpc"), ("x-long", &long)];
    let post = format!("POST {METHOD}");
    let rest = wire.send(To::Rest1, ONE, &many, "{}").await;
    let grpc = wire.send(To::Grpc2, &post, &long, frame(0, HOLI)).await;
    let web = wire.send(To::Grpc1, &post, &many, "").await;
    [said(&rest), said(&grpc), said(&web)]
}

/// A path has no spaces.
async fn garbled(address: SocketAddr) -> String {
    let answer = http(address, "GET /no thing", "", "").await;
    assert_eq!(answer.body, "", "{answer:?}");
    format!("{} without a body", answer.status)
}

/// A stream that is open, and has no end of its own. All other calls may finish.
async fn drained(wire: &mut Wire, served: &Served) -> [String; 3] {
    let reflection = "POST /grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
    let grpc = wire.send_unfinished_until(To::Grpc2, reflection, &grpc, || served.drain());
    ["–".to_owned(), said(&grpc.await), "–".to_owned()]
}

/// The code and the reason of an answer.
fn said(answer: &Whole) -> String {
    if answer.header("content-type") == "application/problem+json" {
        let problem = answer.json();
        assert_eq!(problem["status"], answer.status.as_u16());
        let phrase = answer.status.canonical_reason().expect("a known status");
        assert_eq!(problem["title"], phrase);
        assert_eq!(problem["domain"], dual_mode::faults::DOMAIN);
        let reason = problem["reason"].as_str().expect("always");
        return format!("{} {reason}", answer.status.as_u16());
    }
    let statuses = [&answer.trailers, &answer.headers].into_iter();
    let status = statuses.filter_map(Status::from_header_map).next();
    if answer.status != 200 && status.is_none() {
        assert!(
            answer.body.is_empty(),
            "neither a problem nor a status: {answer:?}"
        );
        return format!("{} without a body", answer.status.as_u16());
    }
    let status = status.unwrap_or_else(|| panic!("neither a problem nor a status: {answer:?}"));
    if status.code() == Code::Ok {
        return "greeted: protobuf skips it".to_owned();
    }
    let details = status.get_error_details();
    let info = details
        .error_info()
        .unwrap_or_else(|| panic!("no ErrorInfo: {answer:?}"));
    assert_eq!(info.domain, dual_mode::faults::DOMAIN);
    // A browser or a proxy is told by HTTP, too.
    let http = match answer.status.as_u16() {
        200 => String::new(),
        status => format!("{status} "),
    };
    format!("{http}{} {}", screaming(status.code()), info.reason)
}

/// The name of a code as the gRPC specification writes it.
fn screaming(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
