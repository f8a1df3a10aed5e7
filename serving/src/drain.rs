//! The end of a server: calls in flight may finish, but not for ever.

use std::{fmt::Display, future::Future, time::Duration};

use thiserror::Error;
use tokio_util::sync::CancellationToken;

/// How long calls in flight may take to finish once a server is told to stop. Load balancers and
/// orchestrators commonly wait 30 s before they kill; this leaves room before that.
pub const GRACE: Duration = Duration::from_secs(10);

/// How a server ended badly.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The listener or its accept loop failed.
    #[error("{name} stopped: {reason}")]
    Failed {
        /// What failed, such as "gRPC".
        name: &'static str,
        /// What it said.
        reason: String,
    },
    /// Calls were still open when the grace ended, and were cut.
    #[error("{name} was cut: calls were still open {} s after the signal", GRACE.as_secs())]
    Cut {
        /// What was cut.
        name: &'static str,
    },
}

/// Awaits `server`, which stops by itself soon after `shutdown` is cancelled; cuts it [`GRACE`]
/// after that, because one idle stream would keep tonic and axum waiting for ever.
///
/// # Errors
/// [`ServeError`], naming the listener `name`.
pub async fn finish<E: Display>(
    name: &'static str,
    server: impl Future<Output = Result<(), E>>,
    shutdown: &CancellationToken,
) -> Result<(), ServeError> {
    let hard_end = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = server => result.map_err(|error| ServeError::Failed { name, reason: error.to_string() }),
        () = hard_end => Err(ServeError::Cut { name }),
    }
}
