//! HTTP probes for orchestrators, beside `grpc.health.v1`: whether the process lives, and whether
//! to send it requests. The truth behind both transports is one [`Health`].

use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use serving::operations::Health;

use crate::rest::only;

const READ: &str = "GET, HEAD, OPTIONS";

/// `/healthz`, which always answers 200, and `/readyz`, which answers 503 as soon as the server does not serve:
/// at its end before the listener closes.
pub(crate) fn routes(health: Health) -> Router {
    let ready = move || {
        let serving = health.is_serving("");
        async move { answer(serving) }
    };
    Router::new()
        .route("/healthz", only(get(async || answer(true)), READ))
        .route("/readyz", only(get(ready), READ))
}

/// The states of `grpc.health.v1`, by their names there.
#[derive(Serialize)]
struct Body {
    status: &'static str,
}

fn answer(serving: bool) -> Response {
    let (code, status) = if serving {
        (StatusCode::OK, "SERVING")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "NOT_SERVING")
    };
    (code, Json(Body { status })).into_response()
}
