//! One business core, a REST listener and a gRPC listener at once.
//!
//! ```text
//! REST :5000   bytes → axum  → DTO ─────────────┐
//!                                               ├→ greetings::greet → Answer | Fault
//! gRPC :50051  bytes → tonic → RequestMessage ──┘
//! ```
//!
//! [`greetings`] is the business and knows neither transport; [`rest`] and [`grpc`] translate and
//! decide nothing; [`serve`] runs both.

pub mod faults;
pub mod greetings;
pub mod grpc;
mod jsonrpc;
mod messages;
mod probes;
pub mod rest;

use axum::http::HeaderValue;
use greetings::{Answer, Fault, Request};
use rest::GrpcWeb;
use serving::{
    CancellationToken, authorization::Authorization, cors::Origins, drain::ServeError,
    operations::Health, server::Listener,
};

/// The shortest answer, in bytes, that is worth compressing: it fills more than one packet.
const COMPRESSED_FROM: u16 = 1400;

/// To whom the service is open, and what browsers are told. Origins are as [`serving::cors::origin`] reads them.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The state of the server beside its shutdown, as gRPC's health and `/readyz` tell it.
    pub health: Health,
    /// The callers that are let in, over either transport.
    pub authorization: Authorization,
    /// The origins whose pages may read answers, beside the server's own page.
    pub origins: Vec<HeaderValue>,
    /// The origin of the server's own page, where a proxy makes another of it.
    pub public: Option<HeaderValue>,
    /// The origin at which the server's own page finds gRPC-Web, if not at the port of the gRPC
    /// listener.
    pub grpc_url: Option<HeaderValue>,
}

/// Serves REST on `rest` and gRPC on `grpc`, as `options` say, until `shutdown` is cancelled and the
/// calls in flight have finished. If either ends for any other reason, the other is stopped too.
///
/// # Errors
/// [`ServeError`], naming the side that failed.
pub async fn serve_with(
    options: Options,
    rest: impl Into<Listener>,
    grpc: impl Into<Listener>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let (rest, grpc) = (rest.into(), grpc.into());
    let port = |listener: &Listener| Some(listener.socket.local_addr().ok()?.port());
    let grpc_web = match (options.grpc_url, port(&grpc)) {
        (Some(url), _) => GrpcWeb::At(url),
        (None, Some(port)) => GrpcWeb::Port(port),
        (None, None) => GrpcWeb::Here,
    };
    let own = port(&rest);
    let origins = |own_port| Origins {
        named: options.origins.clone(),
        public: options.public.clone(),
        own_port,
        ..Origins::default()
    };
    let both = shutdown.child_token();
    let health = options.health.until(both.clone());
    let (rest, grpc) = tokio::join!(
        then_cancel(
            rest::serve(
                rest,
                origins(None),
                options.authorization.clone(),
                grpc_web,
                health.clone()
            ),
            &both
        ),
        then_cancel(
            grpc::serve(
                grpc,
                origins(own),
                options.authorization.clone(),
                health.clone()
            ),
            &both
        ),
    );
    rest.and(grpc)
}

/// The same, with [`Options::default`]: for anybody, and for no pages but the server's own.
///
/// # Errors
/// [`ServeError`], naming the side that failed.
pub async fn serve(
    rest: impl Into<Listener>,
    grpc: impl Into<Listener>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    serve_with(Options::default(), rest, grpc, shutdown).await
}

/// The same two services on one `listener`, told apart by the content type of each request. Limits
/// hold for both together. The server's own page calls its own origin, and needs no leave.
///
/// # Errors
/// [`ServeError`], when calls have to be cut at the end of the grace.
pub async fn serve_on_one_port(
    options: Options,
    listener: impl Into<Listener>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let listener = listener.into();
    let health = options.health.until(shutdown.clone());
    let origins = Origins {
        named: options.origins,
        public: options.public,
        ..Origins::default()
    };
    let rest = rest::side(
        &listener.limits,
        origins.clone(),
        options.authorization.clone(),
        &GrpcWeb::Here,
        health.clone(),
    );
    let grpc = grpc::side(&listener.limits, origins, options.authorization, &health);
    listener
        .serve_both("REST and gRPC", rest, grpc, shutdown)
        .await
}

/// Cancels `token` as soon as `server` has ended, however it did.
async fn then_cancel<T>(server: impl Future<Output = T>, token: &CancellationToken) -> T {
    let result = server.await;
    token.cancel();
    result
}

/// Asks the core, and logs what the original logged: how the caller came, and its greeting. Where
/// the caller does not say how it came, the adapter's `transport` stands in.
fn answer(transport: &str, request: &Request) -> Result<Answer, Fault> {
    let answer = greetings::greet(request)?;
    log(transport, request, &answer);
    Ok(answer)
}

/// The same for a batch.
fn answer_batch(transport: &str, requests: &[Request]) -> Result<Vec<Answer>, Fault> {
    let answers = greetings::greet_batch(requests)?;
    for (request, answer) in requests.iter().zip(&answers) {
        log(transport, request, answer);
    }
    Ok(answers)
}

fn log(transport: &str, request: &Request, answer: &Answer) {
    let came_by = match request.data_comm_type.as_str() {
        "" => transport,
        named => named,
    };
    // Only the caller's own word may hold what would forge a line of the log.
    tracing::debug!("{}: {}", came_by.escape_debug(), answer.greetings);
}
