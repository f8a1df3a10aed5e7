//! Measures REST and gRPC on one service and sets the two side by side.
//!
//! ```text
//! cli → run → plan (cells × rounds × arms, in random order)
//!           → for each block: subject (a fresh server), block (a child process: one goose attack)
//!             → validity → record
//!           → statistics → report, exit code
//! ```
//!
//! In the order to read: [`cli`] is what a user can ask for; [`run`] carries it out; [`plan`] says
//! what is measured in which order; [`lab`] measures one block, [`block`] is its load, in a process
//! of its own; [`validity`] says whether it counts; [`record`] is what comes back; [`report`] is what
//! stays.

mod alarm;
mod bare;
pub mod block;
pub mod capacity;
pub mod ceiling;
pub mod child;
pub mod cli;
pub mod commands;
pub mod cores;
pub mod embedded;
pub mod folder;
pub mod known;
pub mod lab;
pub mod machine;
pub mod original;
pub mod plan;
pub mod progress;
pub mod record;
pub mod report;
pub mod run;
pub mod selftest;
pub mod statistics;
pub mod subject;
pub mod summary;
pub mod target;
pub mod usage;
pub mod validity;
pub mod verdict;
mod work;
