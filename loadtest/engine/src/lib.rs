//! One trial: prepared requests in, a measurement out.
//!
//! A trial puts one variant under load for a while, in a worker process of its own. The caller
//! describes it completely in a [`TrialSpec`], and gets a [`Measurement`] back. Nothing here knows a
//! contract, a command line or a report.
//!
//! [`run_trial`] is the parent's side of it, and [`run_in_turns`] of several that are compared;
//! [`worker::main`] is the worker's; [`probe()`] makes one call
//! outside of any trial.

pub mod alarm;
mod attack;
mod client;
mod configuration;
pub mod histogram;
pub mod measurement;
mod outcome;
mod pacer;
mod prepared;
mod probe;
pub mod process;
mod recorder;
mod run;
mod scenario;
mod slot;
mod snapshot;
pub mod spec;
mod steady;
mod tally;
mod timekeeper;
pub mod tls;
mod trial;
pub mod usage;
mod user;
mod window;
mod wire;
pub mod worker;

pub use histogram::Nanoseconds;
pub use measurement::{Asked, CpuSource, Dispatch, GeneratorCost, Measurement, ServerCost, Wire};
pub use outcome::code_name;
pub use prepared::InvalidRequest;
pub use probe::{Failure, Reply, Status, probe};
pub use process::Program;
pub use spec::{
    Accepted, Endpoint, Expect, Identity, Load, PARTS_OF_A_LEAD, PreparedRequest, Shape, Timing,
    Tls, Transport, TrialSpec, Workload,
};
pub use timekeeper::INTERRUPTED;
pub use trial::{Progress, TrialError, blank, run_in_turns, run_trial};
