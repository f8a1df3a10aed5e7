//! Sockets that listen.

use std::{io, net::SocketAddr};

use thiserror::Error;
use tokio::net::TcpListener;

/// A listener that could not be opened.
#[derive(Debug, Error)]
pub enum BindError {
    /// Another process has the port.
    #[error(
        "{name} cannot listen on {address}: the port is taken; stop what uses it, or choose another with {flag}"
    )]
    Taken {
        /// Name of the listener, such as "gRPC".
        name: &'static str,
        /// Address that it was to listen on.
        address: SocketAddr,
        /// The option that chooses the port.
        flag: &'static str,
    },
    /// Any other reason, such as an address of another machine.
    #[error(
        "{name} cannot listen on {address}: {reason}; choose another address with --bind or port with {flag}"
    )]
    Other {
        /// Name of the listener.
        name: &'static str,
        /// Address that it was to listen on.
        address: SocketAddr,
        /// The option that chooses the port.
        flag: &'static str,
        /// Error of the system.
        reason: io::Error,
    },
}

/// Listens on `address`. `name` and `flag` are only for the error message: what listens there, and
/// the option that chooses its port.
///
/// # Errors
/// [`BindError`], when the port is taken or the address cannot be used.
pub async fn bind(
    name: &'static str,
    address: SocketAddr,
    flag: &'static str,
) -> Result<TcpListener, BindError> {
    TcpListener::bind(address)
        .await
        .map_err(|reason| match reason.kind() {
            io::ErrorKind::AddrInUse => BindError::Taken {
                name,
                address,
                flag,
            },
            _ => BindError::Other {
                name,
                address,
                flag,
                reason,
            },
        })
}
