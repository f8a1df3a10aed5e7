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

/// Measured against the system's: see ARCHITECTURE.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = serving::args::parse::<Args>();
    process::run(&args.server, args.server.limits(), 1, async |process| {
        let socket = listener::bind("gRPC", args.server.grpc_address(), "--grpc-port").await?;
        process::announce(&format!(
            "Server is running...\ngRPC on {}",
            socket.local_addr()?
        ));
        Ok(unary::serve(process.listener(socket), process.shutdown.clone()).await?)
    })
}
