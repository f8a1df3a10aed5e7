//! The unary client.
//!
//! Run with `cargo run -p unary --bin client` while the server runs. It prints the message it
//! sends and the answer it gets, or one line that says why there is none.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use serving::{client, retry::Retry};

/// Sends one message to the unary server and prints its answer
#[derive(Parser)]
#[command(name = "client", version)]
struct Args {
    /// What to say
    #[arg(default_value = "Hello Server you there?")]
    message: String,

    /// Where the server listens
    #[arg(long, value_name = "URL", default_value = "http://localhost:50051")]
    address: String,

    /// How long to wait for the answer, such as 500ms or 5s; the server is told
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = serving::args::duration)]
    deadline: Duration,

    /// How often to try again, within the deadline, when the server is unavailable
    #[arg(long, value_name = "N", default_value_t = Retry::default().retries)]
    retries: u32,
}

fn main() -> ExitCode {
    let Args {
        message,
        address,
        deadline,
        retries,
    } = serving::args::parse::<Args>();
    client::say(format_args!("request: message: {message}"));
    match client::block_on(unary::ask(
        &address,
        message,
        deadline,
        Retry::times(retries),
    )) {
        Ok(answer) => {
            client::say(format_args!("answer: message: {}", answer.message));
            client::say(format_args!("answer: received: {}", answer.received));
            ExitCode::SUCCESS
        }
        Err(error) => client::fail(&error),
    }
}
