//! The raw data of a run: `run.json`, and one file for each trial. Everything that is said about a
//! run is computed from these, and can be computed again.
//!
//! Times and counts are whole numbers of the unit that the field's name ends in.

mod disturbances;
mod logs;
mod protocol;
pub mod store;
mod trial;
mod upgrade;

use serde::{Deserialize, Serialize};

use engine::{Load, Shape};

pub use disturbances::{Evidence, disturbances, is_late};
pub use protocol::Protocol;
pub use store::Recording;
pub use trial::{Disturbance, Purpose, Trial, Variant};

/// The version of this layout. It grows when a field changes its meaning or goes.
pub const FORMAT: u32 = 4;

/// Facts about a run as a whole: `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The version of this layout, [`FORMAT`].
    pub format: u32,
    /// When the run began, RFC 3339 in UTC.
    pub started_at: String,
    /// The command line as it was typed.
    pub command: String,
    /// The seed of every random choice: the order of the trials, and the resampling of the verdict.
    pub seed: u64,
    /// Extent of the run, as it was asked for.
    pub mode: Mode,
    /// Time that measuring might take, in seconds; none if rounds were counted instead, as before
    /// format 4.
    #[serde(default)]
    pub budget_s: Option<u64>,
    /// The scenarios that were to be measured.
    pub plan: Plan,
    /// The latency objective that capacity is searched for, where one was given.
    pub objective: Option<Objective>,
    /// Whose service was measured.
    pub service: Service,
    /// Whose CPU time is the server's: the processes that listened when the run began, such as
    /// `dual-mode (4711)`, where they are on this machine, and what was named besides; REST's and gRPC's.
    /// Runs of earlier versions do not say.
    #[serde(default)]
    pub listening: [Vec<String>; 2],
    /// The generator's own limit, a variant each, against a null server.
    pub ceiling: Vec<Ceiling>,
    /// The cost of the client's codecs, measured apart; runs before format 4 have it inside of the
    /// generator's.
    #[serde(default)]
    pub codec: Vec<CodecCost>,
    /// The highest rate that met the objective, a variant each, if it was searched for.
    pub capacity: Vec<Capacity>,
    /// Requirements as they were written; runs of earlier versions have none.
    #[serde(default)]
    pub requirements: Vec<String>,
    /// The price of a core for an hour, in any currency, if it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_price: Option<f64>,
    /// Thresholds that were missed, in words.
    pub thresholds_missed: Vec<String>,
    /// Reason for the run's early end, if it ended early. The measurements until then stand.
    pub cut_short: Option<String>,
    /// The program that measured.
    pub tool: Tool,
    /// The machine of the generator, and of the server too if that is local. A merged run has
    /// several machines.
    pub machines: Vec<Machine>,
}

/// Reason for the lack of a server's CPU time, and the remedy, in words for people.
pub const UNKNOWN_CPU: &str = "not known, so the headline is latency: no process on this machine listens there; \
     name the server by --server-pid or --server-cgroup, or its metrics by --server-metrics";

impl Run {
    /// Whose the server's CPU time is, in words, if anybody's is known.
    pub fn whose_cpu(&self) -> Option<String> {
        let [rest, grpc] = &self.listening;
        let [of_rest, of_grpc] = self.service.names();
        let named = |side: &[String]| match side {
            [] => "a process that cannot be seen".to_owned(),
            some => some.join(", "),
        };
        match (rest.is_empty(), grpc.is_empty()) {
            (true, true) => None,
            _ if rest == grpc => Some(named(rest)),
            _ => Some(format!(
                "{} for {of_rest}, {} for {of_grpc}",
                named(rest),
                named(grpc)
            )),
        }
    }
}

/// The extent of a run, as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Until the headline is known well enough, in a few minutes.
    Quick,
    /// All scenarios, ten rounds or more.
    Thorough,
}

/// The scenarios that were to be measured. Runs whose plans differ cannot be merged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Scenarios in the order in which they take turns.
    pub scenarios: Vec<Scenario>,
}

/// Trials that differ in nothing but the variant. Only trials of one scenario are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Purpose of its trials.
    pub purpose: Purpose,
    /// Connections, and calls in flight on each.
    pub shape: Shape,
    /// Items in one call, such as greetings.
    pub batch: u32,
    /// When calls begin.
    pub load: Load,
    /// The variants: the baseline first, what is compared with it last, and the baseline's twin
    /// anywhere.
    pub variants: Vec<Variant>,
    /// Rounds that were planned, in each of which every variant has one trial; none if rounds go on
    /// until the headline is decided and server CPU known well enough, or the budget is spent.
    pub rounds: Option<u32>,
    /// Length of what is measured of each trial.
    pub window_us: u64,
    /// Shortest length of what is dropped before it.
    pub warm_up_us: u64,
}

