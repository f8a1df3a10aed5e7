//! A small shop to try loadtest on: a contract it has never seen, by REST and by gRPC.
//!
//! Run with `cargo run --release -p loadtest --example shop -- --token secret --grpc-work 1ms`. It prints its
//! two addresses, and serves until Ctrl-C. With `--rows 1000` it prints the rows of a data file instead.

mod app;

use std::{
    io::{self, Write},
    net::Ipv4Addr,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use serving::CancellationToken;
use tokio::net::TcpListener;

/// A shop that takes orders, by REST (POST /v1/orders, GET /v1/orders/{id}) and by gRPC (shop.v1.Orders)
///
/// GET /debug/cpu says how many calls each side had, and how much CPU time was added to them.
#[derive(Parser)]
#[command(name = "shop")]
struct Args {
    /// Port of REST on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 5000)]
    rest_port: u16,

    /// Port of gRPC on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 50051)]
    grpc_port: u16,

    /// Let in only calls with `authorization: Bearer TOKEN` [default: everybody]
    #[arg(long, env = "SHOP_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// CPU time that REST takes for each call besides, such as 300us or 1ms
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = work)]
    rest_work: Duration,

    /// CPU time that gRPC takes for each call besides
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = work)]
    grpc_work: Duration,

    /// Print N rows of a data file as JSON lines, and serve nothing
    #[arg(long, value_name = "N")]
    rows: Option<u32>,

    /// The call that the rows are for; the shop knows the orders that get-order asks for
    #[arg(long, value_name = "CALL", value_enum, default_value_t = Call::CreateOrder)]
    rows_for: Call,

    /// Seed of the rows: the same seed makes the same rows
    #[arg(long, value_name = "NUMBER", default_value_t = app::rows::SEED)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Call {
    CreateOrder,
    GetOrder,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.rows {
        Some(count) => print_rows(count, &args),
        None => run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(args: Args) -> anyhow::Result<()> {
    let rest = bind(args.rest_port, "--rest-port").await?;
    let grpc = bind(args.grpc_port, "--grpc-port").await?;
    println!("REST on http://{}", rest.local_addr()?);
    println!("gRPC on {}", grpc.local_addr()?);
    println!("It ends with Ctrl-C.");
    let options = app::Options {
        token: args.token,
        rest_work: args.rest_work,
        grpc_work: args.grpc_work,
    };
    let shutdown = CancellationToken::new();
    let end = shutdown.clone();
    tokio::spawn(async move {
        // Without a signal to wait for, it ends as processes do.
        if tokio::signal::ctrl_c().await.is_ok() {
            end.cancel();
        }
    });
    app::serve(rest, grpc, options, shutdown).await
}

async fn bind(port: u16, option: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("{option} {port} cannot be listened on; 0 takes a free port"))
}

fn print_rows(count: u32, args: &Args) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for (number, row) in (1_u64..).zip(app::rows::orders(count, args.seed)) {
        let line = match args.rows_for {
            Call::CreateOrder => serde_json::to_string(&row)?,
            Call::GetOrder => {
                let id = (number - 1) % u64::from(app::orders::READY) + 1;
                format!(r#"{{"id":"order-{id}"}}"#)
            }
        };
        match writeln!(out, "{line}") {
            // Whoever reads has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    Ok(())
}

/// At most a second: whoever waits longer has given up.
fn work(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time <= Duration::from_secs(1) => Ok(time),
        Ok(_) => Err("must be at most 1s".to_owned()),
        Err(_) => Err("not a duration; try 300us or 1ms".to_owned()),
    }
}
