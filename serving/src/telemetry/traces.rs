//! Spans of sampled calls, sent over OTLP by a thread of the SDK. Nothing waits for it: its queue is
//! bounded, and what does not fit is dropped and said in the log.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context;
use http::{Method, Version};
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor,
    },
};

use super::{codes::Transport, ended::Ended, trace_context::TraceContext};

/// Spans that may wait to be sent, and how many go in one message; the SDK's own defaults.
const QUEUE: usize = 2048;
const BATCH: usize = 512;
/// Longest time that a span waits for others to be sent with it.
const DELAY: Duration = Duration::from_secs(5);
/// Longest time that one message may take.
const EXPORT: Duration = Duration::from_secs(5);

/// The destination of spans. Clones share it.
#[derive(Clone, Debug)]
pub struct Traces {
    processor: Arc<BatchSpanProcessor>,
    scope: InstrumentationScope,
    /// Calls whose random number is below it are sampled.
    threshold: u64,
}

impl Ended<'_> {
    /// The name of its span and its attributes, by OpenTelemetry's semantic conventions for HTTP server spans
    /// (1.23, stable) and gRPC server spans (1.39).
    fn described(&self) -> (Cow<'static, str>, Vec<KeyValue>) {
        let text = |key: &'static str, value: &str| KeyValue::new(key, value.to_owned());
        let mut attributes = vec![text("request.id", self.request_id)];
        let version = match self.version {
            Version::HTTP_2 => "2",
            Version::HTTP_10 => "1.0",
            _ => "1.1",
        };
        attributes.push(KeyValue::new("network.protocol.version", version));
        if self.is_error {
            attributes.push(text("error.type", self.code));
        }
        let name = match self.transport {
            Transport::Grpc => {
                attributes.push(KeyValue::new("rpc.system.name", "grpc"));
                let method = self.route.map(|path| path.trim_start_matches('/'));
                attributes.push(text("rpc.method", method.unwrap_or("_OTHER")));
                attributes.push(text("rpc.response.status_code", self.code));
                method.unwrap_or("grpc").to_owned()
            }
            Transport::Rest => {
                let method = known(self.method);
                attributes.push(KeyValue::new(
                    "http.request.method",
                    method.unwrap_or("_OTHER"),
                ));
                let scheme = if self.is_tls { "https" } else { "http" };
                attributes.push(KeyValue::new("url.scheme", scheme));
                if let Some(status) = self.status {
                    let status = i64::from(status.as_u16());
                    attributes.push(KeyValue::new("http.response.status_code", status));
                }
                let method = method.unwrap_or("HTTP");
                match self.route {
                    None => method.to_owned(),
                    Some(route) => {
                        // No path here has parameters.
                        attributes.push(text("http.route", route));
                        attributes.push(text("url.path", route));
                        format!("{method} {route}")
                    }
                }
            }
        };
        (Cow::Owned(name), attributes)
    }
}

/// The name of `method`, if it is one that HTTP knows.
fn known(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ];
    KNOWN.into_iter().find(|known| method == *known)
}

impl Traces {
    /// Sends spans of the service called `service` to `endpoint`. Of the calls whose caller says
    /// nothing about sampling, the share `sample` is sent, between 0 and 1. Must be called on the
    /// runtime that is to send.
    ///
    /// # Errors
    /// When `endpoint` is no URL of OTLP over gRPC.
    pub fn to(endpoint: &str, service: &'static str, sample: f64) -> anyhow::Result<Self> {
        anyhow::ensure!(
            endpoint.starts_with("http://"),
            "--otlp-endpoint {endpoint:?} cannot be used; write it like http://localhost:4317, a \
             collector beside the server"
        );
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(EXPORT)
            .build()
            .with_context(|| {
                format!("--otlp-endpoint {endpoint:?} cannot be used; write it like http://localhost:4317")
            })?;
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let mut processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(config)
            .build();
        processor.set_resource(&Resource::builder().with_service_name(service).build());
        Ok(Self {
            processor: Arc::new(processor),
            scope: InstrumentationScope::builder("serving").build(),
            threshold: (sample.clamp(0.0, 1.0) * u64::MAX as f64) as u64,
        })
    }

    /// The context of a call that is to be sampled. If the caller names a trace, the caller decides.
    pub(crate) fn sample(&self, context: Option<TraceContext>) -> Option<TraceContext> {
        match context {
            Some(context) => context.sampled.then_some(context),
            None if self.threshold == u64::MAX || fastrand::u64(..) < self.threshold => {
                Some(TraceContext::begin())
            }
            None => None,
        }
    }

    pub(crate) fn send(&self, call: &Ended<'_>) {
        let end_time = SystemTime::now();
        let (name, attributes) = call.described();
        self.processor.on_end(SpanData {
            span_context: SpanContext::new(
                TraceId::from_bytes(call.context.trace.to_be_bytes()),
                SpanId::from_bytes(fastrand::u64(..).max(1).to_be_bytes()),
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: SpanId::from_bytes(call.context.parent.unwrap_or(0).to_be_bytes()),
            parent_span_is_remote: call.context.parent.is_some(),
            span_kind: SpanKind::Server,
            name,
            start_time: end_time.checked_sub(call.took).unwrap_or(end_time),
            end_time,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: match call.is_error {
                true => Status::error(""),
                false => Status::Unset,
            },
            instrumentation_scope: self.scope.clone(),
        });
    }

    /// Sends what waits, for as long as `limit`. The runtime must go on meanwhile.
    pub async fn flush(self, limit: Duration) {
        let flush = move || self.processor.shutdown_with_timeout(limit);
        let flushed = tokio::task::spawn_blocking(flush);
        match tokio::time::timeout(limit, flushed).await {
            Ok(Ok(Ok(()))) => {}
            _ => tracing::warn!("the last spans could not be sent to the OTLP endpoint"),
        }
    }
}
