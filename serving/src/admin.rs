//! The listener for operators: metrics and health, on a port of their own that callers need not reach.
//! Neither waits for a call to end: a server that is full of them still says that it lives.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use http_body_util::Full;

use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use crate::{
    connection::Protocol,
    drain::ServeError,
    limits::Limits,
    listener::{self, BindError},
    operations::Health,
    process::{End, Process},
    refusal::PlainText,
    server::Listener,
    telemetry::{Telemetry, exposition, metrics::Metrics, traces::Traces},
};

/// The port where nobody chose another.
const PORT: u16 = 9464;

/// Longest time that a scrape may take.
const LONGEST_CALL: Duration = Duration::from_secs(5);
/// Longest time that a scrape in flight may go on when the process ends.
const GRACE: Duration = Duration::from_millis(500);
/// Longest time that the last spans may take to be sent.
const LAST_TELLING: Duration = Duration::from_secs(2);
/// A scraper or two, and a person.
const CONNECTIONS: usize = 32;

/// Options of the admin listener and of telemetry, by which operators learn about the process.
#[derive(Args, Clone, Debug)]
pub struct AdminArgs {
    /// Port of /metrics, /healthz and /readyz; 0 takes a free one, which is printed; "off"
    /// for none [default: 9464, or none where it is taken]
    #[arg(long, env = "ADMIN_PORT", value_name = "PORT", value_parser = admin_port)]
    pub admin_port: Option<AdminPort>,

    /// Address that these listen on; for probes and scrapers of other hosts, the one they reach it by
    #[arg(long, env = "ADMIN_BIND_ADDRESS", value_name = "IP", default_value_t = Ipv4Addr::LOCALHOST.into())]
    pub admin_bind: IpAddr,

    /// Send spans to this OTLP endpoint (gRPC), such as http://localhost:4317
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// Serve calls without request ids, metrics and traces, to see what these cost
    #[arg(long, env = "NO_TELEMETRY")]
    pub no_telemetry: bool,

    /// Share of calls whose spans are sent, where the caller's traceparent does not say
    #[arg(long, env = "TRACE_SAMPLE", value_name = "SHARE", value_parser = share, default_value = "0.01")]
    pub trace_sample: f64,

    /// Begin a trace with each call, whatever its traceparent says, and sample by --trace-sample alone;
    /// for a server that anybody may call
    #[arg(long, env = "IGNORE_TRACEPARENT")]
    pub ignore_traceparent: bool,
}

/// Port that the admin listener is wanted on, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminPort {
    /// Nowhere.
    Off,
    /// On this port.
    On(u16),
}

fn admin_port(text: &str) -> Result<AdminPort, String> {
    match text {
        "off" => Ok(AdminPort::Off),
        port => port
            .parse()
            .map(AdminPort::On)
            .map_err(|_| "it must be a port or \"off\"".to_owned()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("it must be a number from 0 to 1".to_owned()),
    }
}

/// The admin listener and the destination of spans, which tell operators about a process while it runs.
#[derive(Debug)]
pub struct Admin {
    /// Address that it listens on, if it does.
    pub address: Option<SocketAddr>,
    traces: Option<Traces>,
    end: CancellationToken,
    server: Option<JoinHandle<Result<(), ServeError>>>,
    process: End,
}

impl Admin {
    /// Opens what `args` ask for, and lets the listeners of `process` report to it. `service` is the
    /// name in its spans.
    ///
    /// # Errors
    /// When the port was asked for and cannot be had, or the OTLP endpoint is not one.
    pub async fn start(
        args: &AdminArgs,
        service: &'static str,
        process: &mut Process,
    ) -> anyhow::Result<Self> {
        let metrics = Metrics::default();
        let endpoint = args.otlp_endpoint.as_deref();
        let endpoint = endpoint.filter(|url| !url.is_empty() && !args.no_telemetry);
        let traces = endpoint.map(|url| Traces::to(url, service, args.trace_sample));
        let traces = traces.transpose()?;
        process.telemetry = (!args.no_telemetry).then(|| Telemetry {
            metrics: Some(metrics.clone()),
            traces: traces.clone(),
            is_edge: args.ignore_traceparent,
        });
        let mut admin = Self {
            address: None,
            traces,
            end: CancellationToken::new(),
            server: None,
            process: process.end.clone(),
        };
        if let Some(socket) = bind(args.admin_bind, args.admin_port).await? {
            admin.address = Some(socket.local_addr().context("the admin port is unknown")?);
            let health = process.health.clone();
            let listener = Listener {
                hosts: process.hosts.clone(),
                ..Listener::from(socket)
            };
            let server = serve(listener, metrics, health, admin.end.clone());
            admin.server = Some(tokio::spawn(server));
        }
        Ok(admin)
    }

    /// Ends it when the server has ended: what is left to be told is told, for a bounded time, which is
    /// short where the server took all of its grace.
    pub async fn end(self) {
        self.end.cancel();
        let left = self.process.left(LAST_TELLING);
        let scraped = async {
            if let Some(server) = self.server {
                // A scrape that is cut loses nothing.
                let _ = timeout(left, server).await;
            }
        };
        let sent = async {
            if let Some(traces) = self.traces {
                traces.flush(left).await;
            }
        };
        tokio::join!(scraped, sent);
    }
}

async fn bind(ip: IpAddr, port: Option<AdminPort>) -> Result<Option<TcpListener>, BindError> {
    let at = |port| SocketAddr::new(ip, port);
    match port {
        Some(AdminPort::Off) => Ok(None),
        Some(AdminPort::On(port)) => {
            let socket = listener::bind("the admin listener", at(port), "--admin-port").await;
            socket.map(Some)
        }
        // A second server on one machine is no reason to fail where nobody asked for metrics.
        None => match listener::bind("the admin listener", at(PORT), "--admin-port").await {
            Ok(socket) => Ok(Some(socket)),
            Err(error) => {
                tracing::warn!("no metrics: {error}");
                Ok(None)
            }
        },
    }
}

async fn serve(
    listener: Listener,
    metrics: Metrics,
    health: Health,
    end: CancellationToken,
) -> Result<(), ServeError> {
    let service = service_fn(move |request: Request<crate::Body>| {
        let response = answer(&request, &metrics, &health);
        async move { Ok::<_, Infallible>(response) }
    });
    let listener = Listener {
        limits: Limits {
            connections: CONNECTIONS,
            calls: CONNECTIONS,
            longest_call: LONGEST_CALL,
            grace: GRACE,
            ..Limits::default()
        },
        ..listener
    };
    listener
        .serve("admin", Protocol::Http1, service, PlainText, end)
        .await
}

fn answer(
    request: &Request<crate::Body>,
    metrics: &Metrics,
    health: &Health,
) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "this path takes GET\n");
        let allow = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allow);
        return response;
    }
    match request.uri().path() {
        "/metrics" => match metrics.text() {
            Ok(metrics) => {
                let mut response = text(StatusCode::OK, metrics);
                let kind = HeaderValue::from_static(exposition::CONTENT_TYPE);
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n"),
        },
        "/healthz" => text(StatusCode::OK, "alive\n"),
        "/readyz" if health.is_serving("") => text(StatusCode::OK, "ready\n"),
        "/readyz" if health.shutdown().is_cancelled() => {
            text(StatusCode::SERVICE_UNAVAILABLE, "going away\n")
        }
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not serving\n"),
        _ => text(
            StatusCode::NOT_FOUND,
            "there are /metrics, /healthz and /readyz\n",
        ),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
