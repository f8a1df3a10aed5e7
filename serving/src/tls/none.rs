//! TLS in a build without the feature `tls`: there is none.

/// The configuration for new connections.
#[derive(Clone, Debug)]
pub enum Tls {}

impl Tls {
    /// Returns true if clients have to show a certificate.
    pub(crate) fn verifies_clients(&self) -> bool {
        match *self {}
    }
}
