//! Measures REST and gRPC on one service and sets the two side by side.
//!
//! ```text
//! cli → Config → run → study (scenarios × variants, a round in random order)
//!     → executor: for each trial, the system made ready, a worker process (crate engine) loads it
//!     → validity → record
//!     → verdict (crate stats) → report, exit code
//! ```
//!
//! In the order to read: [`cli`] is what a user can ask for, parsed once into a `Config`; [`run`]
//! carries it out; [`study`] says what is measured; [`executor`] makes a trial of it, on a [`system`];
//! [`validity`] says which measures a disturbance voids; [`record`] is what stays on the disk;
//! [`verdict`] is what may be said of it; [`report`] shows it.

pub mod capacity;
pub mod ceiling;
pub mod cli;
pub mod codec;
pub mod commands;
pub mod cores;
pub mod executor;
pub mod export;
pub mod folder;
pub mod greetings;
pub mod machine;
pub mod metric;
pub mod numbers;
pub mod original;
pub mod progress;
pub mod record;
pub mod report;
pub mod run;
pub mod selftest;
pub mod service;
pub mod study;
pub mod summary;
pub mod system;
pub mod target;
pub mod validity;
pub mod verdict;
