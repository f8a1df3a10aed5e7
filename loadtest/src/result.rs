//! What a run measured, as plain data. `run.json` is this, and the report is made from it alone.

use serde::{Deserialize, Serialize};

/// The version of this layout. It grows when a field changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// One run: the same load on each arm, one after the other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The version of this layout, [`SCHEMA`].
    pub schema: u32,
    /// When the run began, RFC 3339 in UTC.
    pub started: String,
    /// The command line as it was typed.
    pub command: String,
    /// Why the run ended before its time, if it did. Its figures cover what was measured until then.
    pub cut_short: Option<String>,
    /// What was measured with.
    pub tool: Tool,
    /// Where it was measured.
    pub machine: Machine,
    /// How the load was shaped, the same on each arm.
    pub load: Load,
    /// Whose service was measured.
    pub service: Service,
    /// What each arm gave, in the order they ran.
    pub arms: Vec<Arm>,
}

/// The program that measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tool {
    /// Version of this crate.
    pub version: String,
    /// Version of goose.
    pub goose: String,
    /// Commit of the checkout it ran in, where git could tell; `+` marks uncommitted changes.
    pub commit: Option<String>,
    /// Whether it was built with optimisations. Figures of a debug build say nothing.
    pub release: bool,
}

/// The machine that the generator ran on, and the server too where it is local.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// Operating system and kernel, such as `Linux 6.12.0`.
    pub kernel: String,
    /// Model name of the processor, where the system tells.
    pub cpu: Option<String>,
    /// Cores available to the process.
    pub cores: usize,
    /// Memory in bytes, where the system tells.
    pub memory: Option<u64>,
}

/// The shape of the load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Load {
    /// Users, each calling again as soon as its answer has come.
    pub users: usize,
    /// Connections: one per user.
    pub connections: usize,
    /// Calls in flight on one connection.
    pub in_flight_per_connection: usize,
    /// How the users were started, such as `32 users/s`.
    pub ramp: String,
    /// How long each arm was to run at full load, such as `15s`, or `until stopped`.
    pub run_time: String,
}

/// Whose service was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// dual-mode, started and stopped by the run itself.
    Embedded,
    /// A service that was running already.
    Running,
}

/// A protocol as one arm of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// JSON over HTTP/1.1.
    Rest,
    /// Protobuf in gRPC's framing over HTTP/2.
    Grpc,
}

impl Protocol {
    /// Its short name, such as `gRPC`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rest => "REST",
            Self::Grpc => "gRPC",
        }
    }

    /// Its name in file names: `rest` or `grpc`.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Grpc => "grpc",
        }
    }

    /// What goes over the wire.
    pub fn wire(self) -> &'static str {
        match self {
            Self::Rest => "JSON over HTTP/1.1",
            Self::Grpc => "protobuf over HTTP/2",
        }
    }
}

/// What one arm gave. Only the window counts: from a moment after the last user had started until
/// the first of them stopped.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Arm {
    /// The protocol.
    pub protocol: Protocol,
    /// Where it was sent.
    pub target: String,
    /// Length of the window in seconds.
    pub seconds: f64,
    /// Answers in the window, good and bad.
    pub requests: u64,
    /// Bad answers in the window: error statuses, broken connections, timeouts, wrong texts.
    pub failures: u64,
    /// Answers per second of the window.
    pub requests_per_second: f64,
    /// How long the good answers took.
    pub latency: Latency,
    /// Answers in each whole second of the window.
    pub throughput: Vec<u64>,
    /// Each kind of answer and its count over the whole arm, ramp included; the most frequent first.
    pub statuses: Vec<StatusCount>,
    /// Connections opened over the whole arm; more than users means that some broke.
    pub connections_opened: u64,
    /// The server's use of the machine, where it is a process on it.
    pub server: Option<ServerUse>,
    /// The generator's own use of the machine.
    pub generator: GeneratorUse,
    /// Thresholds that were missed, as goose words them.
    pub thresholds_missed: Vec<String>,
    /// Why this arm ended before its time, if it did.
    pub cut_short: Option<String>,
    /// File name of goose's own report on this arm, beside this one.
    pub goose_report: Option<String>,
}

impl Run {
    /// Whether a ratio of rates says anything: both arms ran their time, and every answer of theirs
    /// was good. A quick refusal is no better than a slow answer.
    pub fn is_comparable(&self) -> bool {
        self.cut_short.is_none()
            && self
                .arms
                .iter()
                .all(|arm| arm.cut_short.is_none() && !arm.has_bad_answers())
    }
}

impl Arm {
    /// Whether any answer was bad, in the window or outside it.
    pub fn has_bad_answers(&self) -> bool {
        self.failures > 0 || self.statuses.iter().any(|status| !status.ok)
    }
}

/// Times from just before the call to the last decoded byte, in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Latency {
    /// How many were timed.
    pub count: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// The shortest.
    pub min: f64,
    /// The longest.
    pub max: f64,
    /// p50, p75, p90, p95, p99 and p99.9. One with fewer than a hundred samples beyond it is not
    /// known well enough to print, and is null.
    pub percentiles: Vec<Percentile>,
    /// The distribution, as far as a hundred samples lie beyond: about a hundred points of rising
    /// percentile (0 to 100) and microseconds, for a curve.
    pub curve: Vec<(f64, f64)>,
}

/// One percentile.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Percentile {
    /// Which, such as 99.9.
    pub percentile: f64,
    /// Its value in microseconds, where enough samples lie beyond it.
    pub micros: Option<f64>,
}

/// One kind of answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusCount {
    /// Such as `200`, `INVALID_ARGUMENT`, or `connection refused`.
    pub status: String,
    /// Whether it is a good answer.
    pub ok: bool,
    /// How often it came.
    pub count: u64,
}

/// A server process's use of the machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerUse {
    /// Its processes: more than one where several share the listening socket.
    pub pids: Vec<u32>,
    /// CPU time in the window divided by answers in the window, in microseconds.
    pub cpu_micros_per_request: f64,
    /// CPU seconds per second of the window: 1.0 is one core kept busy.
    pub cores_busy: f64,
    /// Resident memory before the first call, in bytes.
    pub memory_at_rest: u64,
    /// Resident memory at the end of the window, in bytes.
    pub memory_under_load: u64,
}

/// The generator's use of the machine.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct GeneratorUse {
    /// CPU time in the window divided by answers in the window, in microseconds.
    pub cpu_micros_per_request: f64,
    /// CPU seconds per second of the window: 1.0 is one core kept busy.
    pub cores_busy: f64,
}
