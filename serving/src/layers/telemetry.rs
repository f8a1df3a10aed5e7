//! Request id, metrics, traces and the log of each call. One layer, because all of them use the request id; apart they
//! would look at each call's headers and status three times.
//!
//! - The **request id** is the caller's own `x-request-id`, or a new one. It is in the answer, in log lines that the
//!   server writes of the call, and for the service in [`CallContext`].
//! - **Metrics**: calls by route and code, the gRPC status of its trailers or the HTTP status, with how long they
//!   took to the last byte; calls in flight; limits that other layers held.
//!   [`Metrics`](crate::telemetry::metrics::Metrics) has them, and with the feature `admin` its `text` is what
//!   Prometheus reads: answer it at a path that the layers do not stand around, best on a port of its own.
//! - **Traces**: with the feature `otlp`, a span for each call of a trace that is sampled, a child of the caller's
//!   `traceparent`.
//! - **The log** goes to the subscriber of `tracing`, or to that of [`telemetry::start`](crate::telemetry::start).
//!
//! It stands outside of all other layers, so that what they refuse is counted, too. On a listener, which has named the
//! call already, it counts alone.
//!
//! On tonic's server:
//!
//! ```
//! use serving::{
//!     layers::TelemetryLayer,
//!     telemetry::{Telemetry, codes::Transport, metrics::Metrics},
//! };
//! use tonic::transport::{Server, server::TcpIncoming};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let metrics = Metrics::default();
//! let telemetry = Telemetry {
//!     metrics: Some(metrics.clone()),
//!     ..Telemetry::default()
//! };
//! let routes = serving::operations::paths(tonic_health::pb::FILE_DESCRIPTOR_SET);
//! let (_, health) = tonic_health::server::health_reporter();
//! let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
//! let address = incoming.local_addr()?;
//! let server = Server::builder()
//!     .layer(TelemetryLayer::new(&telemetry, "public", Transport::Grpc, routes))
//!     .add_service(health)
//!     .serve_with_incoming(incoming);
//! # let server = tokio::spawn(server);
//! # let channel = serving::client::connect(&address.to_string()).await?;
//! # let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
//! # let mut request = tonic::Request::new(tonic_health::pb::HealthCheckRequest::default());
//! # request.metadata_mut().insert("x-request-id", "mine".parse()?);
//! # let answer = client.check(request).await?;
//! # assert_eq!(answer.metadata().get("x-request-id").unwrap(), "mine");
//! # let unknown = tonic_health::pb::HealthCheckRequest { service: "unknown".to_owned() };
//! # let status = client.check(unknown).await.unwrap_err();
//! # assert_eq!(status.metadata().get("x-request-id").unwrap().len(), 16);
//! # #[cfg(feature = "admin")]
//! # for code in ["OK", "NOT_FOUND"] {
//! #     let label = format!("method=\"/grpc.health.v1.Health/Check\",code=\"{code}\"}} 1\n");
//! #     let text = metrics.text()?;
//! #     assert!(text.contains(&label), "{text}");
//! # }
//! # server.abort();
//! # Ok(())
//! # }
//! ```
//!
//! On axum's:
//!
//! ```
//! use axum::{Router, extract::Path, routing::get};
//! use serving::{
//!     CallContext,
//!     layers::TelemetryLayer,
//!     telemetry::{Telemetry, codes::Transport, metrics::Metrics},
//! };
//!
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let metrics = Metrics::default();
//! let telemetry = Telemetry {
//!     metrics: Some(metrics.clone()),
//!     ..Telemetry::default()
//! };
//! let order = async |Path(id): Path<u64>, call: CallContext| {
//!     let call = call.request_id();
//!     format!("order {id}, asked for by {call:?}")
//! };
//! let route = "/v1/orders/{id}";
//! let layer = TelemetryLayer::new(&telemetry, "public", Transport::Rest, [route]);
//! let router = Router::new().route(route, get(order)).layer(layer);
//! let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let address = socket.local_addr()?;
//! let server = axum::serve(socket, router);
//! # let server = tokio::spawn(async { server.await });
//! # let mut peer = tokio::net::TcpStream::connect(address).await?;
//! # let request = b"GET /v1/orders/7 HTTP/1.1\r\nhost: a\r\nx-request-id: mine\r\nconnection: close\r\n\r\n";
//! # peer.write_all(request).await?;
//! # let mut answer = String::new();
//! # peer.read_to_string(&mut answer).await?;
//! # assert!(answer.ends_with("order 7, asked for by Some(\"mine\")"), "{answer}");
//! # assert!(answer.contains("x-request-id: mine\r\n"), "{answer}");
//! # #[cfg(feature = "admin")]
//! # {
//! #     let text = metrics.text()?;
//! #     assert!(text.contains("method=\"/v1/orders/{id}\",code=\"200\"} 1\n"), "{text}");
//! # }
//! # server.abort();
//! # Ok(())
//! # }
//! ```

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Buf;
use http::{Request, Response};
use http_body::Body;
use tonic::server::NamedService;
use tower::{Layer, Service};

use crate::{
    context::CallContext,
    service::BoxError,
    telemetry::{
        Telemetry,
        call::{Call, Line, Tracing, WatchedBody, WatchedCall, Watcher, watch},
        codes::Transport,
        metrics,
    },
};

/// Names, counts and traces the calls of one transport.
#[derive(Clone, Debug)]
pub struct TelemetryLayer {
    line: Arc<Line>,
}

impl TelemetryLayer {
    /// For the calls over `transport`. `server` is the label `listener` of its metrics. Layers may share one
    /// [`Metrics`](metrics::Metrics) if each has another `server` and another `transport`.
    ///
    /// `routes` are counted by name: paths, with parameters as axum has them, such as `/v1/orders/{id}`. All others are
    /// counted as one, as strangers could make any number of them.
    pub fn new<I>(
        telemetry: &Telemetry,
        server: &'static str,
        transport: Transport,
        routes: I,
    ) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        let routes = routes.into_iter().map(Into::into).collect();
        let calls = Arc::new(metrics::Calls::new(transport, routes));
        let listener = Arc::new(metrics::Listener::of_layer(server));
        if let Some(metrics) = &telemetry.metrics {
            metrics.add(&calls);
            metrics.add_listener(&listener);
        }
        let tracing = Tracing {
            traces: telemetry.traces.clone(),
            is_edge: telemetry.is_edge,
            is_tls: false,
        };
        let line = Line {
            transport: calls,
            watcher: Arc::new(Watcher::new(&listener, &tracing)),
        };
        Self {
            line: Arc::new(line),
        }
    }
}

impl<S> Layer<S> for TelemetryLayer {
    type Service = WithTelemetry<S>;

    fn layer(&self, service: S) -> Self::Service {
        let line = Arc::clone(&self.line);
        WithTelemetry { service, line }
    }
}

/// A service whose calls are named, counted and traced.
#[derive(Clone, Debug)]
pub struct WithTelemetry<S> {
    service: S,
    line: Arc<Line>,
}

impl<S: NamedService> NamedService for WithTelemetry<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, A, B> Service<Request<A>> for WithTelemetry<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: Body<Data: Buf, Error: Into<BoxError>>,
{
    type Response = Response<WatchedBody<B>>;
    type Error = S::Error;
    type Future = WatchedCall<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let known = CallContext::of(request.extensions());
        let peer = known.peer().cloned();
        // A listener has named it.
        let known = known.request_id().is_some().then_some(known);
        let call = Call::begin(&self.line, known, peer, &request);
        watch(call, request, |request| self.service.call(request))
    }
}
