//! The README's programs print what the README says they print.

use std::net::SocketAddr;

use rustix::process::Signal;

#[path = "../../serving/tests/support/program.rs"]
#[allow(dead_code, reason = "the other files use the rest of it")]
mod program;
#[path = "../../serving/tests/support/readme.rs"]
mod readme;
use program::{Running, program, run};

const SERVER: &str = "cargo run -p unary --bin server";
const CLIENT: &str = "cargo run -p unary --bin client";
/// The address that the README shows.
const ADDRESS: &str = "127.0.0.1:50051";

#[tokio::test]
async fn its_programs_print_what_it_says() {
    let mut server: Option<Running> = None;
    let mut address: Option<SocketAddr> = None;
    let mut commands = 0;
    for shown in readme::commands(include_str!("../README.md")) {
        let wanted = shown.printed.join("\n");
        if let Some(args) = readme::after(SERVER, &shown.command) {
            assert!(args.is_empty(), "{}", shown.command);
            let port = ["--grpc-port", "0"];
            let mut started = Running::start(program(env!("CARGO_BIN_EXE_server"), &port));
            let first = started.line().await;
            let at = started.address("gRPC").await;
            let printed = format!("{first}\ngRPC on {at}");
            assert_eq!(printed.replace(&at.to_string(), ADDRESS), wanted);
            (server, address) = (Some(started), Some(at));
        } else {
            let args = readme::after(CLIENT, &shown.command);
            let args = args.unwrap_or_else(|| panic!("no test knows: {}", shown.command));
            let fails = wanted.contains("error:");
            if fails && let Some(server) = server.take() {
                server.signal(Signal::INT);
                assert_eq!(server.end().await.code, Some(0));
            }
            let at = address.expect("the server is started first").to_string();
            let mut all = vec!["--address", &at, "--deadline", "30s", "--retries", "0"];
            all.extend(args.iter().map(String::as_str));
            let ended = run(program(env!("CARGO_BIN_EXE_client"), &all)).await;
            assert_eq!(ended.code == Some(0), !fails, "{ended:?}");
            let printed = ended.stdout + &ended.stderr.replace(&at, "localhost:50051");
            assert_eq!(printed.trim_end(), wanted);
        }
        commands += 1;
    }
    assert_eq!(commands, 3);
}
