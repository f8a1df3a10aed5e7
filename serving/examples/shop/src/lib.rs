//! A shop that takes orders, over REST and gRPC, with SQLite behind it: a service of another contract than those
//! of this workspace, of the public parts of `serving`, axum and tonic alone.

mod grpc;
mod rest;
mod store;

use std::{sync::Arc, time::Duration};

use serving::{
    authorization::Authorization, connection::Protocol, drain::ServeError, operations::Health,
    server::Listener,
};
pub use store::{Failure, Store};

/// The contract.
#[allow(missing_docs, reason = "the contract documents it")]
pub mod proto {
    tonic::include_proto!("shop.v1");

    /// The contract, as reflection tells it.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shop.bin"));
}

/// Time between two questions to the database whether it is there.
const ASKED: Duration = Duration::from_millis(500);

/// Serves `store` over REST and gRPC to whom `authorization` lets in, until the shutdown of `health` is cancelled
/// and the calls in flight have finished.
///
/// # Errors
/// [`ServeError`], when calls have to be cut at the end of the grace.
pub async fn serve(
    store: Arc<Store>,
    authorization: Authorization,
    health: Health,
    rest: Listener,
    grpc: Listener,
) -> Result<(), ServeError> {
    let shutdown = health.shutdown();
    let grpc_side = grpc::side(
        Arc::clone(&store),
        authorization.clone(),
        &health,
        &grpc.limits,
    );
    let rest_side = rest::side(Arc::clone(&store), authorization, health.clone());
    let (rest, grpc, ()) = tokio::join!(
        rest.serve_side("REST", Protocol::Either, rest_side, shutdown.clone()),
        grpc.serve_side("gRPC", Protocol::Http2, grpc_side, shutdown.clone()),
        watch(&store, &health),
    );
    rest.and(grpc)
}

/// Says of the server that it serves as long as the database answers.
async fn watch(store: &Arc<Store>, health: &Health) {
    loop {
        match store.is_there().await {
            true => health.set_serving(""),
            false => health.set_not_serving(""),
        }
        let pause = tokio::time::sleep(ASKED);
        if health.shutdown().run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}
