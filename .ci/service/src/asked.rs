//! The question of the connectconformance runner in server mode, and the answer to it.

use std::{fs, path::Path};

use anyhow::Context;
use serving::tls::TlsArgs;

use crate::{
    MESSAGE, Wanted,
    conformance::{ServerCompatRequest, ServerCompatResponse},
    framed,
};

pub(crate) struct Asked(ServerCompatRequest);

impl Asked {
    /// Reads it from standard input.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let asked = framed::read()?;
        Ok(Self(asked.context("standard input is empty")?))
    }

    /// The service's settings; certificates are written to `directory`.
    pub(crate) fn wanted(self, mut tls: TlsArgs, directory: &Path) -> anyhow::Result<Wanted> {
        let write = |name: &str, bytes: &[u8]| {
            let path = directory.join(name);
            fs::write(&path, bytes).map(|()| Some(path))
        };
        if let (true, Some(creds)) = (self.0.use_tls, &self.0.server_creds) {
            tls.tls_cert = write("cert.pem", &creds.cert)?;
            tls.tls_key = write("key.pem", &creds.key)?;
            if !self.0.client_tls_cert.is_empty() {
                tls.tls_client_ca = write("ca.pem", &self.0.client_tls_cert)?;
            }
        }
        let limit = match self.0.message_receive_limit {
            0 => MESSAGE,
            limit => limit.try_into()?,
        };
        Ok(Wanted {
            limit,
            tls,
            asked: Some(self),
        })
    }

    /// Tells the runner where the service listens.
    pub(crate) fn answer(&self, port: u16) -> anyhow::Result<()> {
        let creds = self.0.server_creds.as_ref().filter(|_| self.0.use_tls);
        framed::write(&ServerCompatResponse {
            host: "127.0.0.1".to_owned(),
            port: port.into(),
            pem_cert: creds.map(|creds| creds.cert.clone()).unwrap_or_default(),
        })
    }
}
