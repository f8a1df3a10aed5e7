//! Charts as inline SVG: no script, themed by the page's style, and readable without seeing them.

pub(super) mod latency;
mod plot;
pub(super) mod scale;
pub(super) mod throughput;
