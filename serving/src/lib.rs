//! Code that every server and client here needs around its own. No contract and no business lives
//! here, and nothing in here owns a builder chain: each example's `serve` still shows its own.
//!
//! Two parts, each of use without the other:
//! - **Layers** of tower for any server ([`layers`]; [`gate`] with the checks of [`hosts`] and [`cross_site`];
//!   [`authorization`]; [`status_mapping`]), which [`layers::stack`] puts in their order. [`CallContext`] holds
//!   what is known of a call, and a transport words what the layers refuse as its [`refusal::Refuse`] says.
//! - **A listener** ([`server`]) for any HTTP service ([`service`]), with a runtime for each core ([`workers`]): it
//!   bounds connections ([`limits`]), speaks [`tls`], does itself what the layers do, and ends in order ([`drain`]).
//!
//! Around them, a process with its options ([`process`], [`args`]), its log, metrics and traces ([`telemetry`]),
//! [`operations`] beside a service, and `admin` where operators ask. For the other side of the wire, [`client`] and
//! [`retry`].
//!
//! TLS, spans over OTLP, the admin port with its metrics, and gRPC-Web are features, `tls`, `otlp`, `admin` and
//! `web`: a first call needs none of them, and most take long to build.

// Metrics count in every build, and who reads them is in few.
#![cfg_attr(not(all(feature = "admin", feature = "tls")), allow(dead_code))]

#[cfg(feature = "admin")]
pub mod admin;
pub mod args;
pub mod authorization;
pub mod body;
mod budget;
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