impl Scenario {
    /// The variant that is divided by.
    pub fn baseline(&self) -> Option<&Variant> {
        self.variants.iter().find(|variant| !variant.is_twin)
    }

    /// The variant that is compared with the baseline; none if there is no other.
    pub fn candidate(&self) -> Option<&Variant> {
        let last = self.variants.iter().rfind(|variant| !variant.is_twin);
        last.filter(|last| Some(*last) != self.baseline())
    }

    /// The baseline once more, if it is measured in the same rounds.
    pub fn twin(&self) -> Option<&Variant> {
        self.variants.iter().find(|variant| variant.is_twin)
    }
}

/// A latency objective, such as `p99<5ms`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// The percentile, such as 99.0.
    pub percentile: f64,
    /// Time that the percentile must stay below, in microseconds.
    pub below_us: u64,
}

/// Whose service was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// dual-mode, started afresh by the run for each trial.
    Embedded,
    /// A service that was running already.
    Host {
        /// URL of its REST listener.
        rest: String,
        /// URL of its gRPC listener.
        grpc: String,
    },
    /// A service of another contract, which was running already.
    Foreign {
        /// Its variants, the baseline first.
        variants: Vec<Measured>,
        /// Rows of data that the requests were made of.
        rows: u64,
        /// Fields of the answers that were not compared: two calls of one variant differ in them, or the
        /// user left them out.
        left_out: Vec<String>,
        /// Fields in which the answers of variants differ, which the user allowed.
        differences: Vec<String>,
    },
}

/// A variant of a service of another contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// The address that it listens on.
    pub address: String,
    /// The call, such as `POST /v1/orders/{id}`, or `shop.v1.Orders/CreateOrder`.
    pub call: String,
}

impl Service {
    /// The names of the two that are compared: REST and gRPC, or those of the variants.
    pub fn names(&self) -> [&str; 2] {
        match self {
            Self::Foreign { variants, .. } => match (variants.first(), variants.last()) {
                (Some(first), Some(last)) => [&first.name, &last.name],
                _ => ["", ""],
            },
            _ => ["REST", "gRPC"],
        }
    }
}

/// The generator's own limit on one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ceiling {
    /// The protocol.
    pub protocol: Protocol,
    /// Connections, and calls in flight on each.
    pub shape: Shape,
    /// Requests per second against a server that answers with fixed bytes.
    pub requests_per_second: f64,
    /// CPU of the generator for each request.
    pub generator_cpu_us_per_request: f64,
}

/// The cost of encoding a typed request and decoding its reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CodecCost {
    /// The codec, such as `JSON`.
    pub codec: String,
    /// CPU time for each call in microseconds.
    pub cpu_us_per_call: f64,
}

/// The highest rate of one variant, as far as the search found it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// The protocol.
    pub protocol: Protocol,
    /// The name of the variant, if it is another than that of its protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Connections, and calls in flight on each.
    pub shape: Shape,
    /// Items in one call.
    pub batch: u32,
    /// The highest rate that met the objective, requests per second; none met it where it is none.
    pub met_per_second: Option<f64>,
    /// The lowest rate that did not, requests per second; none where the search ended below it.
    pub missed_per_second: Option<f64>,
    /// True if the generator reached its own limit first: the service can do at least the rate that
    /// it met.
    pub generator_bound: bool,
    /// True if the search ended at a rate whose trials told nothing: the machine was disturbed.
    #[serde(default)]
    pub disturbed: bool,
}

impl Capacity {
    /// The name of the variant.
    pub fn name(&self) -> &str {
        self.variant.as_deref().unwrap_or(self.protocol.name())
    }
}

/// The program that measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Version of this crate.
    pub version: String,
    /// Version of goose.
    pub goose: String,
    /// Commit that the program was built from, where git could tell; `+` marks uncommitted changes.
    pub commit: Option<String>,
    /// True if it was built with optimisations. Figures of a debug build say nothing.
    pub release: bool,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Operating system and kernel, such as `Linux 6.12.0`.
    pub kernel: String,
    /// Model name of the processor, where the system tells.
    pub cpu: Option<String>,
    /// Cores available to the process.
    pub cores: u32,
    /// Memory, where the system tells.
    pub memory_kib: Option<u64>,
    /// Which cores each side was kept on; runs of earlier versions do not say.
    #[serde(default)]
    pub pinned: Option<Pinned>,
}

/// The cores that each side was kept on, by the system's numbers. None stands for all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// The server's, where the run starts it.
    pub server: Vec<usize>,
    /// The generator's.
    pub generator: Vec<usize>,
}
