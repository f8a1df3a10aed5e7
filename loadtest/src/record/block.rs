//! What one block measured.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{Arm, Cell, Nanoseconds};

/// One block: one arm under one load for some seconds, in a process of its own. Only the window
/// counts, which opens after the warm-up and closes before the first user stops.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockRecord {
    /// The version of this layout, [`FORMAT`](super::FORMAT).
    pub format: u32,
    /// Its place in the order in which blocks ran, from 1.
    pub number: u32,
    /// The pair it belongs to, from 1: blocks of one cell and one pair are compared.
    pub pair: u32,
    /// 1, or more where it repeats a VOID block.
    pub attempt: u32,
    /// The arm.
    pub arm: Arm,
    /// The arm's name in this cell: its letter, or where one arm stands under two names (A/A), the
    /// name. Unique in a cell.
    pub label: String,
    /// Why it was measured.
    pub purpose: Purpose,
    /// Connections.
    pub connections: u32,
    /// Calls in flight on each connection.
    pub in_flight: u32,
    /// Greetings in one call.
    pub batch: u32,
    /// How calls were started.
    pub load: Load,
    /// When the window opened, in microseconds since 1970 UTC.
    pub opened_unix_us: u64,
    /// Length of the window.
    pub window_us: u64,
    /// Answers in the window, good and bad.
    pub requests: u64,
    /// Bad answers in the window by their fixed text, such as `503` or `no answer in time`.
    pub errors: BTreeMap<String, u64>,
    /// How long the good answers took, each to its last decoded byte.
    pub latency: Latency,
    /// What it cost the server, where that is a process on this machine.
    pub server: Option<ServerCost>,
    /// What it cost the generator.
    pub generator: GeneratorCost,
    /// Bytes on the wire, where they were counted.
    pub wire: Option<Wire>,
    /// How well calls were started in time; none in a closed loop.
    pub pacer: Option<Pacer>,
    /// Share of the window that the hypervisor took, 0 to 1, where the system tells.
    pub steal_share: Option<f64>,
    /// Share of the time of the cores of server and generator that other programs took at least, 0 to 1, where
    /// both are on this machine and the system tells; runs of earlier versions do not say.
    #[serde(default)]
    pub others_share: Option<f64>,
    /// Why this block does not count. Valid where it is empty.
    pub void: Vec<Void>,
}

/// Why blocks are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// One arm under two names: the floor under every claim.
    Aa,
    /// All arms in the primary shape, N connections × 1 call in flight.
    Primary,
    /// The other shapes of connections × calls in flight.
    Shape,
    /// Larger messages, for the break-even map.
    Payload,
    /// The same offered rate on every arm: CPU per request, and latency from the intended start.
    Open,
    /// A rate of the search for capacity.
    Capacity,
    /// The original's comparison, made again and taken apart.
    Seed,
    /// A server that does nothing: the generator's own limit.
    Ceiling,
}

/// How calls are started.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// The next call starts when the last one's answer has come.
    Closed,
    /// Calls start at their own times, whatever the answers do.
    Open {
        /// Calls per second, of all connections together.
        per_second: f64,
    },
}

/// How long the good answers took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// From just before the call, as most tools count.
    pub uncorrected: Nanoseconds,
    /// From the moment the call was meant to start (coordinated omission: Gil Tene); none in a
    /// closed loop, where no such moment exists.
    pub corrected: Option<Nanoseconds>,
}

/// A server process's use of the machine, all its processes together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerCost {
    /// CPU time in the window.
    pub cpu_us: u64,
    /// Who counted it; runs of earlier versions do not say.
    #[serde(default)]
    pub cpu_source: Option<CpuSource>,
    /// Resident memory before the first call.
    pub memory_at_rest_kib: u64,
    /// Resident memory at the end of the window.
    pub memory_under_load_kib: u64,
}

/// Who counted CPU time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CpuSource {
    /// The scheduler, in nanoseconds, thread by thread: `/proc/PID/task/TID/schedstat`. It counts a
    /// thread that runs at its next tick, so that each end of the window is known to a few ms.
    Scheduler,
    /// The process's account, in ticks of 10 ms: `/proc/PID/stat`.
    Ticks,
}

/// The generator's use of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeneratorCost {
    /// CPU time in the window.
    pub cpu_us: u64,
    /// Share of the window that its busiest core (or thread) was busy, 0 to 1, where it was told.
    pub busiest_core_share: Option<f64>,
    /// The most memory that was ever resident, where the system tells.
    #[serde(default)]
    pub peak_memory_kib: Option<u64>,
}

/// Bytes on the wire, headers included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wire {
    /// Bytes from the generator to the server for each request.
    pub sent_bytes_per_request: f64,
    /// Bytes from the server to the generator for each request.
    pub received_bytes_per_request: f64,
}

