//! REST, with axum: JSON as the proto3 mapping has it.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{
        HeaderMap, StatusCode,
        header::{AUTHORIZATION, WWW_AUTHENTICATE},
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{
    Shop,
    orders::{NewOrder, Order, Refused},
};

/// The routes. `/debug/cpu` asks for no token, and counts as no call.
pub(crate) fn routes(shop: Arc<Shop>) -> Router {
    Router::new()
        .route("/v1/orders", post(create))
        .route("/v1/orders/{id}", get(find))
        .layer(middleware::from_fn_with_state(Arc::clone(&shop), admit))
        .route("/debug/cpu", get(cpu))
        .with_state(shop)
}

async fn create(
    State(shop): State<Arc<Shop>>,
    Json(wanted): Json<NewOrder>,
) -> Result<(StatusCode, Json<Order>), Refused> {
    let order = shop.orders.create(wanted)?;
    Ok((StatusCode::CREATED, Json(order)))
}

async fn find(
    State(shop): State<Arc<Shop>>,
    Path(id): Path<String>,
) -> Result<Json<Order>, Refused> {
    shop.orders.get(&id).map(Json)
}

/// Calls, and the CPU time of the work that was added to them, side by side.
async fn cpu(State(shop): State<Arc<Shop>>) -> Json<Value> {
    Json(json!({ "rest": shop.rest_work.done(), "grpc": shop.grpc_work.done() }))
}

/// Lets a call pass that has the token, and does its work.
async fn admit(
    State(shop): State<Arc<Shop>>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    if !shop.admits(headers.get(AUTHORIZATION).map(|value| value.as_bytes())) {
        let challenge = [(WWW_AUTHENTICATE, "Bearer")];
        let body = Json(json!({ "error": "the bearer token is missing or wrong" }));
        return (StatusCode::UNAUTHORIZED, challenge, body).into_response();
    }
    shop.rest_work.once();
    next.run(request).await
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Invalid { .. } => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
        };
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}
