//! The bidirectional server.
//!
//! Run with `cargo run -p bidirectional --bin server`. It prints `Server is running...` and the
//! address it listens on, and sends every message back until Ctrl-C. `--order` says when it
//! answers: watch the client's output change.

use std::process::ExitCode;

use bidirectional::order::Order;
use clap::Parser;
use serving::{args::ServerArgs, listener, process};

/// A gRPC server that sends every message of a stream back
#[derive(Parser)]
#[command(name = "server", version)]
struct Args {
    /// When to answer
    #[arg(long, value_enum, default_value_t)]
    order: Order,

    #[command(flatten)]
    server: ServerArgs,
}

fn main() -> ExitCode {
    let args = Args::parse();
    process::run(&args.server, async |shutdown| {
        let listener = listener::bind("gRPC", args.server.grpc_address(), "--grpc-port").await?;
        println!("Server is running...\ngRPC on {}", listener.local_addr()?);
        Ok(bidirectional::serve(listener, args.order, shutdown).await?)
    })
}
