//! The shop. Run with `cargo run -p shop-on-serving -- --database shop.db`. It prints its addresses, and serves
//! until Ctrl-C.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use clap::Parser;
use serving::{
    admin::{Admin, AdminArgs},
    args::ServerArgs,
    authorization::AuthorizationArgs,
    listener, process,
};
use shop_on_serving::{Store, serve};

/// A shop that takes orders, over REST and gRPC
#[derive(Parser)]
struct Args {
    /// File of the database, which is made if it is not there
    #[arg(long, value_name = "FILE")]
    database: PathBuf,

    /// Port of the REST listener; 0 takes a free one, which is printed
    #[arg(long, value_name = "PORT", default_value_t = 5000)]
    rest_port: u16,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    authorization: AuthorizationArgs,

    #[command(flatten)]
    admin: AdminArgs,
}

fn main() -> ExitCode {
    let args = serving::args::parse::<Args>();
    let server = &args.server;
    process::run(server, server.limits(), 2, async |mut process| {
        let store = Arc::new(Store::open(&args.database)?);
        let authorization = args.authorization.start(server.bind, None)?;
        let rest = SocketAddr::new(server.bind, args.rest_port);
        let rest = listener::bind("REST", rest, "--rest-port").await?;
        let grpc = listener::bind("gRPC", server.grpc_address(), "--grpc-port").await?;
        let admin = Admin::start(&args.admin, "shop", &mut process).await?;
        let (rest_at, grpc_at) = (rest.local_addr()?, grpc.local_addr()?);
        process::announce(&format!("REST on {rest_at}\ngRPC on {grpc_at}"));
        let (rest, grpc) = (process.listener(rest), process.listener(grpc));
        let served = serve(store, authorization, process.health, rest, grpc).await;
        admin.end().await;
        Ok(served?)
    })
}
