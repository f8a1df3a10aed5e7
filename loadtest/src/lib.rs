//! Measures REST and gRPC on one service and sets the two side by side.
//!
//! ```text
//! cli → run → for each arm: embedded server, block (a child process: one goose attack) → result
//!           → report (folder of HTML and JSON), exit code
//! ```
//!
//! In the order to read: [`cli`] is what a user can ask for; [`run`] carries it out; [`block`] is
//! one arm's load, in a process of its own; [`result`] is what comes back; [`report`] is what stays.

pub mod block;
pub mod child;
pub mod cli;
pub mod embedded;
pub mod folder;
pub mod machine;
pub mod progress;
pub mod record;
pub mod report;
pub mod result;
pub mod run;
pub mod statistics;
pub mod summary;
pub mod target;
pub mod usage;
pub mod verdict;
