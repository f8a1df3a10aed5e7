//! REST: the same calls as JSON, and the stream as server-sent events.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
    routing::{get, post},
};
use futures_util::{Stream, StreamExt, stream};
use serde_json::json;
use serving::{
    authorization::{Authorization, AuthorizationLayer},
    cors::Origins,
    operations::Health,
    refusal::Problem,
    service::HttpService,
    side::Side,
};
use tower::Layer;

use crate::{
    proto::{CreateOrderRequest, Order, StockLevel},
    store::{Failure, Store},
};

type Shop = State<Arc<Store>>;
type Answer<T> = Result<Json<T>, Failure>;

async fn create(State(store): Shop, Json(wanted): Json<CreateOrderRequest>) -> Answer<Order> {
    Ok(Json(store.create(wanted).await?))
}

async fn order(State(store): Shop, Path(id): Path<u32>) -> Answer<Order> {
    Ok(Json(store.get(id).await?))
}

async fn stock(State(store): Shop, Path(sku): Path<String>) -> Answer<StockLevel> {
    Ok(Json(store.stock(sku).await?))
}

async fn ready(Extension(health): Extension<Health>) -> Result<(), Failure> {
    health.is_serving("").then_some(()).ok_or(Failure::Away)
}

/// Each order is an event. The last one is `end`; before it comes `error` if orders were missed.
async fn watch(
    State(store): Shop,
    Extension(health): Extension<Health>,
) -> Sse<impl Stream<Item = Result<Event, axum::Error>>> {
    let orders = store.watch().map(|order| match order {
        Ok(order) => Event::default().event("order").json_data(order),
        Err(missed) => Ok(Event::default().event("error").data(missed.to_string())),
    });
    let orders = orders.take_until(health.shutdown().clone().cancelled_owned());
    let end = stream::once(async { Ok(Event::default().event("end").data("connect again")) });
    Sse::new(orders.chain(end)).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

/// RFC 9457.
impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::TooLittle => StatusCode::CONFLICT,
            Self::Missed | Self::Away => StatusCode::SERVICE_UNAVAILABLE,
        };
        let problem = json!({ "status": status.as_u16(), "detail": self.to_string() });
        let kind = [(CONTENT_TYPE, "application/problem+json")];
        (status, kind, Json(problem)).into_response()
    }
}

pub(crate) fn side(
    store: Arc<Store>,
    authorization: Authorization,
    health: Health,
) -> Side<impl HttpService, Problem> {
    let routes = [
        ("/v1/orders", post(create)),
        ("/v1/orders/{id}", get(order)),
        ("/v1/orders:watch", get(watch)),
        ("/v1/stock/{sku}", get(stock)),
        ("/readyz", get(ready)),
    ];
    let paths = routes.iter().map(|(path, _)| path.to_string()).collect();
    let mut router = Router::new();
    for (path, call) in routes {
        router = router.route(path, call);
    }
    let router = router.with_state(store).layer(Extension(health));
    Side {
        service: AuthorizationLayer::new(authorization, Problem).layer(router),
        refuse: Problem,
        paths,
        origins: Origins::default(),
    }
}
