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
    telemetry::codes::Transport,
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

/// The layers that a whole server needs, in the right order, and in the `words` of its transport.
///
/// - Of `limits` it takes `longest_call`, `longest_stream`, `calls`, `intake`, `answers` and, over REST, `body_pause`;
///   the others are a listener's. Give `message` to axum's `DefaultBodyLimit`, or to each gRPC service and to
///   [`StatusMappingLayer`](crate::status_mapping::StatusMappingLayer).
/// - `telemetry` is for the same transport as `words`.
/// - Requests are for the hosts of `origins`, by default all; what may change something comes from no page but the
///   server's own and those that are named there. Set `is_tls` if the server speaks TLS. That a page of another origin
///   may read an answer is no part of this: put a layer for CORS outside, such as tower-http's.
/// - `authorization` says who may call.
/// - Streams end when `stop` is cancelled: stop the server by the same token. Nobody cuts what is open then and is no
///   stream: put a timeout around the end of the server.
///
/// Around a gRPC service `StatusMappingLayer` belongs inside of them, and for browsers
/// `GrpcWebLayer`, of the feature `web`, between. Several services of one server share one stack, by tonic's
/// `Server::layer`, or by axum's `Router::layer` after the last route. REST and gRPC have one each.
///
/// From the outside in: telemetry, so that what the others refuse is counted; panics, so that theirs are contained,
/// too; hosts, origins and authorisation, which decide by the head alone, before a call takes anything; deadline and
/// drain outside of the limits, so that a call that they end gives back its place and its memory; and next to the
/// service the pause of its body, whose error it has to see. A stream of gRPC may be quiet: its body may pause for as
/// long as it may go on.
///
/// The examples `stock_tonic` and `stock_axum` show it on stock servers.
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
    let pause = match R::TRANSPORT {
        Transport::Rest => limits.body_pause,
        Transport::Grpc => limits.longest_stream,
    };
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
        .layer(BodyIdleTimeoutLayer::new(pause))
}
