//! The measures that trials are compared by.

use engine::{Measurement, Nanoseconds};

/// A figure of one trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// CPU of the server for each request.
    ServerCpu,
    /// The median time of a good reply: response time where there is one.
    MedianLatency,
    /// The 99th percentile of the same.
    TailLatency,
    /// CPU of the generator for each request.
    GeneratorCpu,
    /// Bytes on the wire for each request, both ways, headers included.
    Bytes,
    /// Replies per second.
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

    /// Its value in `measurement`, in [`unit`](Self::unit), if it was measured. Whether a percentile is known
    /// well enough is decided for a scenario as a whole.
    pub fn of(self, measurement: &Measurement) -> Option<f64> {
        let percentile = |percentile| measurement.latency().percentile_us(percentile);
        let value = match self {
            Self::ServerCpu => measurement.server_cpu_us_per_request(),
            Self::MedianLatency | Self::TailLatency => self.percentile().map(percentile),
            Self::GeneratorCpu => measurement.generator_cpu_us_per_request(),
            Self::Bytes => measurement
                .wire
                .map(|wire| wire.sent_bytes_per_request + wire.received_bytes_per_request),
            Self::Rate => (measurement.window_us > 0).then(|| measurement.requests_per_second()),
        };
        value.filter(|value| value.is_finite() && *value > 0.0)
    }

    /// The percentile that it is, if it is one.
    pub fn percentile(self) -> Option<f64> {
        match self {
            Self::MedianLatency => Some(50.0),
            Self::TailLatency => Some(99.0),
            Self::ServerCpu | Self::GeneratorCpu | Self::Bytes | Self::Rate => None,
        }
    }

    /// Returns true if the measure falls as a rate grows, and is compared only at a common rate.
    pub fn depends_on_rate(self) -> bool {
        matches!(self, Self::ServerCpu | Self::GeneratorCpu)
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

    /// Its unit, the same everywhere.
    pub fn unit(self) -> &'static str {
        match self {
            Self::ServerCpu | Self::MedianLatency | Self::TailLatency | Self::GeneratorCpu => "µs",
            Self::Bytes => "bytes",
            Self::Rate => "requests/s",
        }
    }
}

/// A percentile (0 to 100) of `times` in microseconds, if enough samples lie beyond it.
pub fn percentile_us(times: &Nanoseconds, percentile: f64) -> Option<f64> {
    stats::is_known(times.count(), percentile).then(|| times.percentile_us(percentile))
}
