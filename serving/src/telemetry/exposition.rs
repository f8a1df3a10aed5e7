//! The counters as Prometheus reads them.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text},
    metrics::MetricType,
    registry::{Registry, Unit},
};

use super::{
    codes::{CODES, Place},
    metrics::{BUCKETS, Calls, Limit, Listener, Metrics, locked},
    process::Process,
};

/// The media type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Metrics {
    /// Every counter, and the use that the process makes of the machine, in the text format of OpenMetrics.
    ///
    /// # Errors
    /// When the text cannot be written, which only a lack of memory could cause.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let server = registry.sub_registry_with_prefix("server");
        server.register_collector(Box::new(Snapshot {
            transports: locked(&self.transports).clone(),
            listeners: locked(&self.listeners).clone(),
        }));
        let mut text = String::new();
        text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

#[derive(Debug)]
struct Snapshot {
    transports: Vec<Arc<Calls>>,
    listeners: Vec<Arc<Listener>>,
}

impl Collector for Snapshot {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Calls that ended, by the code their caller got: the gRPC status of its trailers, or the HTTP status";
        self.calls(to.encode_descriptor("calls", help, None, MetricType::Counter)?)?;
        let help = "Time from the head of a call to the last byte of its answer";
        let unit = Some(&Unit::Seconds);
        self.durations(to.encode_descriptor(
            "call_duration",
            help,
            unit,
            MetricType::Histogram,
        )?)?;
        let help = "Calls that have begun and not ended";
        self.in_flight(to.encode_descriptor("calls_in_flight", help, None, MetricType::Gauge)?)?;
        let help = "Connections that were accepted";
        self.opened(to.encode_descriptor("connections", help, None, MetricType::Counter)?)?;
        let help = "Connections that are open";
        self.open(to.encode_descriptor("connections_open", help, None, MetricType::Gauge)?)?;
        let help = "Times that a peer or a caller ran into a limit";
        self.hits(to.encode_descriptor("limits_hit", help, None, MetricType::Counter)?)
    }
}

impl Snapshot {
    fn calls(&self, mut to: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        for calls in &self.transports {
            for (path, shards) in calls.paths() {
                for code in 0..CODES {
                    let sum = shards
                        .clone()
                        .map(|path| path.ended[code].load(Relaxed))
                        .sum();
                    // Codes that never came need no line.
                    if sum > 0 {
                        let code = calls.transport.label(code as Place);
                        let labels = [
                            ("transport", calls.transport.name()),
                            ("method", path),
                            ("code", &code),
                        ];
                        counter(&mut to, labels, sum)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn durations(&self, mut to: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        for calls in &self.transports {
            for (path, shards) in calls.paths() {
                let ends = BUCKETS.iter().map(|micros| *micros as f64 / 1e6);
                let buckets: Vec<(f64, u64)> = ends
                    .chain([f64::INFINITY])
                    .enumerate()
                    .map(|(at, end)| {
                        let counts = shards.clone().map(|path| path.took[at].load(Relaxed));
                        (end, counts.sum())
                    })
                    .collect();
                let count = buckets.iter().map(|(_, count)| count).sum();
                let nanos: u64 = shards.map(|path| path.nanos.load(Relaxed)).sum();
                let labels = [("transport", calls.transport.name()), ("method", path)];
                to.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                    nanos as f64 / 1e9,
                    count,
                    &buckets,
                    None,
                )?;
            }
        }
        Ok(())
    }

    fn in_flight(&self, mut to: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        for calls in &self.transports {
            for (path, shards) in calls.paths() {
                // What ended is read first: a call in between must not make the difference negative.
                let ended = shards.clone().flat_map(|path| &path.ended);
                let ended: u64 = ended.map(|count| count.load(Relaxed)).sum();
                let begun: u64 = shards.map(|path| path.begun.load(Relaxed)).sum();
                let labels = [("transport", calls.transport.name()), ("method", path)];
                to.encode_family(&labels)?
                    .encode_gauge(&(begun.saturating_sub(ended) as i64))?;
            }
        }
        Ok(())
    }

    fn with_connections(&self) -> impl Iterator<Item = &Arc<Listener>> {
        let listeners = self.listeners.iter();
        listeners.filter(|listener| listener.has_connections)
    }

    fn opened(&self, mut to: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        self.with_connections().try_for_each(|listener| {
            let labels = [("listener", listener.name)];
            counter(&mut to, labels, listener.opened.load(Relaxed))
        })
    }

    fn open(&self, mut to: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        self.with_connections().try_for_each(|listener| {
            let closed = listener.closed.load(Relaxed);
            let open = listener.opened.load(Relaxed).saturating_sub(closed);
            to.encode_family(&[("listener", listener.name)])?
                .encode_gauge(&(open as i64))
        })
    }

    fn hits(&self, mut to: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        for listener in &self.listeners {
            for (limit, name) in Limit::ALL {
                let labels = [("listener", listener.name), ("limit", name)];
                counter(&mut to, labels, listener.hits(limit))?;
            }
        }
        Ok(())
    }
}

fn counter<const N: usize>(
    to: &mut MetricEncoder<'_>,
    labels: [(&str, &str); N],
    value: u64,
) -> Result<(), fmt::Error> {
    to.encode_family(&labels)?
        .encode_counter::<NoLabelSet, u64, f64>(&value, None)
}
