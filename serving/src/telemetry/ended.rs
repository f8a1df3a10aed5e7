//! What is told of a call at its end.

use std::time::Duration;

use super::{codes::Transport, trace_context::TraceContext};

/// A call that was sampled and has ended.
#[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "nobody is told"))]
pub(crate) struct Ended<'a> {
    pub(crate) transport: Transport,
    pub(crate) path: &'a str,
    pub(crate) method: &'a str,
    pub(crate) code: &'a str,
    pub(crate) internal: bool,
    pub(crate) context: TraceContext,
    pub(crate) request_id: &'a str,
    pub(crate) took: Duration,
}
