//! What orchestrators ask over HTTP, beside `grpc.health.v1`: whether the process lives, and whether
//! to send it requests. The truth behind both transports is one token.

use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use serving::CancellationToken;

use crate::rest::only;

const READ: &str = "GET, HEAD, OPTIONS";

/// `/healthz`, which always answers 200, and `/readyz`, which answers 503 as soon as `shutdown` is
/// cancelled: before the listener closes.
pub(crate) fn routes(shutdown: CancellationToken) -> Router {
    let ready = move || {
        let serving = !shutdown.is_cancelled();
        async move { health(serving) }
    };
    Router::new()
        .route("/healthz", only(get(async || health(true)), READ))
        .route("/readyz", only(get(ready), READ))
}

/// The states of `grpc.health.v1`, by their names there.
#[derive(Serialize)]
struct Health {
    status: &'static str,
}

fn health(serving: bool) -> Response {
    let (code, status) = if serving {
        (StatusCode::OK, "SERVING")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "NOT_SERVING")
    };
    (code, Json(Health { status })).into_response()
}
