//! The bidirectional client.
//!
//! Run with `cargo run -p bidirectional --bin client` while the server runs. It prints each message
//! as it sends it and each answer as it comes, so the order of the lines shows who waited for whom.

use std::{
    io::{BufRead, IsTerminal, stdin},
    process::ExitCode,
    thread,
    time::Duration,
};

use bidirectional::conversation::{self, Event, MESSAGES, Waits};
use clap::Parser;
use futures_util::{Stream, StreamExt, stream};
use serving::{client, retry::Retry};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Long enough to see who waits for whom.
const PATIENCE: Duration = Duration::from_millis(300);
/// Long enough for an answer to come first on this machine, short enough for a thousand lines.
const PATIENCE_WHEN_PIPED: Duration = Duration::from_millis(20);

/// Sends messages over one stream and prints the answers as they come
#[derive(Parser)]
#[command(name = "client", version)]
struct Args {
    /// What to say [default: First message, Second message, ... Fifth message]
    #[arg(conflicts_with = "interactive")]
    messages: Vec<String>,

    /// Send the lines typed or piped in, each as it comes; Ctrl-D ends the sending
    #[arg(short, long)]
    interactive: bool,

    /// Where the server listens
    #[arg(long, value_name = "URL", default_value = "http://localhost:50051")]
    address: String,

    /// How long the server gets to answer a message before the next is sent [default: 300ms; 20ms for
    /// lines that are piped in]
    #[arg(long, value_name = "TIME", value_parser = serving::args::duration)]
    patience: Option<Duration>,

    /// How long the server may stay silent: to connect, to take a message, or between answers once
    /// all is sent
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = serving::args::duration)]
    deadline: Duration,

    /// How often to connect again, within the deadline, when the server is unavailable
    #[arg(long, value_name = "N", default_value_t = Retry::default().retries)]
    retries: u32,
}

fn main() -> ExitCode {
    let args = serving::args::parse::<Args>();
    let piped = args.interactive && !stdin().is_terminal();
    let patience = if piped { PATIENCE_WHEN_PIPED } else { PATIENCE };
    let waits = Waits {
        patience: args.patience.unwrap_or(patience),
        silence: args.deadline,
        retry: Retry::times(args.retries),
    };
    let messages = if args.interactive {
        lines_of_standard_input().boxed()
    } else if args.messages.is_empty() {
        stream::iter(MESSAGES.map(String::from)).boxed()
    } else {
        stream::iter(args.messages).boxed()
    };
    match client::block_on(conversation::hold(&args.address, messages, waits, print)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => client::fail(&error),
    }
}

fn print(event: Event) {
    match event {
        Event::Sent(message) => client::say(format_args!("Hello Server Sending you the {message}")),
        Event::Answered(message) => {
            client::say(format_args!(
                "Hello from the server received your {message}"
            ));
        }
        Event::HalfClosed => {
            client::note("(all sent: the client has half-closed, and still listens)");
        }
    }
}

/// The lines of standard input. A thread of its own reads them, because a read from a terminal
/// cannot be cancelled, and must not keep the client alive when the server goes away.
fn lines_of_standard_input() -> impl Stream<Item = String> {
    let (sender, lines) = mpsc::channel(1);
    thread::spawn(move || {
        let mut input = stdin().lock();
        let mut line = Vec::new();
        while input
            .read_until(b'\n', &mut line)
            .is_ok_and(|length| length > 0)
        {
            let text = String::from_utf8_lossy(&line);
            if sender
                .blocking_send(text.trim_end_matches(['\r', '\n']).to_owned())
                .is_err()
            {
                return;
            }
            line.clear();
        }
    });
    ReceiverStream::new(lines)
}
