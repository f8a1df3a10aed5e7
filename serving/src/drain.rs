//! How a server ended badly.

use std::time::Duration;

use thiserror::Error;

/// Why a server did not end well.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Calls were still open when the grace ended, and were cut.
    #[error("{name} was cut {} after its listener closed; calls still open: {calls}", humantime::format_duration(*.grace))]
    Cut {
        /// What was cut, such as "gRPC".
        name: &'static str,
        /// How many calls were lost.
        calls: usize,
        /// How long they had to finish.
        grace: Duration,
    },
}
