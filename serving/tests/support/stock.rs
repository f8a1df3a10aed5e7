//! Stock servers that wear the layers as the two examples do, in front of the service of the other tests. The test
//! file includes it by path.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, extract::Request};
use serving::{CancellationToken, authorization::Tokens, limits::Limits};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};
use tonic::{service::Routes, transport::server::TcpIncoming};

use crate::{
    TOKEN,
    server::{self, PATIENCE, Work},
    stock_axum, stock_tonic,
};

/// The framework of a stock server.
#[derive(Clone, Copy)]
pub(crate) enum Stack {
    /// gRPC.
    Tonic,
    /// REST.
    Axum,
}

/// A stock server that runs, and what is known of it.
pub(crate) struct Stock {
    pub(crate) address: SocketAddr,
    /// Calls that have work behind them.
    pub(crate) alive: watch::Receiver<usize>,
    /// Lets `/slow` answer.
    pub(crate) release: CancellationToken,
    pub(crate) stop: CancellationToken,
    server: JoinHandle<()>,
}

impl Stock {
    pub(crate) async fn start(stack: Stack, limits: Limits) -> Self {
        let (count, alive) = watch::channel(0);
        let count = Arc::new(count);
        let (release, stop) = (CancellationToken::new(), CancellationToken::new());
        let released = release.clone();
        let (_, health) = tonic_health::server::health_reporter();
        let router = Router::new().route_service("/grpc.health.v1.Health/{method}", health);
        let router = router.fallback(async move |request: Request| {
            server::answer(request, Work::begin(&count), released).await
        });
        let tokens = Tokens::new(&format!("backend {TOKEN}")).expect("it is a token");
        let stops = stop.clone();
        let (address, server) = match stack {
            Stack::Tonic => {
                let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
                let incoming = TcpIncoming::bind(anywhere).expect("loopback has a free port");
                let address = incoming.local_addr().expect("it is bound");
                let services = Routes::from(router);
                let server = async move {
                    let served = stock_tonic::serve(incoming, services, tokens, &limits, stops);
                    served.await.expect("it should not fail");
                };
                (address, tokio::spawn(server))
            }
            Stack::Axum => {
                let socket = TcpListener::bind("127.0.0.1:0").await;
                let socket = socket.expect("loopback has a free port");
                let address = socket.local_addr().expect("it is bound");
                let server = async move {
                    let served = stock_axum::serve(socket, router, tokens, &limits, stops);
                    served.await.expect("it should not fail");
                };
                (address, tokio::spawn(server))
            }
        };
        Self {
            address,
            alive,
            release,
            stop,
            server,
        }
    }

    /// Waits until `count` calls have work behind them.
    pub(crate) async fn alive(&mut self, count: usize) {
        let reached = timeout(PATIENCE, self.alive.wait_for(|alive| *alive == count)).await;
        let reached = reached.expect("it should come to that");
        reached.expect("the server holds the other end");
    }

    /// Tells the server to stop, and waits until it has.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let ended = timeout(PATIENCE, self.server).await;
        ended.expect("it should end").expect("it should not panic");
    }
}
