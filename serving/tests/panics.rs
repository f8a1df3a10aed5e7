//! Panics of a service: its caller is told that there was one and no more, nobody else notices.

use std::process::Command;

use clap::Parser;
use serving::{
    connection::Protocol::{Http1, Http2},
    limits::Limits,
    process,
};
use tonic::Code;

#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/server.rs"]
mod server;
#[allow(dead_code, reason = "the other files use the rest of it")]
#[path = "support/wire.rs"]
mod wire;
use server::Served;
use wire::{Client, http1, rest};

#[tokio::test]
async fn a_grpc_call_that_panics_is_internal_and_its_siblings_go_on() {
    let mut served = Served::start(Http2, Limits::default()).await;
    let mut client = Client::connect(served.address).await;
    let sibling = client.clone();
    let sibling = |path| {
        let mut client = sibling.clone();
        tokio::spawn(async move { client.call(path, &[]).await })
    };
    let siblings = [sibling("/slow"), sibling("/later")];
    served.alive(2).await;
    for (path, begun) in [
        ("/panic-at-once", &b""[..]),
        ("/panic", b""),
        ("/panic-later", b"begun"),
    ] {
        let answer = client.call(path, &[]).await;
        answer.ended(Code::Internal, false);
        assert_eq!(answer.body, begun, "{path}");
        assert_eq!(answer.status.message(), "internal error", "{path}");
        assert!(answer.status.details().is_empty(), "{path}");
        served.alive(2).await;
    }
    served.release.cancel();
    for (sibling, whole) in siblings.into_iter().zip(["whole", "begun and whole"]) {
        let answer = sibling.await.unwrap();
        assert_eq!(answer.body, whole.as_bytes());
        answer.ended(Code::Ok, false);
    }
    served.stop().await.0.unwrap();
}

#[tokio::test]
async fn a_rest_call_that_panics_is_an_error_or_breaks_off() {
    let mut served = Served::start(Http1, Limits::default()).await;
    for path in ["/panic-at-once", "/panic"] {
        let call = http1(served.address, path, "connection: close\r\n").await;
        let answer = rest(call).await;
        assert!(answer.starts_with("HTTP/1.1 500 "), "{path}: {answer}");
        assert!(answer.ends_with("\r\n\r\ninternal error"), "{answer}");
        assert!(!answer.contains("secret"), "{path}: {answer}");
    }
    // Without `connection: close`: the server itself must break it off.
    let answer = rest(http1(served.address, "/panic-later", "").await).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("\r\nbegun\r\n"), "{answer}");
    assert!(
        !answer.ends_with("\r\n0\r\n\r\n"),
        "it looks whole: {answer}"
    );
    assert!(!answer.contains("secret"), "{answer}");
    served.alive(0).await;
    served.stop().await.0.unwrap();
}

#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    server: serving::args::ServerArgs,
}

#[test]
#[ignore = "it is the program that the next test runs"]
fn a_program_in_which_a_task_panics() {
    let options = Options::parse_from(["program", "--log-format", "json"]);
    let _ = process::run(&options.server, Limits::default(), 1, async |_| {
        let task = tokio::spawn(async { panic!("task {} failed", 7) });
        task.await.expect_err("it panics");
        Ok(())
    });
}

/// The log is written by a thread of its own, whoever reads it; the panic's own lines would not be.
#[test]
fn a_panic_is_a_line_of_the_log_in_its_format() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_program_in_which_a_task_panics"])
        .args(["--ignored", "--nocapture"])
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    let line = log.strip_suffix('\n').unwrap();
    assert!(line.starts_with('{') && line.ends_with('}'), "{log}");
    assert!(!line.contains('\n'), "{log}");
    for part in [
        r#""level":"ERROR""#,
        r#""message":"panicked: task 7 failed""#,
        r#""place":"serving/tests/panics.rs:"#,
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
}
