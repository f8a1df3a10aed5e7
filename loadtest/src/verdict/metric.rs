//! What blocks are compared by.

use crate::{
    record::{BlockRecord, Nanoseconds},
    statistics::percentile_us,
};

/// A figure of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// CPU of the server for each request.
    ServerCpu,
    /// The median time of a good answer: from the intended start where there is one.
    MedianLatency,
    /// The 99th percentile of the same.
    TailLatency,
    /// CPU of the generator for each request.
    GeneratorCpu,
    /// Bytes on the wire for each request, both ways, headers included.
    Bytes,
    /// Answers per second.
    Rate,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ServerCpu,
        Self::MedianLatency,
        Self::TailLatency,
        Self::GeneratorCpu,
        Self::Bytes,
        Self::Rate,
    ];

    /// Its value in `block`, in [`unit`](Self::unit), where it was measured and is known well enough.
    pub fn of(self, block: &BlockRecord) -> Option<f64> {
        let value = match self {
            Self::ServerCpu => block.server_cpu_us_per_request(),
            Self::MedianLatency => percentile_us(times(block), 50.0),
            Self::TailLatency => percentile_us(times(block), 99.0),
            Self::GeneratorCpu => block.generator_cpu_us_per_request(),
            Self::Bytes => block
                .wire
                .map(|wire| wire.sent_bytes_per_request + wire.received_bytes_per_request),
            Self::Rate => (block.window_us > 0).then(|| block.requests_per_second()),
        };
        value.filter(|value| value.is_finite() && *value > 0.0)
    }

    /// Its name in a sentence.
    pub fn noun(self) -> &'static str {
        match self {
            Self::ServerCpu => "server CPU per request",
            Self::MedianLatency => "median latency",
            Self::TailLatency => "p99 latency",
            Self::GeneratorCpu => "client CPU per request",
            Self::Bytes => "bytes per request",
            Self::Rate => "requests per second",
        }
    }

    /// Its unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::ServerCpu | Self::MedianLatency | Self::TailLatency | Self::GeneratorCpu => "µs",
            Self::Bytes => "bytes",
            Self::Rate => "/s",
        }
    }
}

/// What is compared: corrected where that is known.
pub fn times(block: &BlockRecord) -> &Nanoseconds {
    let latency = &block.latency;
    latency.corrected.as_ref().unwrap_or(&latency.uncorrected)
}
