//! The error of a server that ended badly.

use std::time::Duration;

use thiserror::Error;

/// Reason for a server's failure to end cleanly.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Calls were still open when the grace ended, and were cut.
    #[error("{name} was cut {} after its listener closed; calls still open: {calls}", humantime::format_duration(*.grace))]
    Cut {
        /// Name of the listener that was cut, such as "gRPC".
        name: &'static str,
        /// Number of calls that were lost.
        calls: usize,
        /// Time that the calls had to finish.
        grace: Duration,
    },
}
