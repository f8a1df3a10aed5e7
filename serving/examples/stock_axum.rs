//! A stock axum server that wears every layer of `serving` that is for REST. Run with
//! `cargo run -p serving --example stock_axum`: it prints its address, and serves until Ctrl-C. `/events` counts the
//! seconds, for who has the token: `curl -H 'authorization: Bearer 4ZbQyGm3K1rXwT0v' ADDRESS/events`.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{
    Router,
    response::sse::{Event, Sse},
    routing::get,
};
use futures_util::{Stream, StreamExt, stream};
use serving::{
    CancellationToken,
    authorization::{Authorization, AuthorizationLayer, Tokens},
    cors::Origins,
    cross_site::CrossSiteGate,
    gate::GateLayer,
    hosts::{HostGate, Hosts},
    layers::{
        BodyIdleTimeoutLayer, CatchPanicLayer, ConcurrencyLimitLayer, DeadlineLayer, DrainLayer,
        ResponseMemoryLayer, TelemetryLayer,
    },
    limits::Limits,
    refusal::Problem,
    telemetry::{Telemetry, codes::Transport},
};
use tokio::{net::TcpListener, time::sleep};
use tower::ServiceBuilder;

/// Serves `router` to those who have one of `tokens`, until `stop` is cancelled and every call has ended.
///
/// # Errors
/// When the server fails.
pub(crate) async fn serve(
    socket: TcpListener,
    router: Router,
    tokens: Tokens,
    limits: &Limits,
    stop: CancellationToken,
) -> io::Result<()> {
    let words = Problem;
    let hosts = HostGate::new(Hosts::new(&["shop.example".to_owned()]), words);
    let pages = CrossSiteGate::new(Arc::new(Origins::default()), words);
    let telemetry = Telemetry::default();
    let routes = ["/events", "/healthz"];
    // The first is the outermost.
    let layers = ServiceBuilder::new()
        // Around all: what the others refuse is counted and has an id.
        .layer(TelemetryLayer::new(
            &telemetry,
            "public",
            Transport::Rest,
            routes,
        ))
        // So that a panic of a layer is contained too.
        .layer(CatchPanicLayer::new(words))
        // These decide by the head alone, before a call takes anything.
        .layer(GateLayer((hosts, pages)))
        .layer(AuthorizationLayer::new(
            Authorization::by_tokens(tokens),
            words,
        ))
        // These drop the call that they end, which gives back its place and its memory.
        .layer(DeadlineLayer::new(
            words,
            limits.longest_call,
            limits.longest_stream,
        ))
        .layer(DrainLayer::new(words, stop.clone()))
        .layer(ConcurrencyLimitLayer::new(words, limits.calls))
        .layer(ResponseMemoryLayer::new(words, limits.answers))
        .layer(BodyIdleTimeoutLayer::new(limits.body_pause));
    axum::serve(socket, router.layer(layers))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

async fn events() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::iter(0_u64..).then(async |second| {
        sleep(Duration::from_secs(1)).await;
        Ok(Event::default().data(second.to_string()))
    }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let router = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/events", get(events));
    let tokens = Tokens::new("backend 4ZbQyGm3K1rXwT0v")?;
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    println!("REST on http://{}", socket.local_addr()?);
    let stop = CancellationToken::new();
    let limits = Limits::default();
    let server = serve(socket, router, tokens, &limits, stop.clone());
    let stops = async {
        let _ = tokio::signal::ctrl_c().await;
        stop.cancel();
    };
    Ok(tokio::join!(server, stops).0?)
}
