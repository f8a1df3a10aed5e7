//! A running shop of `examples/shop`.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of it"
)]

#[path = "../../examples/shop/app/mod.rs"]
pub mod app;

use std::net::SocketAddr;

use serving::CancellationToken;
use tokio::{net::TcpListener, runtime::Runtime};

/// A shop that wants a token, and the runtime that it runs on.
pub struct Shop {
    pub rest: SocketAddr,
    pub grpc: SocketAddr,
    pub runtime: Runtime,
    shutdown: CancellationToken,
}

impl Shop {
    /// Starts one on free ports that wants `token`.
    pub fn start(token: &str) -> Self {
        Self::start_at("127.0.0.1:0", token)
    }

    /// The same at `address`.
    pub fn start_at(address: &str, token: &str) -> Self {
        let runtime = Runtime::new().expect("a runtime can be made");
        let [rest, grpc] = [(); 2].map(|()| {
            let listener = TcpListener::bind(address);
            runtime.block_on(listener).expect("there is a free port")
        });
        let [rest_at, grpc_at] = [&rest, &grpc].map(|one| one.local_addr().expect("it listens"));
        let shutdown = CancellationToken::new();
        let options = app::Options {
            token: Some(token.to_owned()),
            ..app::Options::default()
        };
        runtime.spawn(app::serve(rest, grpc, options, shutdown.clone()));
        Self {
            rest: rest_at,
            grpc: grpc_at,
            runtime,
            shutdown,
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
