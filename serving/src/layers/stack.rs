//! All layers of a server in their order.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tower::{
    ServiceBuilder,
    layer::util::{Identity, Stack},
};

use super::{
    BodyIdleTimeoutLayer, CatchPanicLayer, ConcurrencyLimitLayer, DeadlineLayer, DrainLayer,
    RequestMemoryLayer, ResponseMemoryLayer, TelemetryLayer,
};
use crate::{
    args::YEAR,
    authorization::{Authorization, AuthorizationLayer},
    cors::Origins,
    cross_site::CrossSiteGate,
    gate::GateLayer,
    hosts::HostGate,
    limits::Limits,
    operations::WATCH,
    refusal::Refuse,
};

/// The checks of a request's host and of the page that it comes from.
type Gates<R> = GateLayer<(HostGate<R>, CrossSiteGate<R>)>;

/// The layers of [`stack`], the outermost last.
pub type Layers<R> = ServiceBuilder<
    Stack<
        BodyIdleTimeoutLayer,
        Stack<
            ResponseMemoryLayer<R>,
            Stack<
                RequestMemoryLayer<R>,
                Stack<
                    ConcurrencyLimitLayer<R>,
                    Stack<
                        DrainLayer<R>,
                        Stack<
                            DeadlineLayer<R>,
                            Stack<
                                AuthorizationLayer<R>,
                                Stack<
                                    Gates<R>,
                                    Stack<CatchPanicLayer<R>, Stack<TelemetryLayer, Identity>>,
                                >,
                            >,
                        >,
                    >,
                >,
            >,
        >,
    >,
>;

/// Every layer that a whole server needs, in the right order, within `limits` and in the `words` of its transport.
/// Calls are counted by `telemetry`, let in by `authorization`, for the hosts of `origins` alone and from no page but
/// its own and those named there, and streams end when `stop` is cancelled: stop the server by the same token. Around
/// a gRPC service [`StatusMappingLayer`](crate::status_mapping::StatusMappingLayer) belongs inside of them.
///
/// From the outside in: telemetry, so that what the others refuse is counted; panics, so that theirs are contained,
/// too; hosts, origins and authorisation, which decide by the head alone, before a call takes anything; deadline and
/// drain, which drop the call that they end, so that it gives back its place and its memory; the limits; and next to
/// the service the pause of its body, of which it has to be told.
///
/// The examples `stock_tonic` and `stock_axum` show it on stock servers. A [listener](crate::server) does all of it
/// itself but for authorisation and the pause, and more: limits of connections, and of paths.
pub fn stack<R: Refuse>(
    words: R,
    limits: &Limits,
    telemetry: TelemetryLayer,
    origins: Origins,
    authorization: Authorization,
    stop: CancellationToken,
) -> Layers<R> {
    let gates = (
        HostGate::new(origins.hosts.clone(), words.clone()),
        CrossSiteGate::new(Arc::new(origins), words.clone()),
    );
    let (call, stream) = (limits.longest_call, limits.longest_stream);
    let deadline = DeadlineLayer::new(words.clone(), call, stream);
    // It has no end of its own.
    let deadline = deadline.route(WATCH, YEAR, YEAR);
    ServiceBuilder::new()
        .layer(telemetry)
        .layer(CatchPanicLayer::new(words.clone()))
        .layer(GateLayer(gates))
        .layer(AuthorizationLayer::new(authorization, words.clone()))
        .layer(deadline)
        .layer(DrainLayer::new(words.clone(), stop))
        .layer(ConcurrencyLimitLayer::new(words.clone(), limits.calls))
        .layer(RequestMemoryLayer::new(words.clone(), limits.intake))
        .layer(ResponseMemoryLayer::new(words, limits.answers))
        .layer(BodyIdleTimeoutLayer::new(limits.body_pause))
}
