//! The dual-mode server.
//!
//! Run with `cargo run -p dual-mode`. It prints the addresses it listens on, REST, gRPC
//! and metrics, answers until Ctrl-C, and logs to standard error.

use std::{net::SocketAddr, process::ExitCode};

use clap::Parser;
use dual_mode::Options;
use serving::{
    admin::{Admin, AdminArgs},
    args::ServerArgs,
    authorization::AuthorizationArgs,
    cors, listener, process,
    tls::TlsArgs,
};
use tokio::net::TcpListener;

/// One service over REST and gRPC at once
#[derive(Parser)]
#[command(name = "dual-mode", version)]
struct Args {
    /// Port of the REST listener; 0 takes a free one, which is printed
    #[arg(long, env = "REST_PORT", value_name = "PORT", default_value_t = 5000)]
    rest_port: u16,

    /// Serve gRPC on the REST port too, told apart by content type, and open no other for it
    #[arg(long, env = "ONE_PORT")]
    one_port: bool,

    /// Origins whose pages may read answers in a browser, like https://shop.example; separate several
    /// by commas
    #[arg(long, env = "CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',', value_parser = cors::origin)]
    cors_origin: Vec<axum::http::HeaderValue>,

    /// The origin of the server's own page where a proxy makes another of it, like https://shop.example
    /// for one that speaks TLS in the server's place
    #[arg(long, env = "PUBLIC_ORIGIN", value_name = "ORIGIN", value_parser = cors::origin)]
    public_origin: Option<axum::http::HeaderValue>,

    /// Where browsers reach the gRPC port, behind a port mapping or a proxy, like
    /// http://localhost:9090; then name the page itself by --cors-origin
    #[arg(long, env = "GRPC_URL", value_name = "ORIGIN", value_parser = cors::origin, conflicts_with = "one_port")]
    grpc_url: Option<axum::http::HeaderValue>,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    tls: TlsArgs,

    #[command(flatten)]
    authorization: AuthorizationArgs,

    #[command(flatten)]
    admin: AdminArgs,
}

/// Measured against the system's: see ARCHITECTURE.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Args {
        rest_port,
        one_port,
        cors_origin: origins,
        public_origin: public,
        grpc_url,
        server,
        tls,
        authorization,
        admin,
    } = serving::args::parse::<Args>();
    let listeners = if one_port { 1 } else { 2 };
    process::run(&server, server.limits(), listeners, async |mut process| {
        let rest = SocketAddr::new(server.bind, rest_port);
        let rest = listener::bind("REST", rest, "--rest-port").await?;
        let grpc = match one_port {
            true => None,
            false => Some(listener::bind("gRPC", server.grpc_address(), "--grpc-port").await?),
        };
        process.tls = tls.start()?;
        let authorization = authorization.start(server.bind, process.tls.as_ref())?;
        let admin = Admin::start(&admin, "dual-mode", &mut process).await?;
        let rest_at = rest.local_addr()?;
        let grpc_at = grpc.as_ref().map_or(Ok(rest_at), TcpListener::local_addr)?;
        let metrics_at = admin.address.map(|at| format!("\nmetrics on {at}"));
        let metrics_at = metrics_at.unwrap_or_default();
        process::announce(&format!("REST on {rest_at}\ngRPC on {grpc_at}{metrics_at}"));
        let (rest, grpc) = (
            process.listener(rest),
            grpc.map(|grpc| process.listener(grpc)),
        );
        let shutdown = process.shutdown;
        let options = Options {
            health: process.health,
            authorization,
            origins,
            public,
            grpc_url,
        };
        let served = match grpc {
            Some(grpc) => dual_mode::serve_with(options, rest, grpc, shutdown).await,
            None => dual_mode::serve_on_one_port(options, rest, shutdown).await,
        };
        admin.end().await;
        Ok(served?)
    })
}
