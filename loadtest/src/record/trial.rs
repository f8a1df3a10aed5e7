//! One trial as it was recorded: its place in the study, what it measured, and what disturbed it.

use std::fmt;

use engine::{Load, Measurement, Nanoseconds, Shape};
use serde::{Deserialize, Serialize};

use super::{Protocol, Scenario};

/// One variant under one load for some seconds, in a process of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The version of this layout, [`FORMAT`](super::FORMAT).
    pub format: u32,
    /// Place in the order in which trials ran, from 1.
    pub number: u32,
    /// The round it belongs to, from 1: trials of one scenario and one round are compared.
    pub round: u32,
    /// 1, or more if it repeats a trial that measured nothing.
    pub attempt: u32,
    /// Purpose of the trial.
    pub purpose: Purpose,
    /// Connections, and calls in flight on each.
    pub shape: Shape,
    /// Items in one call, such as greetings.
    pub batch: u32,
    /// When calls began.
    pub load: Load,
    /// The variant.
    pub variant: Variant,
    /// CPU time in microseconds that the server added to each call on purpose, as it counted itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_cpu_us: Option<f64>,
    /// Times for which the server kept calls waiting on purpose, as it counted itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited: Option<Nanoseconds>,
    /// The measurement.
    pub measurement: Measurement,
    /// Disturbances of the trial: [`validity`](crate::validity) says which measures they void.
    pub disturbances: Vec<Disturbance>,
}

/// One side of a comparison: a protocol under a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Variant {
    /// Protocol of its calls.
    pub protocol: Protocol,
    /// Its name, unique in a scenario and the same everywhere people read, such as `REST`.
    pub name: String,
    /// True if it is the baseline once more (A/A): the difference between the two is the noise floor.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_twin: bool,
}

/// Purpose of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The rate that a variant reaches in a closed loop, from which the common rate follows. Nothing is
    /// claimed of it.
    Pilot,
    /// The same offered rate for every variant: server CPU, bytes, latency under load.
    Open,
    /// One call in flight: latency without a queue.
    Single,
    /// A closed loop of all users.
    Closed,
    /// A place in the map of payload and shape, at a common rate.
    Map,
    /// A rate of the search for capacity.
    Capacity,
    /// The original's comparison, made again and taken apart.
    Original,
    /// A null server: the generator's own limit.
    Ceiling,
    /// A scenario of A/A alone, as runs before format 4 have them.
    Aa,
}

/// A disturbance of a trial, with the figure that shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disturbance {
    /// It measured nothing.
    Unmeasured {
        /// The event, in words.
        reason: String,
    },
    /// Replies were bad.
    BadReplies {
        /// Number of bad replies.
        count: u64,
    },
    /// The server's process was another one at the end, or was gone.
    ServerRestarted,
    /// More calls were on their way at the end of the window than at its beginning, or fewer.
    Queue {
        /// Replies divided by offered calls: below 1 the queue grew.
        achieved_share: f64,
    },
    /// The generator's busiest thread had no time to spare.
    GeneratorLimit {
        /// Share of time that it was busy.
        busiest_core_share: f64,
    },
    /// Calls were let go late, as far as it matters for latency.
    LateDispatch {
        /// Median of the dispatch delay; runs of earlier versions do not say.
        p50_us: Option<f64>,
        /// 99th percentile of it.
        p99_us: f64,
    },
    /// The hypervisor took the machine away.
    Steal {
        /// Share of time taken.
        share: f64,
    },
    /// Other programs took the machine.
    OtherPrograms {
        /// Share of the cores' time taken.
        share: f64,
    },
    /// The server asked others for each call: what they took is not in its CPU time.
    AsksOthers {
        /// Whom; empty if it is not known.
        peers: Vec<String>,
    },
    /// After a merge: the machines did not measure at the same time.
    NotAtOnce {
        /// Share of the longest window in which all of them measured.
        overlap_share: f64,
    },
}

impl Trial {
    /// Returns true if no disturbance falsified all of it.
    pub fn is_sound(&self) -> bool {
        !self.disturbances.iter().any(Disturbance::falsifies)
    }

