//! The README's programs print what the README says they print.

use std::net::SocketAddr;

use rustix::process::Signal;

#[path = "../../serving/tests/support/program.rs"]
#[allow(dead_code, reason = "the other files use the rest of it")]
mod program;
#[path = "../../serving/tests/support/readme.rs"]
mod readme;
use program::{Running, program, run};

const SERVER: &str = "cargo run -p bidirectional --bin server";
const CLIENT: &str = "cargo run -p bidirectional --bin client";
/// The address that the README shows.
const ADDRESS: &str = "127.0.0.1:50051";

/// A server that runs.
struct Served {
    running: Running,
    address: SocketAddr,
    /// True if it answers each message as it comes.
    answers_each: bool,
}

impl Served {
    /// One with `args`, and what it printed.
    async fn start(args: &[String]) -> (Self, String) {
        let mut all = vec!["--grpc-port", "0"];
        all.extend(args.iter().map(String::as_str));
        let mut running = Running::start(program(env!("CARGO_BIN_EXE_server"), &all));
        let first = running.line().await;
        let address = running.address("gRPC").await;
        let printed = format!("{first}\ngRPC on {ADDRESS}");
        let answers_each = args.is_empty();
        (
            Self {
                running,
                address,
                answers_each,
            },
            printed,
        )
    }

    async fn stop(self) {
        self.running.signal(Signal::INT);
        assert_eq!(self.running.end().await.code, Some(0));
    }
}

#[tokio::test]
async fn its_programs_print_what_it_says() {
    let mut server: Option<Served> = None;
    let mut commands = 0;
    for shown in readme::commands(include_str!("../README.md")) {
        commands += 1;
        if let Some(args) = readme::after(SERVER, &shown.command) {
            if let Some(server) = server.take() {
                server.stop().await;
            }
            let (started, printed) = Served::start(&args).await;
            assert_eq!(printed, shown.printed.join("\n"));
            server = Some(started);
            continue;
        }
        let args = readme::after(CLIENT, &shown.command);
        let args = args.unwrap_or_else(|| panic!("no test knows: {}", shown.command));
        let server = server.as_ref().expect("the server is started first");
        // Only a server that answers each message decides the order of the lines: no clock may.
        let patience = if server.answers_each { "30s" } else { "1ms" };
        let at = server.address.to_string();
        let mut all = vec![
            "--address",
            &at,
            "--deadline",
            "30s",
            "--patience",
            patience,
        ];
        all.extend(args.iter().map(String::as_str));
        let ended = run(program(env!("CARGO_BIN_EXE_client"), &all)).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        if args.is_empty() {
            // In the README both outputs stand together, as a terminal shows them.
            let is_note = |line: &&String| line.starts_with('(');
            let (noted, said): (Vec<_>, Vec<_>) = shown.printed.iter().partition(is_note);
            assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), said);
            assert_eq!(ended.stderr.lines().collect::<Vec<_>>(), noted);
        }
    }
    assert_eq!(commands, 5);
    server.expect("it was started").stop().await;
}
