//! Layers for any HTTP service of tower: on a [listener](crate::server), on tonic's own server, and on axum's. Each
//! takes bodies of `Bytes`, as tonic's and axum's are, and is ready when the service inside is; [`DeadlineLayer`] alone
//! is always ready, and waits for the service within the call, so that the wait counts.
//!
//! [`stack()`] has all that a server needs, in their order. [`status_mapping`](crate::status_mapping) and
//! [`gate`](crate::gate), with the checks of [`hosts`](crate::hosts), [`cross_site`](crate::cross_site) and
//! [`authorization`](crate::authorization), are layers too.

pub mod body_idle_timeout;
pub mod catch_panic;
pub mod concurrency_limit;
pub mod deadline;
pub mod drain;
#[cfg(feature = "web")]
pub mod grpc_web;
pub mod request_memory;
pub mod response_memory;
mod stack;
pub mod telemetry;

pub use body_idle_timeout::BodyIdleTimeoutLayer;
pub use catch_panic::CatchPanicLayer;
pub use concurrency_limit::ConcurrencyLimitLayer;
pub use deadline::DeadlineLayer;
pub use drain::DrainLayer;
#[cfg(feature = "web")]
pub use grpc_web::GrpcWebLayer;
pub use request_memory::RequestMemoryLayer;
pub use response_memory::ResponseMemoryLayer;
pub use stack::{Layers, stack};
pub use telemetry::TelemetryLayer;