/// How well an open loop kept its times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pacer {
    /// Calls that were to start in the window.
    pub offered: u64,
    /// Calls that were due when the window opened, and whose answers had not come; runs of earlier
    /// versions do not say.
    #[serde(default)]
    pub unanswered_at_open: Option<u64>,
    /// From the intended start to when the pacer let the call go, 99th percentile.
    pub lateness_p99_us: f64,
}

/// Why a block does not count, with the figure that broke the rule and its limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Void {
    /// Fewer answers came than calls were offered.
    Behind {
        /// Achieved divided by offered, 0 to 1.
        achieved_share: f64,
        /// At least this.
        limit: f64,
    },
    /// More answers came than calls were offered: the window began with a queue.
    CatchingUp {
        /// Achieved divided by offered, above 1.
        achieved_share: f64,
        /// At most this.
        limit: f64,
    },
    /// The generator had no core to spare.
    GeneratorBusy {
        /// Share of time that its busiest core was busy.
        busiest_core_share: f64,
        /// At most this.
        limit: f64,
    },
    /// Calls started late.
    PacerLate {
        /// 99th percentile of the lateness.
        lateness_p99_us: f64,
        /// At most this: a tenth of the median latency, or 50 µs where that is more.
        limit_us: f64,
    },
    /// Answers were bad.
    Errors {
        /// How many.
        count: u64,
    },
    /// The hypervisor took the machine away.
    Steal {
        /// Share of time taken.
        share: f64,
        /// At most this.
        limit: f64,
    },
    /// Other programs took the machine.
    Others {
        /// Share of the cores' time taken.
        share: f64,
        /// At most this.
        limit: f64,
    },
    /// The server's process was another one at the end.
    ServerRestarted,
    /// It measured nothing: the text says why.
    Unmeasured {
        /// What happened.
        reason: String,
    },
    /// After a merge: the machines did not measure at the same time.
    NotAtOnce {
        /// Share of the longest window in which all of them measured.
        overlap_share: f64,
        /// At least this.
        limit: f64,
    },
}

impl BlockRecord {
    /// Whether it counts.
    pub fn is_valid(&self) -> bool {
        self.void.is_empty()
    }

    /// Whether it was measured for `cell`.
    pub fn is_of(&self, cell: &Cell) -> bool {
        let arm = |(arm, label): &(Arm, String)| *arm == self.arm && *label == self.label;
        self.purpose == cell.purpose
            && self.load == cell.load
            && (self.connections, self.in_flight, self.batch)
                == (cell.connections, cell.in_flight, cell.batch)
            && cell.arms.iter().any(arm)
    }

    /// Answers per second of the window.
    pub fn requests_per_second(&self) -> f64 {
        self.requests as f64 * 1e6 / self.window_us as f64
    }

    /// Bad answers in the window.
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }

    /// CPU of the server for each answer, in microseconds.
    pub fn server_cpu_us_per_request(&self) -> Option<f64> {
        let server = self.server?;
        (self.requests > 0).then(|| server.cpu_us as f64 / self.requests as f64)
    }

    /// CPU of the generator for each answer, in microseconds.
    pub fn generator_cpu_us_per_request(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.generator.cpu_us as f64 / self.requests as f64)
    }
}

impl fmt::Display for Void {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind {
                achieved_share,
                limit,
            } => write!(
                f,
                "achieved {achieved_share:.3} of the offered rate, below {limit}"
            ),
            Self::CatchingUp {
                achieved_share,
                limit,
            } => write!(
                f,
                "achieved {achieved_share:.3} of the offered rate, above {limit}: calls from before it \
                 were still waiting"
            ),
            Self::GeneratorBusy {
                busiest_core_share,
                limit,
            } => write!(
                f,
                "a core of the generator was {:.0}% busy, above {:.0}%",
                busiest_core_share * 100.0,
                limit * 100.0
            ),
            Self::PacerLate {
                lateness_p99_us,
                limit_us,
            } => write!(
                f,
                "calls started {lateness_p99_us:.1} µs late (p99); allowed are {limit_us:.0} µs"
            ),
            Self::Errors { count } => write!(f, "{count} bad answers"),
            Self::Steal { share, limit } => write!(
                f,
                "the hypervisor took {:.2}% of the time, above {:.0}%",
                share * 100.0,
                limit * 100.0
            ),
            Self::Others { share, limit } => write!(
                f,
                "other programs took {:.0}% of the cores' time, above {:.0}%",
                share * 100.0,
                limit * 100.0
            ),
            Self::ServerRestarted => f.write_str("the server restarted, or went away"),
            Self::Unmeasured { reason } => write!(f, "nothing was measured: {reason}"),
            Self::NotAtOnce {
                overlap_share,
                limit,
            } => write!(
                f,
                "the machines measured at once for {:.0}% of the window, below {:.0}%",
                overlap_share * 100.0,
                limit * 100.0
            ),
        }
    }
}
