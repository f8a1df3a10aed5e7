//! The dual-mode server.
//!
//! Run with `cargo run -p dual-mode`. It prints the two addresses it listens on, REST and gRPC,
//! answers until Ctrl-C, and logs to standard error.

use std::{net::SocketAddr, process::ExitCode};

use clap::Parser;
use serving::{args::ServerArgs, listener, process};

/// One service over REST and gRPC at once
#[derive(Parser)]
#[command(name = "dual-mode", version)]
struct Args {
    /// Port of the REST listener; 0 takes a free one, which is printed
    #[arg(long, env = "REST_PORT", value_name = "PORT", default_value_t = 5000)]
    rest_port: u16,

    /// Origins whose pages may read answers in a browser, like https://shop.example; separate several
    /// by commas
    #[arg(long, env = "CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',', value_parser = dual_mode::cors::origin)]
    cors_origin: Vec<axum::http::HeaderValue>,

    #[command(flatten)]
    server: ServerArgs,
}

/// Measured against the system's: see ARCHITECTURE.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Args {
        rest_port,
        cors_origin,
        server,
    } = Args::parse();
    process::run(&server, server.limits(), async |process| {
        let rest = SocketAddr::new(server.bind, rest_port);
        let rest = listener::bind("REST", rest, "--rest-port").await?;
        let grpc = listener::bind("gRPC", server.grpc_address(), "--grpc-port").await?;
        println!(
            "REST on {}\ngRPC on {}",
            rest.local_addr()?,
            grpc.local_addr()?
        );
        let (rest, grpc) = (process.listener(rest), process.listener(grpc));
        Ok(dual_mode::serve_pages_of(cors_origin, rest, grpc, process.shutdown).await?)
    })
}
