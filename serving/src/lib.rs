//! What every server and client here needs around its own code. No contract and no business lives
//! here, and nothing in here owns a builder chain: each example's `serve` still shows its own.
//!
//! In the order a process meets them: [`args`] and [`limits`]; [`process`] with its [`workers`];
//! [`listener`]; [`server`], which accepts, and hands each [`connection`] of a [`service`] to a
//! worker; around every call the guard, which words its [`refusal`]s as the protocol does;
//! [`operations`] beside the service; [`drain`] at the end. And for the other side of the wire,
//! [`client`] and [`retry`].

pub mod args;
pub mod body;
mod chunk;
pub mod client;
pub mod connection;
pub mod drain;
pub mod grpc;
pub mod grpc_timeout;
mod guard;
mod io;
mod jitter;
pub mod limits;
pub mod listener;
pub mod operations;
mod pieces;
pub mod process;
pub mod refusal;
pub mod retry;
pub mod server;
pub mod service;
mod stall;
pub mod telemetry;
pub mod workers;

pub use tokio_util::sync::CancellationToken;
