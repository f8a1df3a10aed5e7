//! The unary server.
//!
//! Run with `cargo run -p unary --bin server`. It prints `Server is running...` and the address it
//! listens on, answers until Ctrl-C, and logs to standard error.

use std::process::ExitCode;

use clap::Parser;
use serving::{args::ServerArgs, listener, process};

/// A gRPC server that answers each message with one message
#[derive(Parser)]
#[command(name = "server", version)]
struct Args {
    #[command(flatten)]
    server: ServerArgs,
}

fn main() -> ExitCode {
    let args = Args::parse().server;
    process::run(&args, async |shutdown| {
        let listener = listener::bind("gRPC", args.grpc_address(), "--grpc-port").await?;
        println!("Server is running...\ngRPC on {}", listener.local_addr()?);
        Ok(unary::serve(listener, shutdown).await?)
    })
}
