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
    authorization::{Authorization, AuthorizationLayer},
    cors::Origins,
    cross_site::CrossSiteGate,
    gate::GateLayer,
    hosts::{HostGate, Hosts},
    limits::Limits,
    refusal::Refuse,
};

/// The checks of a request's host and of the page that it comes from.
type Gates<R> = GateLayer<(HostGate<R>, CrossSiteGate<R>)>;

/// What [`stack`] makes, the outermost layer last.
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
/// Calls are counted by `telemetry`, let in by `authorization` and for `hosts` alone, and streams end when `stop` is
/// cancelled: stop the server by the same token. Around a gRPC service
/// [`StatusMappingLayer`](crate::status_mapping::StatusMappingLayer) belongs inside of them.
///
/// From the outside in: telemetry, so that what the others refuse is counted; panics, so that theirs are contained,
/// too; hosts, origins and authorisation, which decide by the head alone, before a call takes anything; deadline and
/// drain, which drop the call that they end, so that it gives back its place and its memory; the limits; and next to
/// the service the pause of its body, of which it has to be told.
///
/// The examples `stock_tonic` and `stock_axum` show it on stock servers. A [listener](crate::server) does all of it
/// itself but for authorisation and the pause, and more: the limits that belong to connections.
pub fn stack<R: Refuse>(
    words: R,
    limits: &Limits,
    telemetry: TelemetryLayer,
    hosts: Hosts,
    authorization: Authorization,
    stop: CancellationToken,
) -> Layers<R> {
    let origins = Arc::new(Origins {
        hosts: hosts.clone(),
        ..Origins::default()
    });
    let gates = (
        HostGate::new(hosts, words.clone()),
        CrossSiteGate::new(origins, words.clone()),
    );
    ServiceBuilder::new()
        .layer(telemetry)
        .layer(CatchPanicLayer::new(words.clone()))
        .layer(GateLayer(gates))
        .layer(AuthorizationLayer::new(authorization, words.clone()))
        .layer(DeadlineLayer::new(
            words.clone(),
            limits.longest_call,
            limits.longest_stream,
        ))
        .layer(DrainLayer::new(words.clone(), stop))
        .layer(ConcurrencyLimitLayer::new(words.clone(), limits.calls))
        .layer(RequestMemoryLayer::new(words.clone(), limits.intake))
        .layer(ResponseMemoryLayer::new(words, limits.answers))
        .layer(BodyIdleTimeoutLayer::new(limits.body_pause))
}
