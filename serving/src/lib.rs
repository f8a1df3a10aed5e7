//! What every server and client here needs around its own code. No contract and no business lives
//! here, and nothing in here owns a builder chain: each example's `serve` still shows its own.
//!
//! In the order a process meets them: [`args`], [`process`], [`listener`], [`operations`],
//! [`drain`]; and for the other side of the wire, [`client`].

pub mod args;
pub mod client;
pub mod drain;
pub mod listener;
pub mod operations;
pub mod process;
pub mod telemetry;

pub use tokio_util::sync::CancellationToken;
