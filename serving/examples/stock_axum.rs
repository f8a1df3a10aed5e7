//! A stock axum server that wears every layer of `serving` that is for REST. Run with
//! `cargo run -p serving --example stock_axum`: it prints its address, and serves until Ctrl-C. `/events` counts the
//! seconds, for who has the token: `curl -H 'authorization: Bearer 4ZbQyGm3K1rXwT0v' ADDRESS/events`.

use std::{convert::Infallible, io, time::Duration};

use axum::{
    Router,
    response::sse::{Event, Sse},
    routing::get,
};
use futures_util::{Stream, StreamExt, stream};
use serving::{
    CancellationToken,
    authorization::{Authorization, Tokens},
    cors::Origins,
    hosts::Hosts,
    layers::{self, TelemetryLayer},
    limits::Limits,
    refusal::Problem,
    telemetry::{Telemetry, codes::Transport},
};
use tokio::{net::TcpListener, time::sleep};

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
    let routes = ["/events", "/healthz"];
    let telemetry = TelemetryLayer::new(&Telemetry::default(), "rest", Transport::Rest, routes);
    let origins = Origins {
        hosts: Hosts::new(&["shop.example".to_owned()]),
        ..Origins::default()
    };
    let known = Authorization::by_tokens(tokens);
    let layers = layers::stack(Problem, limits, telemetry, origins, known, stop.clone());
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
