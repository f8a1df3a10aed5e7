//! What every server and client here needs around its own code. No contract and no business lives
//! here, and nothing in here owns a builder chain: each example's `serve` still shows its own.
//!
//! In the order a process meets them: [`args`] and [`limits`]; [`process`] with its [`workers`];
//! [`listener`]; [`server`], which accepts, and hands each [`connection`] of a [`service`] to a
//! worker, under [`tls`] or not; [`telemetry`] around every call, and inside of it [`cors`] and the guard,
//! which words its [`refusal`]s as the protocol does; before the service the [`gate`]s of [`hosts`],
//! [`cross_site`] and [`authorization`], which are tower layers; around a gRPC service [`status_mapping`],
//! another; [`operations`] beside the service, and [`admin`] where operators ask; [`drain`] at the end. And for the other side of the wire, [`client`] and
//! [`retry`].
//!
//! TLS, spans over OTLP, and the admin port with its metrics are features, `tls`, `otlp` and `admin`: a first
//! call needs none of them, and they take longest to build.

// Metrics count in every build, and who reads them is in few.
#![cfg_attr(not(all(feature = "admin", feature = "tls")), allow(dead_code))]

#[cfg(feature = "admin")]
pub mod admin;
pub mod args;
pub mod authorization;
pub mod body;
mod called;
mod chunk;
pub mod client;
pub mod connection;
mod context;
pub mod cors;
pub mod cross_site;
mod descriptors;
pub mod drain;
mod ending;
mod events;
pub mod gate;
pub mod grpc;
pub mod grpc_timeout;
mod guard;
pub mod hosts;
mod http1;
mod http2;
pub mod intake;
mod io;
mod jitter;
pub mod layers;
pub mod limits;
mod linger;
pub mod listener;
pub mod operations;
mod peer;
mod peers;
mod pieces;
pub mod process;
mod received;
pub mod refusal;
mod reload;
pub mod retry;
pub mod server;
pub mod service;
pub mod side;
pub mod status_mapping;
mod target;
pub mod telemetry;
#[cfg_attr(not(feature = "tls"), path = "tls/none.rs")]
pub mod tls;
pub mod unpacked;
mod unread;
pub mod workers;

pub use context::CallContext;
pub use peer::Peer;
use received::Received;
pub use tokio_util::sync::CancellationToken;

/// The body of a request that a listener hands to its service.
pub type Body = intake::RequestBody<Received>;