    /// Bad replies, ramp and warm-up included. A call of a closed loop that was never answered is one; in an
    /// open loop it may never have been sent, and stands in a queue.
    pub fn bad_replies(&self) -> u64 {
        let unanswered = match self.load {
            Load::Closed => self.measurement.unanswered,
            Load::Open { .. } => 0,
        };
        self.measurement.errors_in_all.values().sum::<u64>() + unanswered
    }

    /// Returns true if it was measured for `scenario`.
    pub fn is_of(&self, scenario: &Scenario) -> bool {
        self.purpose == scenario.purpose
            && self.load == scenario.load
            && (self.shape, self.batch) == (scenario.shape, scenario.batch)
            && scenario.variants.contains(&self.variant)
    }
}

impl Variant {
    /// The variant that makes its calls by `protocol`, under the name of that.
    pub fn of(protocol: Protocol) -> Self {
        Self {
            protocol,
            name: protocol.name().to_owned(),
            is_twin: false,
        }
    }

    /// The A/A twin of [`Self::of`].
    pub fn twin_of(protocol: Protocol) -> Self {
        Self {
            protocol,
            name: format!("{} twin", protocol.name()),
            is_twin: true,
        }
    }
}

impl Disturbance {
    /// Returns true if it falsifies the whole trial: nothing that was measured beside it is of the service as
    /// it was meant to be loaded.
    pub fn falsifies(&self) -> bool {
        match self {
            Self::Unmeasured { .. }
            | Self::BadReplies { .. }
            | Self::ServerRestarted
            | Self::Queue { .. }
            | Self::NotAtOnce { .. } => true,
            Self::GeneratorLimit { .. }
            | Self::LateDispatch { .. }
            | Self::Steal { .. }
            | Self::AsksOthers { .. }
            | Self::OtherPrograms { .. } => false,
        }
    }
}

impl Disturbance {
    /// Place in the order of gravity, the gravest first.
    pub fn rank(&self) -> usize {
        match self {
            Self::Unmeasured { .. } => 0,
            Self::ServerRestarted => 1,
            Self::BadReplies { .. } => 2,
            Self::Queue { .. } => 3,
            Self::NotAtOnce { .. } => 4,
            Self::GeneratorLimit { .. } => 5,
            Self::Steal { .. } => 6,
            Self::OtherPrograms { .. } => 7,
            Self::LateDispatch { .. } => 8,
            Self::AsksOthers { .. } => 9,
        }
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmeasured { reason } => write!(f, "nothing was measured: {reason}"),
            Self::BadReplies { count: 1 } => f.write_str("1 bad reply"),
            Self::BadReplies { count } => write!(f, "{count} bad replies"),
            Self::ServerRestarted => f.write_str("the server restarted, or went away"),
            Self::Queue { achieved_share } if *achieved_share < 1.0 => write!(
                f,
                "a queue grew: {:.1}% of the calls that were due were answered meanwhile",
                achieved_share * 100.0
            ),
            Self::Queue { achieved_share } => write!(
                f,
                "a queue shrank: {:.1}% of the calls that were due were answered meanwhile",
                achieved_share * 100.0
            ),
            Self::GeneratorLimit { busiest_core_share } => write!(
                f,
                "the generator was at its limit: a thread of it was {:.0}% busy",
                busiest_core_share * 100.0
            ),
            Self::LateDispatch { p99_us, .. } => {
                write!(f, "calls were dispatched up to {p99_us:.0} µs late (p99)")
            }
            Self::Steal { share } => {
                write!(f, "the hypervisor took {:.1}% of the time", share * 100.0)
            }
            Self::OtherPrograms { share } => write!(
                f,
                "other programs took {:.0}% of the cores' time",
                share * 100.0
            ),
            Self::AsksOthers { peers } => {
                match &peers[..] {
                    [] => f.write_str("connections are opened for each call, as by a proxy")?,
                    some => write!(
                        f,
                        "the process on the port asks {} for each call",
                        some.join(", ")
                    )?,
                }
                f.write_str(
                    ", whose CPU time is not in its own; name what counts by --server-pid or \
                     --server-cgroup",
                )
            }
            Self::NotAtOnce { overlap_share } => write!(
                f,
                "the machines measured at once for {:.0}% of the window",
                overlap_share * 100.0
            ),
        }
    }
}
