//! TLS in a build without the feature `tls`: there is none.

/// What new connections would be greeted with.
#[derive(Clone, Debug)]
pub enum Tls {}
