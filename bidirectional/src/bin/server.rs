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
        Ok(bidirectional::serve(
            process.listener(socket),
            args.order,
            process.shutdown.clone(),
        )
        .await?)
    })
}
