//! A stock tonic server that wears every layer of `serving`. Run with
//! `cargo run -p serving --example stock_tonic`: it prints its address, and serves until Ctrl-C. Health is open to
//! everybody; reflection wants the token, as `authorization: Bearer 4ZbQyGm3K1rXwT0v`.

use std::sync::Arc;

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
    let words = GrpcStatus;
    let hosts = HostGate::new(Hosts::new(&["shop.example".to_owned()]), words);
    let pages = CrossSiteGate::new(Arc::new(Origins::default()), words);
    let telemetry = Telemetry::default();
    let routes = operations::paths(tonic_health::pb::FILE_DESCRIPTOR_SET);
    // The first is the outermost.
    Server::builder()
        // Around all: what the others refuse is counted and has an id.
        .layer(TelemetryLayer::new(
            &telemetry,
            "public",
            Transport::Grpc,
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
        // With the feature `web`, `GrpcWebLayer` stands here. The mapping tells the caller of a pause, and of all else that is wrong with messages.
        .layer(BodyIdleTimeoutLayer::new(limits.body_pause))
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
