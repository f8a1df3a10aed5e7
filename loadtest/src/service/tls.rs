//! TLS to a service: its files, read.

use std::{fs, path::Path};

use engine::{Identity, Tls};

use super::error::ServiceError;
use crate::target::Target;

/// The options of connections with TLS.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Roots as PEM; none stands for those of the system.
    pub roots: Option<String>,
    /// The client's own certificate and key.
    pub identity: Option<Secret>,
    /// True if any certificate is taken for a good one.
    pub insecure: bool,
    /// The name that the certificate has to be for, if it is not that of the host.
    pub server_name: Option<String>,
}

/// A certificate and its key, which print as nothing.
#[derive(Clone)]
pub struct Secret(Identity);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(super::secrets::MASK)
    }
}

impl Options {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read, or holds no PEM.
    pub fn read(
        roots: Option<&Path>,
        identity: Option<(&Path, &Path)>,
        insecure: bool,
        server_name: Option<String>,
    ) -> Result<Self, ServiceError> {
        let identity = match identity {
            None => None,
            Some((certificate, key)) => Some(Secret(Identity {
                certificate: pem("--cert", certificate, "CERTIFICATE")?,
                key: pem("--key", key, "PRIVATE KEY")?,
            })),
        };
        Ok(Self {
            roots: roots
                .map(|path| pem("--cacert", path, "CERTIFICATE"))
                .transpose()?,
            identity,
            insecure,
            server_name,
        })
    }

    /// That of `target`; none if it speaks none.
    pub fn of(&self, target: &Target) -> Option<Tls> {
        target.tls.then(|| Tls {
            server_name: match &self.server_name {
                Some(name) => name.clone(),
                None => target.host.trim_matches(['[', ']']).to_owned(),
            },
            roots: self.roots.clone(),
            is_verified: !self.insecure,
            identity: self.identity.as_ref().map(|secret| secret.0.clone()),
        })
    }
}

fn pem(option: &str, path: &Path, what: &str) -> Result<String, ServiceError> {
    let name = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| ServiceError::input(format!("{option} {name} cannot be read: {error}")))?;
    match text.contains(what) {
        true => Ok(text),
        false => Err(ServiceError::input(format!(
            "{option} {name} holds no {what} in PEM, which begins with -----BEGIN {what}-----"
        ))),
    }
}
