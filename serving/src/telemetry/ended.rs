//! The record of a call at its end.

use std::time::Duration;

use http::{Method, StatusCode, Version};

use super::{codes::Transport, trace_context::TraceContext};

/// A call that was sampled and has ended.
#[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "nobody is told"))]
pub(crate) struct Ended<'a> {
    pub(crate) transport: Transport,
    /// The path, if it is one that the service knows. No span carries another: strangers make them up.
    pub(crate) route: Option<&'a str>,
    pub(crate) method: &'a Method,
    pub(crate) version: Version,
    pub(crate) is_tls: bool,
    /// The HTTP status, if there was an answer.
    pub(crate) status: Option<StatusCode>,
    /// The code that it is counted as.
    pub(crate) code: &'a str,
    pub(crate) is_error: bool,
    pub(crate) context: TraceContext,
    pub(crate) request_id: &'a str,
    pub(crate) took: Duration,
}
