//! A stock tonic server that wears every layer of `serving`. Run with
//! `cargo run -p serving --example stock_tonic`: it prints its address, and serves until Ctrl-C. Health is open to
//! everybody; reflection wants the token, as `authorization: Bearer 4ZbQyGm3K1rXwT0v`.

use serving::{
    CancellationToken,
    authorization::{Authorization, Tokens},
    cors::Origins,
    hosts::Hosts,
    layers::{self, TelemetryLayer},
    limits::Limits,
    operations,
    refusal::GrpcStatus,
    status_mapping::StatusMappingLayer,
    telemetry::{Telemetry, codes::Transport},
};
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};

/// Serves `services` to those who have one of `tokens`, until `stop` is cancelled and every call has ended.
///
/// # Errors
/// When the server fails.
pub(crate) async fn serve(
    incoming: TcpIncoming,
    services: Routes,
    tokens: Tokens,
    limits: &Limits,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let routes = operations::paths(tonic_health::pb::FILE_DESCRIPTOR_SET);
    let telemetry = TelemetryLayer::new(&Telemetry::default(), "grpc", Transport::Grpc, routes);
    let origins = Origins {
        hosts: Hosts::new(&["shop.example".to_owned()]),
        ..Origins::default()
    };
    let known = Authorization::by_tokens(tokens);
    let layers = layers::stack(GrpcStatus, limits, telemetry, origins, known, stop.clone());
    Server::builder()
        .layer(layers)
        // Inside of them, and with the feature `web` behind a `GrpcWebLayer`: it tells the caller of a pause, and of
        // all else that is wrong with messages.
        .layer(StatusMappingLayer::new(limits.message))
        .add_routes(services)
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
        .await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (_reporter, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure().build_v1()?;
    let services = Routes::new(health).add_service(reflection);
    let tokens = Tokens::new("backend 4ZbQyGm3K1rXwT0v")?;
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
    println!("gRPC on {}", incoming.local_addr()?);
    let stop = CancellationToken::new();
    let limits = Limits::default();
    let server = serve(incoming, services, tokens, &limits, stop.clone());
    let stops = async {
        let _ = tokio::signal::ctrl_c().await;
        stop.cancel();
    };
    Ok(tokio::join!(server, stops).0?)
}
