//! TLS in a build without the feature `tls`: there is none.

/// The configuration for new connections.
#[derive(Clone, Debug)]
pub enum Tls {}
