//! The result of a trial: counts and times as they were measured, judged by nobody.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Nanoseconds;

/// The result of one trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Opening of the window, or of its first part, in microseconds since 1970 UTC; 0 if it never opened.
    pub opened_unix_us: u64,
    /// Length of the window in microseconds, of all its parts together.
    pub window_us: u64,
    /// Parts of the window, between which other trials had their turn.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub parts: u32,
    /// Length of the warm-up before it in microseconds.
    #[serde(default)]
    pub warm_up_us: u64,
    /// True if the warm-up ended because the service was steady; runs of earlier versions do not say.
    #[serde(default)]
    pub steady: Option<bool>,
    /// Replies that came within the window, good and bad; of one in parts, the replies to calls that were due, or began,
    /// within them: rate, CPU and bytes per request are of these.
    pub completed: u64,
    /// Calls that were due within the window (open loop) or began in it (closed loop), good and bad:
    /// latency is of these. Each was waited for.
    pub counted: u64,
    /// Those of [`Self::counted`] whose reply had not come when waiting ended.
    #[serde(default)]
    pub unanswered: u64,
    /// Bad replies among [`Self::counted`] by their fixed text, such as `503` or `no answer in time`.
    pub errors: BTreeMap<String, u64>,
    /// Bad replies over the whole attack, ramp and warm-up included, without [`Self::unanswered`].
    #[serde(default)]
    pub errors_in_all: BTreeMap<String, u64>,
    /// Service time of the good replies: from just before the first byte was written to the last byte
    /// of the reply.
    pub service_time: Nanoseconds,
    /// Response time of the same: from when the call was due (coordinated omission: Gil Tene). None in
    /// a closed loop, where calls are not due at a time.
    pub response_time: Option<Nanoseconds>,
    /// Cost to the server, where that is a process on this machine.
    pub server: Option<ServerCost>,
    /// True if the server's processes were there when the window opened, but not when it closed.
    #[serde(default)]
    pub server_lost: bool,
    /// The server's requests to others, if it was found by its port and the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_asked: Option<Asked>,
    /// Replies over the whole attack, ramp and warm-up included; runs of earlier versions do not say.
    #[serde(default)]
    pub completed_in_all: u64,
    /// Cost to the generator.
    pub generator: GeneratorCost,
    /// Bytes on the wire, where they were counted.
    pub wire: Option<Wire>,
    /// Punctuality of calls; none in a closed loop.
    pub dispatch: Option<Dispatch>,
    /// Share of the window that the hypervisor took, 0 to 1, where the system tells.
    pub steal_share: Option<f64>,
    /// Share of the time of the cores of server and generator that other programs took at least, 0 to 1,
    /// where both are on this machine and the system tells.
    #[serde(default)]
    pub others_share: Option<f64>,
    /// Thresholds that were missed, as goose words them.
    #[serde(default)]
    pub thresholds_missed: Vec<String>,
    /// Reason for the early end of the attack; none if it did not end before its time.
    #[serde(default)]
    pub cut_short: Option<String>,
    /// True if a threshold ended it, which is meant to end the run.
    #[serde(default)]
    pub aborted: bool,
}

fn one() -> u32 {
    1
}

fn is_one(parts: &u32) -> bool {
    *parts == 1
}

/// Use of the machine by the server, all its processes together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerCost {
    /// CPU time in the window, in microseconds; of one in parts, what [`Measurement::completed`] cost of what was used
    /// between the moments without calls around each.
    pub cpu_us: u64,
    /// Source of the CPU time; runs of earlier versions do not say.
    #[serde(default)]
    pub cpu_source: Option<CpuSource>,
    /// Resident memory before the first call.
    pub memory_at_rest_kib: u64,
    /// Resident memory at the end of the window.
    pub memory_under_load_kib: u64,
}

/// Source of a figure of CPU time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CpuSource {
    /// The scheduler, in nanoseconds, thread by thread: `/proc/PID/task/TID/schedstat`. It counts a
    /// thread that runs at its next tick, so that each end of the window is known to a few ms.
    Scheduler,
    /// The account of a control group, in microseconds: its `cpu.stat`. As exact as the scheduler's.
    ControlGroup,
    /// The process's account, in ticks of 10 ms: `/proc/PID/stat`.
    Ticks,
    /// The server itself, over `/metrics`: from before the first call to after the last one, shared out
    /// among all replies. Most libraries read the ticks.
    Metrics,
}

impl CpuSource {
    /// The error of CPU time by ticks, one at each end, in microseconds; 0 if they are not counted in.
    pub fn tick_error_us(self) -> u64 {
        match self {
            Self::Scheduler | Self::ControlGroup => 0,
            Self::Ticks | Self::Metrics => 20_000,
        }
    }
}

/// The server's requests to others while it was measured, over connections that it opened itself: their
/// CPU time is not in its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Whom; a few at most.
    pub peers: Vec<String>,
    /// Bytes received for each reply.
    pub received_bytes_per_request: f64,
    /// Connections that were opened on this machine for each reply, without the generator's.
    pub connections_per_request: f64,
}

/// Use of the machine by the generator.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeneratorCost {
    /// CPU time in the window in microseconds, without what was spent only to wait or to keep the time; of one in
    /// parts as [`ServerCost::cpu_us`].
    pub cpu_us: u64,
    /// Share of the window that its busiest thread was busy, 0 to 1, where it was told.
    pub busiest_core_share: Option<f64>,
    /// The most memory that was ever resident, where the system tells.
    #[serde(default)]
    pub peak_memory_kib: Option<u64>,
}

/// Bytes on the wire, headers included, without those of TCP.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wire {
    /// Bytes from the generator to the server for each request.
    pub sent_bytes_per_request: f64,
    /// Bytes from the server to the generator for each request.
    pub received_bytes_per_request: f64,
}

/// Punctuality of an open loop.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dispatch {
    /// Calls that were due in the window.
    pub offered: u64,
    /// Calls that were due before the window opened, and whose replies had not come then; runs of
    /// earlier versions may not say.
    #[serde(default)]
    pub unanswered_at_open: Option<u64>,
    /// The same for its close; runs of earlier versions do not say.
    #[serde(default)]
    pub unanswered_at_close: Option<u64>,
    /// Of a window in parts: by how much more calls were on their way when a part closed than when it opened, as a
    /// share of those due in it; the median of the parts. Each part ends with the queue of an overload, and few
    /// with one of a moment in which the machine was busy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth: Option<f64>,
    /// Dispatch delay, from when a call was due to when the pacer let it go: median in microseconds;
    /// runs of earlier versions do not say.
    #[serde(default)]
    pub delay_p50_us: Option<f64>,
    /// The same, 99th percentile.
    pub delay_p99_us: f64,
}

impl Measurement {
    /// Replies per second of the window.
    pub fn requests_per_second(&self) -> f64 {
        self.completed as f64 * 1e6 / self.window_us as f64
    }

    /// Bad replies among those counted.
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }

    /// CPU of the server for each reply, in microseconds.
    pub fn server_cpu_us_per_request(&self) -> Option<f64> {
        let server = self.server?;
        (self.completed > 0).then(|| server.cpu_us as f64 / self.completed as f64)
    }

    /// CPU of the generator for each reply, in microseconds.
    pub fn generator_cpu_us_per_request(&self) -> Option<f64> {
        (self.completed > 0).then(|| self.generator.cpu_us as f64 / self.completed as f64)
    }

    /// The times that latency is read from: response time where there is one.
    pub fn latency(&self) -> &Nanoseconds {
        self.response_time.as_ref().unwrap_or(&self.service_time)
    }
}
